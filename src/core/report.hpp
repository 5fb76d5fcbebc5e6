/// \file
/// How a run went: the one value from which the exit code, the last log line, the termination message and the metrics
/// are made, so that they cannot disagree. What is not known is nullopt and is left out, never shown as zero.
#pragma once

#include <cstddef>
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
};

struct StageTime {
  std::string stage;  ///< connect, plan, lock, apply, verify
  std::chrono::steady_clock::duration duration{};
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
  std::size_t lock_timeout_retries = 0;
  std::vector<StageTime> stages;
  util::WallTime started;
  std::chrono::steady_clock::duration duration{};
};

}  // namespace lockkeeper::core
