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
struct StepRetry {
  std::string version;
  std::string name;
  std::string reason;  ///< "could not get a lock within 2s (SQLSTATE 55P03)"
  std::size_t attempt = 1;
  util::Duration wait{0};
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
                           StatementFinished, StepRetry, StepFinished, StepFailed, RunFinished>;

class Observer {
 public:
  virtual ~Observer() = default;
  /// Must not throw for trouble of its own (a closed terminal, a full disk).
  virtual void on(const Event& event) = 0;
};

}  // namespace lockkeeper::core
