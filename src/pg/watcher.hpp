/// \file
/// Looks, over a second connection, what a running statement waits for and who waits behind it; asks it to give way
/// when the queue gets too long; and tells how far a long statement is.
///
/// It only reads (pg_stat_activity, pg_locks, pg_blocking_pids(), pg_stat_progress_*) and takes no lock. It connects
/// when a statement has been running for a while, so a quick run has one connection only. Without it (watch: off, no
/// free slot) a run goes on and says so; statements that run long are told all the same, without what only the server
/// knows. Sources: https://www.postgresql.org/docs/current/functions-info.html (pg_blocking_pids)
///          https://www.postgresql.org/docs/current/progress-reporting.html
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/database.hpp"
#include "core/events.hpp"
#include "pg/connection.hpp"
#include "util/clock.hpp"

namespace lockkeeper::pg {

struct WatchSettings {
  bool on = true;
  std::size_t queue_limit = 20;  ///< more sessions behind us for a second: give way; zero = never
  std::string application_name;  ///< of the second connection
};

/// What is run and watched.
struct Watched {
  const core::Attempt* attempt = nullptr;
  std::optional<std::size_t> index;  ///< of the statement; nullopt: the whole script in one transaction
  int backend_pid = 0;               ///< that runs it
  /// The attempt's lock_timeout as a limit for the table locks that are waited for; zero = no limit by us.
  util::Duration table_lock_limit{0};
  /// CONCURRENTLY: only while it waits for a table lock is there nothing to lose; later an INVALID index would be left.
  bool cancel_only_before_start = false;
  /// What it has committed by then would be done twice: CALL.
  bool never_cancel = false;
};

/// What was seen while a statement ran.
struct Sighting {
  std::vector<core::Blocker> blockers;  ///< last seen
  std::size_t queued = 0;               ///< most sessions that waited behind us
  util::Duration queued_longest{0};     ///< longest time that somebody waited behind us without a break
  std::vector<int> pids;                ///< of all blockers that were seen
  std::string gave_way;                 ///< why the statement was cancelled; empty = it was not
};

class Watcher final : public Companion {
 public:
  /// The references must outlive the watcher.
  Watcher(const Connection& watched, WatchSettings settings, util::Clock& clock, core::Observer& observer);
  ~Watcher() override;
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  void begin(const Watched& watched);
  /// Says what was seen, and tells it (core::WaitsSeen).
  Sighting end();

  [[nodiscard]] Wish wish() const override;
  void step(bool ready) override;
  [[nodiscard]] bool wants_cancel() const override { return !m_seen.gave_way.empty(); }

 private:
  enum class Link { none, connecting, idle, asking };
  struct Progress {
    std::string phase;
    std::optional<double> fraction;
    util::SteadyTime phase_began;
  };

  void connect();
  void go_on_connecting();
  void ask();
  void take_answer();
  void judge(const std::vector<ResultHandle>& answers);
  void see_queue(std::size_t queued);
  void see_wait(bool for_table);
  void see_progress(const PGresult* answer);
  void tell_blocked();
  void tell_progress();
  void give_way(std::string reason);
  void lose_link(const std::string& reason);
  [[nodiscard]] std::string question() const;
  [[nodiscard]] util::Duration running() const;
  [[nodiscard]] bool is_concurrent() const;

  const Connection& m_connection;
  WatchSettings m_settings;
  util::Clock& m_clock;
  core::Observer& m_observer;

  // The second connection
  Link m_link = Link::none;
  ConnectionHandle m_handle;
  PostgresPollingStatusType m_polling = PGRES_POLLING_WRITING;
  util::SteadyTime m_link_since;  ///< when connecting or asking began
  util::SteadyTime m_next;        ///< when to connect or to ask next
  std::vector<ResultHandle> m_answers;
  bool m_answer_is_stale = false;  ///< it was asked about an earlier statement
  bool m_told_lost = false;
  bool m_paused = true;   ///< off, or it would be in the way of this statement
  bool m_proved = false;  ///< this connection has answered

  // The statement that is watched
  Watched m_watched;
  util::SteadyTime m_began;
  Sighting m_seen;
  std::optional<std::size_t> m_index;               ///< of the statement that runs, as far as it is known
  util::SteadyTime m_judged;                        ///< when it was looked at last, or began
  std::optional<util::SteadyTime> m_waiting_since;  ///< the present wait for a lock
  std::optional<util::SteadyTime> m_last_sample;
  util::Duration m_table_waits{0};                  ///< together, of this attempt
  std::optional<util::SteadyTime> m_crowded_since;  ///< the queue has been over its limit
  std::optional<util::SteadyTime> m_queued_since;   ///< somebody has been behind us
  std::vector<core::Blocker> m_present;             ///< whom it waits for right now
  std::size_t m_queued = 0;
  std::optional<Progress> m_progress;
  std::optional<util::SteadyTime> m_blocked_told;
  std::vector<int> m_blocked_pids_told;
  std::optional<util::SteadyTime> m_progress_told;
};

/// Watches as long as it lives.
class Watch {
 public:
  Watch(Watcher& watcher, Connection& connection, const Watched& watched);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  /// Ends it, and says what was seen.
  Sighting end();

 private:
  Watcher& m_watcher;
  Connection& m_connection;
  bool m_over = false;
};

}  // namespace lockkeeper::pg
