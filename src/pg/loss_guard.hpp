/// \file
/// What a roll-back would destroy, counted inside its own transaction.
#pragma once

#include <vector>

#include "core/database.hpp"
#include "pg/connection.hpp"
#include "pg/diagnosis.hpp"

namespace lockkeeper::pg {

/// Counts, in the open transaction, what the script's DROP, TRUNCATE and DELETE would destroy, and runs the migration's
/// data_loss queries. Tables are locked against writers first, so that the counts stay true until the transaction ends.
/// \return what is there to be lost; empty = nothing
std::vector<core::Loss> count_losses(Connection& connection, const Diagnosis& diagnosis, const core::Attempt& attempt);

}  // namespace lockkeeper::pg
