/// \file
/// The queries that stand around a migration's own statements: limits, lock budget, expectations, touched tables.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/database.hpp"
#include "pg/connection.hpp"

namespace lockkeeper::pg {

inline constexpr std::string_view k_cancelled = "57014";

/// COPY cannot stand in a pipeline.
bool has_copy(const core::Script& script);
/// A script that sets something itself knows better: its value is left alone. \p setting in lower case.
bool sets_itself(const core::Attempt& attempt, std::string_view setting);
/// PostgreSQL's lock_timeout is per lock, ours is for the attempt: what is left is set before each statement.
bool keeps_lock_budget(const core::Attempt& attempt);

/// \p for_session: in force until they are set again; else for the transaction. A file without a transaction that sets
/// a limit means it for what follows in it.
void add_limits(Batch& batch, const core::Attempt& attempt, util::Duration lock_timeout, bool for_session = false);
/// The script's statements, with what is left of the lock budget between them. \p sql_of makes the text of one.
/// \return where the answers of the script's own statements will be
template <typename SqlOf>
std::vector<std::size_t> add_script(Batch& batch, const core::Attempt& attempt, const SqlOf& sql_of);
/// Between two statements of one attempt. A tenth of the budget is always left, so that a slow statement does not take
/// the next one every chance.
void add_remaining_lock_budget(Batch& batch, util::Duration lock_timeout);
/// Rows that are changed one statement after the other lock nothing new: no budget need be set between them.
bool needs_new_budget(const core::Statement& before, const core::Statement& statement);

/// For details.pending: what exporters show as pending since the last run.
Batch::Parameter pending_when(const core::Attempt& attempt, bool applied);
/// For details.prefix, of the first \p done statements: it proves to a rerun that it may go on after them.
std::string prefix_checksum(const core::Attempt& attempt, std::size_t done);

/// Rows and bytes of the tables that the transaction keeps others from writing to, as large as the planner takes them
/// for. TOAST and indexes are not counted, nor is what is new.
/// https://www.postgresql.org/docs/current/view-pg-locks.html
std::string touched_query();

/// What must hold after the attempt. `sql: {absent: true}` only ends an earlier statement.
std::vector<const core::Expectation*> stated_by(const core::Attempt& attempt);
/// The queries that check what a migration states itself, and where their answers will be.
using Checks = std::vector<std::pair<const core::Expectation*, std::size_t>>;
Checks add_checks(Batch& batch, const core::Attempt& attempt);
/// The same, and one more that fails unless all of them hold, for where nobody looks at the answers before COMMIT.
Checks add_asserted_checks(Batch& batch, const core::Attempt& attempt);
std::vector<core::ExpectationResult> broken_of(const Checks& checks, const core::Attempt& attempt,
                                               const std::vector<Result>& results);

/// Of what stands between and behind the statements of a script: it may succeed later, and says nothing about the
/// schema.
bool is_passing(const ServerError& error);

template <typename SqlOf>
std::vector<std::size_t> add_script(Batch& batch, const core::Attempt& attempt, const SqlOf& sql_of) {
  const bool keep_budget = keeps_lock_budget(attempt);
  std::vector<std::size_t> answers;
  const core::Statement* before = nullptr;
  for (const core::Statement& statement : attempt.script().statements) {
    if (keep_budget && before != nullptr && needs_new_budget(*before, statement)) {
      add_remaining_lock_budget(batch, attempt.lock_timeout);
    }
    answers.push_back(batch.add(sql_of(attempt, statement)));
    before = &statement;
  }
  return answers;
}

}  // namespace lockkeeper::pg
