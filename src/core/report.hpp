/// \file
/// How a run went: the one value from which the exit code, the last log line, the termination message and the metrics
/// are made, so that they cannot disagree. What is not known is nullopt and is left out, never shown as zero.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "util/clock.hpp"
#include "util/error.hpp"

namespace lockkeeper::core {

/// One migration that this run applied, rolled back or recorded.
struct AppliedStep {
  std::string version;
  std::string name;
  std::string direction;  ///< up, down, baseline, repair
  std::size_t statements = 0;
  std::chrono::steady_clock::duration duration{};
  util::WallTime began{};
};

/// One pass through a stage: the plan is made again under the lock, and a run that lost its connection connects twice.
struct StageTime {
  std::string stage;  ///< connect, plan, lock, apply, verify
  std::chrono::steady_clock::duration duration{};
  util::WallTime began{};
};

/// The tables that a transaction had locked against writing when it ended, by the planner's estimate.
struct Touched {
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
};

struct Report {
  std::string command;
  std::string tool_version;
  std::string environment;  ///< --env, or empty
  std::string database;     ///< current_database(); empty = never connected
  util::Outcome outcome = util::Outcome::ok;
  std::optional<util::ErrorInfo> error;
  std::optional<std::string> version_from;  ///< newest applied version before the run; "" = none applied
  std::optional<std::string> version_to;    ///< newest applied version after the run
  std::vector<AppliedStep> applied;         ///< in order
  std::optional<std::size_t> known;         ///< migrations in the directory
  std::optional<std::size_t> pending;       ///< still pending now (of the phase that was asked for)
  std::optional<bool> ahead;                ///< the database has versions newer than every file
  std::optional<std::size_t> half_done;
  std::optional<std::size_t> checksum_mismatches;
  std::optional<std::chrono::steady_clock::duration> lock_wait;
  std::size_t lock_attempts = 0;  ///< how often it asked for the lock that admits one runner at a time
  std::size_t lock_timeout_retries = 0;
  std::size_t blockers_seen = 0;    ///< different sessions that our statements waited for
  std::size_t queue_peak = 0;       ///< most sessions that were seen waiting behind us at once
  util::Duration queue_longest{0};  ///< longest time that others waited behind us without a break
  std::size_t invalid_indexes_repaired = 0;
  Touched touched;                    ///< by the migrations in a transaction
  std::optional<AppliedStep> failed;  ///< the migration that the run failed at
  std::vector<StageTime> stages;      ///< in order
  std::string trace_id;               ///< W3C, 32 hex digits; empty = the run is not traced
  util::WallTime started;
  std::chrono::steady_clock::duration duration{};
};

}  // namespace lockkeeper::core
