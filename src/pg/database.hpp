/// \file
/// core::Database on a real server. One connection does the locking and the DDL.
///
/// Behind a pooler in transaction mode there is no session of ours: then every transaction takes the lock itself, looks
/// whether the history is still the one that the plan was made from, and sets everything with SET LOCAL.
///
/// Round trips: read() and try_lock() one each; apply_transaction() two (everything up to the expectations, then
/// history row and COMMIT), one more to roll back, and one more to take the lock behind a pooler.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/database.hpp"
#include "core/events.hpp"
#include "pg/connection.hpp"
#include "pg/diagnosis.hpp"
#include "pg/footprint.hpp"
#include "pg/history.hpp"
#include "pg/session.hpp"
#include "pg/watcher.hpp"

namespace lockkeeper::pg {

struct DatabaseSettings {
  HistoryTable history;
  SessionSettings session;
  std::string runner;        ///< history.runner: "lockkeeper/0.1.0 pod-name"
  std::string environment;   ///< --env, kept in history.details
  std::string tool_version;  ///< for the comment behind each statement
  std::string traceparent;   ///< for the same; empty = not traced
  std::string trace_id;      ///< kept in history.details; empty = not traced
  WatchSettings watch;
  util::Duration check_lock_timeout{std::chrono::seconds(2)};  ///< for expectations outside a migration; zero = none
};

class Database final : public core::Database {
 public:
  Database(Connection& connection, DatabaseSettings settings, util::Clock& clock, core::Observer& observer);
  ~Database() override;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  core::Snapshot read() override;
  core::LockAttempt try_lock() override;
  void unlock() noexcept override;
  void prepare_history() override;
  core::AttemptResult apply_transaction(const core::Attempt& attempt) override;
  std::vector<core::Loss> count_losses(const core::Attempt& attempt) override;
  std::int64_t record_started(const core::Attempt& attempt) override;
  std::optional<core::SqlFailure> run_statement(const core::Attempt& attempt, std::int64_t row,
                                                std::size_t index) override;
  core::AttemptResult record_finished(const core::Attempt& attempt, std::int64_t row) override;
  void record_failed(const core::Attempt& attempt, std::optional<std::int64_t> row, bool nothing_done,
                     const util::ErrorInfo& error) noexcept override;
  void record(const core::Record& record) override;
  std::vector<core::ExpectationResult> check(const std::vector<core::Expectation>& expectations) override;

 private:
  using Statement = core::Statement;

  core::Snapshot read_in_transaction();
  core::History history_from(const Result& layout, const Result& rows);
  void tell_overridden(const Result& answer);
  core::AttemptResult take_turn(const core::Attempt& attempt);
  void free_stranded_lock() noexcept;
  [[nodiscard]] bool unlock_on_others(int pid);
  [[nodiscard]] bool unlock_on(Connection& connection, int pid);
  /// A statement as it is sent, with our comment.
  [[nodiscard]] std::string sql_of(const core::Attempt& attempt, const Statement& statement) const;
  void add_begin(Batch& batch, const core::Attempt& attempt) const;
  void add_own_writing(Batch& batch) const;
  void add_progress(Batch& batch, const core::Attempt& attempt, std::int64_t row, std::size_t done) const;
  /// Returns the index of the answer, which holds the row's id.
  std::size_t add_history_row(Batch& batch, const core::Attempt& attempt, core::AttemptOutcome outcome,
                              std::size_t done, const std::string& error) const;
  void add_clean_session(Batch& batch);
  void grant_readers();
  void run_in_one_transaction(std::vector<std::string> statements, const std::string& what);

  /// A statement that the server refused.
  struct Refusal {
    const Statement* statement = nullptr;
    ServerError error;
  };
  std::optional<Refusal> run_script(const core::Attempt& attempt, std::vector<core::ExpectationResult>& broken);
  std::optional<Refusal> run_script_with_copy(const core::Attempt& attempt,
                                              std::vector<core::ExpectationResult>& broken);
  static std::optional<Refusal> find_passing(const core::Attempt& attempt, const std::vector<Result>& results);
  std::optional<core::SqlFailure> count_losses_first(const core::Attempt& attempt, std::vector<core::Loss>& losses,
                                                     Watch& watch);
  std::optional<core::SqlFailure> record_applied(const core::Attempt& attempt, Watch& watch, core::Touched& touched);
  void restore_session(const core::Attempt& attempt, Batch& batch);
  std::optional<Refusal> run_alone(const core::Attempt& attempt, const Statement& statement);
  std::optional<core::SqlFailure> run_in_transaction(const core::Attempt& attempt, std::int64_t row, std::size_t index);
  std::optional<core::SqlFailure> run_outside(const core::Attempt& attempt, std::int64_t row, std::size_t index);
  void prepare_outside(const core::Attempt& attempt, std::int64_t row, std::size_t index);
  void forget_running(std::int64_t row);
  void record_progress(const core::Attempt& attempt, std::int64_t row, std::size_t done);
  [[nodiscard]] Watched watched(const core::Attempt& attempt, std::optional<std::size_t> index) const;
  [[nodiscard]] core::SqlFailure failure(const core::Attempt& attempt, const Refusal& refusal,
                                         const Sighting& seen) const;
  void begin(const core::Attempt& attempt);
  void commit(std::vector<Result> results);
  void roll_back() noexcept;

  Connection& m_connection;
  DatabaseSettings m_settings;
  util::Clock& m_clock;
  core::Observer& m_observer;
  Diagnosis m_diagnosis;
  Footprints m_footprints;
  Watcher m_watcher;
  core::Server m_server;
  int m_backend_pid = 0;            ///< that answers; behind a pooler not the one of the connection
  bool m_per_transaction = false;   ///< a pooler that may give each transaction another backend
  bool m_schema_exists = false;     ///< take_turn() found the history's schema
  std::int64_t m_newest_row = 0;    ///< of the history as it was read last, or written by us; 0 = none
  std::optional<int> m_locked_pid;  ///< the backend that holds our session lock, behind a pooler
  std::string m_session_search_path;
  bool m_session_ready = false;  ///< our settings are in force
  bool m_session_used = false;   ///< a migration ran in it
  bool m_history_exists = false;
};

}  // namespace lockkeeper::pg
