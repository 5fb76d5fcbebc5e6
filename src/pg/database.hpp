/// \file
/// core::Database on a real server. One connection does the locking and the DDL.
///
/// Behind a pooler in transaction mode there is no session of ours: then every transaction takes the lock itself, looks
/// whether the history is still the one that the plan was made from, and sets everything with SET LOCAL.
///
/// Round trips: read() and try_lock() one each; of all announced transactions together one, however many they are, as
/// long as nothing fails (database_ahead.cpp). Without that (pipeline: off, COPY, a roll-back, a pooler), and to repeat
/// a COMMIT that failed, apply_transaction() takes two: everything up to the expectations, then history row and COMMIT;
/// one more to roll back, and one more to take the lock behind a pooler.
#pragma once

#include <deque>
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
#include "pg/script_queries.hpp"
#include "pg/session.hpp"
#include "pg/watcher.hpp"

namespace lockkeeper::pg {

struct DatabaseSettings {
  HistoryTable history;
  /// The first read() leaves the history's rows where they are when they are these: files::history_checksum(). Empty:
  /// always reads them.
  std::string expected_history;
  SessionSettings session;
  std::string runner;        ///< history.runner: "lockkeeper/0.1.0 pod-name"
  std::string environment;   ///< --env, kept in history.details
  std::string tool_version;  ///< for the comment behind each statement
  std::string traceparent;   ///< for the same; empty = not traced
  std::string trace_id;      ///< kept in history.details; empty = not traced
  WatchSettings watch;
  bool pipeline = true;       ///< announced transactions are sent before those ahead of them are answered
  bool async_commits = true;  ///< a commit that another of the same pipeline follows does not wait for the disk
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
  void announce(std::vector<core::Attempt> attempts) override;
  core::AttemptResult apply_transaction(const core::Attempt& attempt) override;
  [[nodiscard]] std::size_t unanswered() const override;
  void settle() override;
  /// An earlier session of this run may have committed what is not on disk yet: settle() asks.
  void assume_unsettled() { m_unsettled_before = m_settings.async_commits; }
  /// How many of this session's newest commits may not be on disk; nullopt: nor earlier sessions'.
  [[nodiscard]] std::optional<std::size_t> unsettled() const {
    return m_unsettled_before ? std::nullopt : std::optional(m_unsettled);
  }
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

  /// A transaction that was sent and is not answered, and where its answers will be.
  struct Sent {
    core::Attempt attempt;
    bool early = false;                ///< before it was asked for
    bool followed = false;             ///< by another one, so that its commit need not wait for the disk
    std::size_t bytes = 0;             ///< of the request
    std::size_t preamble = 0;          ///< answers before the script's
    std::vector<std::size_t> answers;  ///< of the script's statements
    Checks checks;
    std::size_t touched = 0;
    std::size_t row = 0;
    std::size_t commit = 0;
    std::optional<std::size_t> unlock;  ///< behind the last one
  };

  void keep_promise(const core::Attempt& attempt);
  [[nodiscard]] bool may_be_sent_ahead(const core::Attempt& attempt) const;
  void send_ahead(core::Attempt attempt, bool early);
  void send_followers();
  [[nodiscard]] bool is_followed() const;
  core::AttemptResult apply_ahead(const core::Attempt& attempt);
  static bool is_committed(const std::vector<Result>& results, const Sent& sent);
  void take_committed(const std::vector<Result>& results, const Sighting& seen, core::AttemptResult& result);
  void count_commit(const core::Attempt& attempt, bool asynchronous);
  Sent forget_sent();
  bool explain(const Sent& sent, const std::vector<Result>& results, const Sighting& seen,
               core::AttemptResult& result) const;
  core::AttemptResult apply_alone(const core::Attempt& attempt);

  core::Snapshot read_in_transaction(const std::string& history);
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
  /// Returns the index of the answer, which holds the row's id, and the transaction's age in microseconds.
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
  static bool is_given_way(const ServerError& error, const Sighting& seen);
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

  // Transactions that are sent ahead
  std::deque<core::Attempt> m_announced;  ///< not sent
  std::deque<Sent> m_sent;                ///< not answered, oldest first
  std::size_t m_sent_bytes = 0;
  bool m_promised = false;                  ///< after the last announced one the lock is not needed any more
  const core::Migration* m_held = nullptr;  ///< failed, and is repeated without company
  std::string m_late_give_way;              ///< why one before was to be cancelled, but was committed
  std::size_t m_late_reach = 0;             ///< so many that were under way then may be hit by that cancel
  bool m_unlocked = false;                  ///< with the last commit
  std::size_t m_unsettled = 0;              ///< newest commits that may not be on disk
  bool m_unsettled_before = false;          ///< nor those of earlier sessions
};

}  // namespace lockkeeper::pg
