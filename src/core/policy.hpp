/// \file
/// What settings decide for the core: the only part of the configuration that plan and apply see.
#pragma once

#include <optional>

#include "core/migration.hpp"
#include "util/clock.hpp"

namespace lockkeeper::core {

enum class OnAhead { ok, warn, fail };
enum class OnOutOfOrder { fail, apply };
enum class OnMissing { fail, ignore };
enum class PhaseFilter { pre, post, all };

struct Policy {
  OnAhead on_ahead = OnAhead::ok;                     ///< the database has versions newer than every file
  OnOutOfOrder on_out_of_order = OnOutOfOrder::fail;  ///< a pending file is older than an applied one
  OnMissing on_missing = OnMissing::fail;             ///< an applied version has no file
  PhaseFilter phase = PhaseFilter::pre;
};

/// Time limits of one run. Zero = no limit, unless said otherwise.
struct Limits {
  util::Duration lock_wait{std::chrono::minutes(5)};          ///< for the advisory lock; zero = try once
  util::Duration lock_timeout{std::chrono::seconds(2)};       ///< one attempt's budget for all its lock waits
  util::Duration lock_retry_budget{std::chrono::minutes(5)};  ///< for all attempts of one migration; zero = one attempt
  util::Duration statement_timeout{0};
  util::Duration deadline{0};    ///< for the whole run
  bool watch = true;             ///< a second connection looks who blocks us while a statement runs
  std::size_t queue_limit = 20;  ///< more sessions than that behind us for a second: give way; zero = never
  bool pipeline = true;          ///< migrations are sent before those ahead of them are answered
  bool async_commits = true;     ///< of those only the last commit waits for the server's disk
};

}  // namespace lockkeeper::core
