/// \file
/// What the statements of a script mean for how it is run, and what they must not do. Every problem has its place.
/// Not for: a single statement's facts (facts.hpp).
#pragma once

#include <vector>

#include "core/migration.hpp"
#include "files/metadata.hpp"
#include "util/error.hpp"

namespace lockkeeper::files {

/// What no script may do: BEGIN and COMMIT; an index built CONCURRENTLY without a name, because a rerun could not find
/// what a crash left of it.
void check_statements(const core::Script& script, std::vector<util::ErrorInfo>& problems);

/// Whether a migration runs in one transaction, by migration.yaml and by its up.sql.
bool is_transactional(const core::Script& up, TransactionMode mode);

/// For a script that runs in one transaction: statements that the server would refuse there, and values of an enum that
/// are used in the transaction that adds them (55P04), as far as they stand in the file as literals.
void check_transaction(const core::Script& script, TransactionMode mode, std::vector<util::ErrorInfo>& problems);

/// For a script without a transaction: what may need none although the server does not always refuse it takes none.
/// CALL, and DO with a COMMIT in it, work only then; REINDEX, CLUSTER and REPACK of a partitioned table as well.
void use_no_transaction(core::Script& script);

}  // namespace lockkeeper::files
