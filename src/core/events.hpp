/// \file
/// What happens during a run, told to whoever listens (log, terminal, tests). The core has no logger and no counter.
/// Events hold no secrets: a util::Secret cannot be put into one by accident.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/report.hpp"
#include "util/clock.hpp"
#include "util/error.hpp"

namespace lockkeeper::core {

enum class Level { debug, info, warning, error };

/// Somebody who holds the lock that we wait for. Fields that our role may not see are nullopt.
struct LockHolder {
  int pid = 0;
  std::string application_name;
  std::optional<std::string> client;  ///< address
  std::optional<std::string> user;
  std::optional<std::chrono::seconds> session_age;
};
/// "pid 4711 (lockkeeper/0.1.0 up), connected 12 s ago from 10.0.0.7"
std::string to_string(const LockHolder& holder);

/// A session that a statement of ours waits for. What our role may not see is nullopt or empty.
/// Source: https://www.postgresql.org/docs/current/monitoring-stats.html#MONITORING-PG-STAT-ACTIVITY-VIEW
struct Blocker {
  int pid = 0;
  std::string application_name;
  std::string backend_type;           ///< "client backend", "autovacuum worker"
  std::optional<std::string> client;  ///< address
  std::optional<std::string> user;
  std::optional<std::string> state;  ///< "idle in transaction"
  std::optional<std::chrono::seconds> transaction_age;
  std::optional<std::string> query;  ///< its last one, as one line, shortened

  bool operator==(const Blocker&) const = default;
};
/// "pid 4711 (reports), user app, from 10.0.0.7, idle in transaction for 12m: SELECT ..."
std::string to_string(const Blocker& blocker);

struct RunStarted {
  std::string command;
  std::string tool_version;
  std::string environment;
  std::string url_source;  ///< "environment variable DATABASE_URL", never the value; empty: no database is needed
};
/// Something worth knowing that is neither progress nor an error: "ignored Prisma's URL parameter connection_limit".
struct Note {
  Level level = Level::info;
  std::string message;
};
struct ConnectRetry {
  std::string target;  ///< host:port/database
  std::string reason;
  util::Duration wait{0};
};
struct Connected {
  std::string target;
  std::string database;
  std::string user;
  std::string server_version;  ///< "15.18"
  std::chrono::steady_clock::duration duration{};
};
struct PlanMade {
  std::size_t known = 0;
  std::size_t applied = 0;
  std::size_t pending = 0;
  bool ahead = false;
  std::string version;  ///< newest applied; empty = none
};
struct LockWaiting {
  std::optional<LockHolder> holder;  ///< nullopt: released between our question and theirs
  std::chrono::steady_clock::duration waited{};
  util::Duration limit{0};
};
struct LockAcquired {
  std::chrono::steady_clock::duration waited{};
};
struct StepStarted {
  std::string version;
  std::string name;
  std::string direction;
  std::size_t statements = 0;
  std::size_t first_statement = 0;  ///< from 0; more than 0 = resumed
  bool transactional = true;
};
/// Told at debug level (--verbose), when its result is known.
struct StatementFinished {
  std::string version;
  std::size_t index = 0;  ///< from 0
  std::size_t total = 0;
  std::string kind;
  std::string text;  ///< as in the file
};
/// A statement waits for locks, or others queue behind it. Told when what is seen changes, and every ten seconds.
struct StepBlocked {
  std::string version;
  std::string name;
  std::optional<std::size_t> index;  ///< of the statement, from 0
  std::vector<Blocker> blockers;     ///< whom we wait for; empty: only the queue is worth telling
  std::size_t queued = 0;            ///< sessions that wait behind us
  util::Duration waited{0};          ///< of this wait so far
  util::Duration queued_longest{0};  ///< so far: longest time that others waited behind us without a break
};
/// A statement has been running for two seconds or more. Told every 250 ms: whoever shows it decides how often.
struct StepProgress {
  std::string version;
  std::string name;
  std::optional<std::size_t> index;  ///< of the statement, from 0; nullopt: one of the migration's
  std::size_t total = 0;             ///< statements of the migration
  std::string kind;                  ///< "CREATE INDEX CONCURRENTLY"; empty when index is nullopt
  util::Duration running{0};
  std::string phase;                   ///< as the server says it: "building index: scanning table"; empty = not told
  std::optional<double> fraction;      ///< of the phase, 0 to 1
  std::optional<util::Duration> left;  ///< estimated for the phase
  std::vector<Blocker> waiting_for;    ///< CONCURRENTLY: sessions with old snapshots
  std::size_t queued = 0;              ///< sessions that wait behind us
  util::Duration queued_longest{0};    ///< as in StepBlocked
};
struct StepRetry {
  std::string version;
  std::string name;
  std::string reason;  ///< "canceling statement due to lock timeout (SQLSTATE 55P03)"
  std::size_t attempt = 1;
  util::Duration wait{0};
  std::vector<Blocker> blockers;  ///< last seen
  std::size_t queued = 0;         ///< most sessions that were seen waiting behind us in this attempt
};
/// What was seen of waiting while a statement, or a whole transaction, ran. Told at its end, if there was any.
struct WaitsSeen {
  std::string version;
  std::string name;
  std::vector<int> blockers;         ///< pids of the sessions that it waited for, 0 = a prepared transaction
  std::size_t queued = 0;            ///< most sessions that waited behind us at once
  util::Duration queued_longest{0};  ///< longest time that others waited behind us without a break
};
/// An INVALID index that a build had left was dropped.
struct IndexRepaired {
  std::string index;    ///< as SQL names it
  std::string message;  ///< "index i was INVALID, left by a build that failed: dropped and built again"
};
struct StepFinished {
  AppliedStep step;
};
struct StepFailed {
  std::string version;
  std::string name;
  util::ErrorInfo error;
};
struct RunFinished {
  Report report;
};

using Event = std::variant<RunStarted, Note, ConnectRetry, Connected, PlanMade, LockWaiting, LockAcquired, StepStarted,
                           StatementFinished, StepBlocked, StepProgress, StepRetry, WaitsSeen, IndexRepaired,
                           StepFinished, StepFailed, RunFinished>;

class Observer {
 public:
  virtual ~Observer() = default;
  /// Must not throw for trouble of its own (a closed terminal, a full disk).
  virtual void on(const Event& event) = 0;
};

}  // namespace lockkeeper::core
