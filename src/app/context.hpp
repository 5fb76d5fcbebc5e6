/// \file
/// What one run of a command has at hand, and the few steps that several commands share.
#pragma once

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/environment.hpp"
#include "config/settings.hpp"
#include "core/apply.hpp"
#include "core/database.hpp"
#include "core/events.hpp"
#include "core/plan.hpp"
#include "core/report.hpp"
#include "pg/database.hpp"
#include "util/clock.hpp"

namespace lockkeeper::app {

struct Context {
  const config::Settings& settings;
  const config::Environment& environment;
  util::Clock& clock;
  core::Observer& observer;
  core::Report& report;
  std::string traceparent;  ///< W3C, of this run; empty = not traced
  util::Deadline deadline;
  bool interactive = false;  ///< a person is at stdin and stderr
  bool stdout_colour = false;
  bool stderr_colour = false;
};

/// Until its end, the run is in this stage: one more in the report.
class StageTimer {
 public:
  StageTimer(Context& context, std::string stage);
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  Context& m_context;
  std::string m_stage;
  util::SteadyTime m_begin;
  util::WallTime m_began;
};

/// A connection and the database on it. Closing it gives the lock back.
class Session {
 public:
  enum class Use { read, write };

  /// Connects, waiting as the settings say, and reads facts and history in one request. \p expected_history: see
  /// pg::DatabaseSettings; only for who makes a plan of the snapshot.
  /// \throws what pg::connect throws; Error{unsupported_server} when the server cannot be used for \p use
  Session(Context& context, Use use, const std::string& expected_history = {});

  [[nodiscard]] pg::Database& database() { return *m_database; }
  [[nodiscard]] pg::Connection& connection() { return *m_connection; }
  [[nodiscard]] const core::Snapshot& snapshot() const { return m_snapshot; }

 private:
  std::unique_ptr<pg::Connection> m_connection;  // stable address: the database refers to it
  std::unique_ptr<pg::Database> m_database;
  core::Snapshot m_snapshot;
};

/// So often in a row a run goes on after it has lost its connection without getting further.
inline constexpr int k_reconnects = 3;
/// Another session after the first was lost.
/// \throws Error{connection_lost} when there is none within --connect-wait, and what Session throws
std::unique_ptr<Session> reconnect(Context& context);
/// A migration is done although its COMMIT was not answered: in the report, with what is known of its attempt.
void report_arrived(Context& context, const core::Migration& migration, const std::string& direction,
                    std::size_t statements);
void tell_lost(Context& context, const util::Error& error);

core::Run make_run(Context& context, Session& session);

/// Reads the directory and tells the report how many migrations it has.
std::vector<core::Migration> scan_files(Context& context);
/// Parses all of \p files, for the commands that show or check everything.
void parse_all(std::vector<core::Migration>& files);

/// The plan that `up` would carry out: pending files parsed, phase selected, half-done files checked; report filled.
/// Findings stay in it.
core::Plan plan_run(Context& context, std::vector<core::Migration>& files, const core::History& history);
/// Behind a pooler in transaction mode only scripts can run that need one transaction and leave nothing in the session.
/// \throws Error{unsupported_server} with the place of the first statement that is none of that
void require_session(const Context& context, Session& session, const core::Migration& migration,
                     const core::Script& script);
/// \throws the first error of the plan, with the others as its detail; warnings are told to the observer
void throw_findings(Context& context, const core::Plan& plan);

/// \throws Error{policy} when the environment forbids the command
void refuse_if_forbidden(const Context& context);
/// Asks on a terminal unless --yes. \throws Error{policy} when the answer is no
void confirm(Context& context, const std::string& question);
/// "database app on localhost:5432 (environment prod)"
std::string where(const Context& context, Session& session);

/// Shows something to the person at the terminal, on stderr; what cannot be written is lost.
void tell(const std::string& text);
/// Writes a command's own output, to stdout.
void print(const std::string& text);
/// A finding or broken expectation as an error with more than one part: the first decides, the rest becomes detail.
[[noreturn]] void throw_all(const std::vector<util::ErrorInfo>& errors);

}  // namespace lockkeeper::app
