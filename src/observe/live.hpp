/// \file
/// A run that is still going on, in numbers: what an interim push says of it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "util/clock.hpp"

namespace lockkeeper::observe {

struct Live {
  std::string tool_version;
  std::string database;  ///< empty = not known yet
  util::WallTime started{};
  std::size_t applied = 0;  ///< so far
  std::optional<std::size_t> pending;
  std::optional<util::SteadyTime> statement_began;  ///< nullopt: no statement is known to run; in the future: a retry
  std::optional<util::SteadyTime> lock_wait_began;  ///< it waits for the lock right now
  util::SteadyTime::duration lock_wait{};           ///< before that
  std::size_t lock_attempts = 0;
  std::size_t lock_timeout_retries = 0;
  std::size_t blockers_seen = 0;
  std::size_t queue_peak = 0;
  util::Duration queue_longest{0};
};

/// When a Live is looked at.
struct Moment {
  util::WallTime wall;
  util::SteadyTime steady;
};

}  // namespace lockkeeper::observe
