/// \file
/// core::Database on a real server. One connection does the locking and the DDL.
///
/// Round trips: read() and try_lock() one each; apply_transaction() two (everything up to the expectations, then
/// history row and COMMIT), one more to roll back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/database.hpp"
#include "core/events.hpp"
#include "pg/connection.hpp"
#include "pg/diagnosis.hpp"
#include "pg/history.hpp"
#include "pg/session.hpp"

namespace lockkeeper::pg {

struct DatabaseSettings {
  HistoryTable history;
  SessionSettings session;
  std::string runner;       ///< history.runner: "lockkeeper/0.1.0 pod-name"
  std::string environment;  ///< --env, kept in history.details
};

class Database final : public core::Database {
 public:
  Database(Connection& connection, DatabaseSettings settings, core::Observer& observer);

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

  core::History history_from(const Result& layout, const Result& rows) const;
  void add_begin(Batch& batch, const core::Attempt& attempt) const;
  void add_progress(Batch& batch, const core::Attempt& attempt, std::int64_t row, std::size_t done) const;
  void add_history_row(Batch& batch, const core::Attempt& attempt, core::AttemptOutcome outcome, std::size_t done,
                       const std::string& error) const;
  void add_clean_session(Batch& batch);
  void grant_readers();
  void run_in_one_transaction(std::vector<std::string> statements, const std::string& what);

  std::optional<core::SqlFailure> run_script(const core::Attempt& attempt,
                                             std::vector<core::ExpectationResult>& broken);
  std::optional<core::SqlFailure> run_script_with_copy(const core::Attempt& attempt,
                                                       std::vector<core::ExpectationResult>& broken);
  std::optional<core::SqlFailure> run_alone(const core::Attempt& attempt, const Statement& statement);
  std::optional<core::SqlFailure> run_in_transaction(const core::Attempt& attempt, std::int64_t row, std::size_t index);
  std::optional<core::SqlFailure> run_outside(const core::Attempt& attempt, std::size_t index);
  bool prepare_concurrent_index(const core::ConcurrentIndex& index, bool may_be_done);
  void begin(const core::Attempt& attempt);
  void commit(std::vector<Result> results);
  void roll_back() noexcept;

  Connection& m_connection;
  DatabaseSettings m_settings;
  core::Observer& m_observer;
  Diagnosis m_diagnosis;
  core::Server m_server;
  std::string m_session_search_path;
  bool m_session_ready = false;  ///< our settings are in force
  bool m_session_used = false;   ///< a migration ran in it
  bool m_history_exists = false;
};

}  // namespace lockkeeper::pg
