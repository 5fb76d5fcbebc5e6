/// \file
/// Applies a plan, one migration after the other, and says how it went. Knows no SQL and no files.
#pragma once

#include <vector>

#include "core/database.hpp"
#include "core/events.hpp"
#include "core/plan.hpp"
#include "core/policy.hpp"
#include "core/report.hpp"
#include "util/clock.hpp"

namespace lockkeeper::core {

/// What the steps share. The references must outlive the call.
struct Run {
  Database& database;
  Observer& observer;
  util::Clock& clock;
  const Limits& limits;
  util::Deadline deadline;  ///< of the whole run
  Report& report;           ///< grows as steps are committed, so that it is right even when something is thrown
};

/// Takes the advisory lock, asking again until limits.lock_wait or the deadline is over. The history of the last
/// attempt is the one to plan with.
/// \throws Error{lock_busy} naming the holder
History acquire_lock(Run& run);

/// Applies the steps in order; stops at the first that fails. Each step is parsed, and the lock is held unless it is
/// taken per transaction.
/// \return false when another runner was faster, which only happens where the lock is taken per transaction: what is
/// left of the steps was not touched, and the history is to be read again
/// \throws Error with the outcome of the step that failed (sql, verification, lock_timeout, half_done ...)
bool apply(Run& run, const std::vector<Step>& steps);

/// What is reported as applied is to survive a crash of the server, however a run ends: asks for it where it is not
/// sure. apply() does. \throws Error{connection_lost}; the next session looks what is there
void settle(Run& run);

/// Rolls back one migration that is applied or half rolled back. It is parsed and has a down script.
/// \throws Error as apply(), and Error{data_loss} listing the counts unless \p allow_data_loss
void roll_back(Run& run, const Migration& migration, const HistoryRow* resume, bool allow_data_loss);

/// The error for expectations that do not hold: expected and found of each.
util::ErrorInfo describe_broken(const std::vector<ExpectationResult>& broken, std::string_view hint);

}  // namespace lockkeeper::core
