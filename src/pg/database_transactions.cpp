#include <algorithm>

#include <fmt/format.h>

#include "pg/database.hpp"
#include "pg/lock.hpp"
#include "pg/loss_guard.hpp"
#include "pg/script_queries.hpp"
#include "pg/session.hpp"

// The part of Database that runs scripts in one transaction each, one request after the other; database_ahead.cpp sends
// several before the first is answered.
namespace lockkeeper::pg {

namespace {

using core::Attempt;
using core::AttemptOutcome;
using core::AttemptResult;
using core::ExpectationResult;
using core::SqlFailure;
using core::Statement;
using util::Error;
using util::Outcome;

}  // namespace

AttemptResult Database::apply_transaction(const Attempt& attempt) {
  return may_be_sent_ahead(attempt) ? apply_ahead(attempt) : apply_alone(attempt);
}

/// Looks at each answer before it goes on.
AttemptResult Database::apply_alone(const Attempt& attempt) {
  keep_promise(attempt);
  AttemptResult result;
  try {
    if (m_per_transaction) {
      result = take_turn(attempt);
      if (result.turn != AttemptResult::Turn::ours) {
        roll_back();
        return result;
      }
    }
    Watch watch(m_watcher, m_connection, watched(attempt, std::nullopt));
    if (attempt.guard_data_loss) {
      begin(attempt);
      result.failure = count_losses_first(attempt, result.losses, watch);
      if (!result.applied()) {
        roll_back();
        return result;
      }
    }
    const std::optional<Refusal> refusal =
        has_copy(attempt.script()) ? run_script_with_copy(attempt, result.broken) : run_script(attempt, result.broken);
    if (refusal) {
      result.failure = failure(attempt, *refusal, watch.end());
    }
    if (!result.applied()) {
      roll_back();
      return result;
    }
    if (!m_connection.in_transaction()) {
      throw Error(Outcome::internal, "the script ended the transaction that it ran in",
                  "Remove COMMIT and ROLLBACK from the file and from what it calls.");
    }
    result.failure = record_applied(attempt, watch, result.touched);
  } catch (const Error&) {
    roll_back();
    throw;
  }
  return result;
}

/// The tables are locked for it, so that a lock may be waited for here too.
std::optional<SqlFailure> Database::count_losses_first(const Attempt& attempt, std::vector<core::Loss>& losses,
                                                       Watch& watch) {
  try {
    losses = pg::count_losses(m_connection, m_diagnosis, attempt);
    return std::nullopt;
  } catch (const Error& error) {
    const ServerError refused{.sqlstate = error.info().sqlstate, .message = error.what()};
    if (refused.sqlstate.empty() || !is_passing(refused)) {
      throw;
    }
    return failure(attempt, {.statement = &attempt.script().statements.front(), .error = refused}, watch.end());
  }
}

/// The history row and COMMIT.
std::optional<SqlFailure> Database::record_applied(const Attempt& attempt, Watch& watch, core::Touched& touched) {
  Batch batch;
  const std::size_t tables = batch.add(touched_query());
  if (m_per_transaction) {
    for (std::string& sql : m_history_exists ? grant_statements(m_settings.history)
                                             : create_statements(m_settings.history, m_schema_exists)) {
      batch.add(std::move(sql));
    }
  }
  const std::size_t row =
      add_history_row(batch, attempt, AttemptOutcome::applied, attempt.script().statements.size(), {});
  const std::size_t commit_at = batch.add("COMMIT");
  std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
  const Sighting seen = watch.end();
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].status() != Result::Status::failed) {
      continue;
    }
    const Refusal refusal{.statement = &attempt.script().statements.back(), .error = results[i].error()};
    const bool deferred = i == commit_at;  // COMMIT checks what is deferred
    if (deferred || is_given_way(refusal.error, seen)) {
      m_connection.throw_if_stopped();
      SqlFailure failed = failure(attempt, refusal, seen);
      failed.error.message = "at COMMIT: " + failed.error.message;
      roll_back();
      return failed;
    }
  }
  const auto id = results[row].ok() ? results[row].number(0, 0) : 0;
  if (results[tables].ok()) {
    touched = {.rows = results[tables].number(0, 0), .bytes = results[tables].number(0, 1)};
  }
  commit(std::move(results));
  m_newest_row = id;
  m_history_exists = true;
  m_held = nullptr;
  count_commit(attempt, false);
  return std::nullopt;
}

/// Behind a pooler in transaction mode: BEGIN, our settings, the lock until COMMIT, and whether the history is still
/// the one that was read. Leaves the transaction open.
AttemptResult Database::take_turn(const Attempt& attempt) {
  Batch batch;
  batch.add("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
  add_transaction_session(batch, m_connection, m_settings.session);
  add_limits(batch, attempt, attempt.lock_timeout);
  const std::size_t lock = batch.add(try_transaction_lock_query(m_settings.history));
  const std::size_t holder = batch.add(holder_query(m_settings.history));
  const std::size_t facts = batch.add(fmt::format(
      "SELECT pg_catalog.pg_backend_pid(), pg_catalog.to_regclass({}) IS NOT NULL, pg_catalog.to_regnamespace({}) IS "
      "NOT NULL",
      quote_literal(m_settings.history.quoted()), quote_literal(quote_identifier(m_settings.history.schema))));
  std::size_t newest = 0;
  if (m_history_exists) {
    newest = batch.add(
        fmt::format("SELECT coalesce(max(id), 0) FROM {} WHERE outcome <> 'failed'", m_settings.history.quoted()));
  }
  const std::vector<Result> results = m_connection.run(std::move(batch));
  for (const Result& result : results) {
    m_diagnosis.throw_if_failed(result, "cannot begin the transaction");
  }
  m_backend_pid = static_cast<int>(results[facts].number(0, 0));
  m_schema_exists = results[facts].boolean(0, 2);
  AttemptResult result;
  if (!results[lock].boolean(0, 0)) {
    result.turn = AttemptResult::Turn::busy;
    result.holder = parse_holder(results[holder]);
  } else if (results[facts].boolean(0, 1) != m_history_exists ||
             (m_history_exists && results[newest].number(0, 0) != m_newest_row)) {
    result.turn = AttemptResult::Turn::overtaken;
  }
  return result;
}

/// One request: BEGIN, the script, its expectations.
std::optional<Database::Refusal> Database::run_script(const Attempt& attempt, std::vector<ExpectationResult>& broken) {
  const core::Script& script = attempt.script();
  Batch batch;
  if (!m_connection.in_transaction()) {
    add_clean_session(batch);
    add_begin(batch, attempt);
  }
  const std::size_t preamble = batch.size();
  const std::vector<std::size_t> answers =
      add_script(batch, attempt, [this](const Attempt& a, const Statement& s) { return sql_of(a, s); });
  add_own_identity(batch, m_settings.session, m_session_search_path);
  const Checks checks = add_checks(batch, attempt);
  const std::vector<Result> results = m_connection.run(std::move(batch));
  for (std::size_t i = 0; i < preamble; ++i) {
    m_diagnosis.throw_if_failed(results[i], "cannot begin the transaction");
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (results[answers[i]].status() == Result::Status::failed) {
      return Refusal{.statement = &script.statements[i], .error = results[answers[i]].error()};
    }
  }
  if (auto passing = find_passing(attempt, results)) {
    return passing;
  }
  broken = broken_of(checks, attempt, results);
  if (broken.empty()) {
    for (const Result& result : results) {  // what is left: the statements between the script's own
      m_diagnosis.throw_if_failed(result, "cannot run the migration");
    }
  }
  return std::nullopt;
}

/// A lock that was not to be had, or a cancel, between the statements or in an expectation.
std::optional<Database::Refusal> Database::find_passing(const Attempt& attempt, const std::vector<Result>& results) {
  for (const Result& result : results) {
    if (result.status() == Result::Status::failed && is_passing(result.error())) {
      return Refusal{.statement = &attempt.script().statements.back(), .error = result.error()};
    }
  }
  return std::nullopt;
}

/// COPY with data cannot stand in a pipeline: statement by statement, still one transaction.
std::optional<Database::Refusal> Database::run_script_with_copy(const Attempt& attempt,
                                                                std::vector<ExpectationResult>& broken) {
  if (!m_connection.in_transaction()) {
    begin(attempt);
  }
  const bool keep_budget = keeps_lock_budget(attempt);
  for (const Statement& statement : attempt.script().statements) {
    if (keep_budget && &statement != &attempt.script().statements.front()) {
      Batch budget;
      add_remaining_lock_budget(budget, attempt.lock_timeout);
      const std::vector<Result> set = m_connection.run(std::move(budget));
      if (auto passing = find_passing(attempt, set)) {
        return passing;
      }
      m_diagnosis.throw_if_failed(set[0], "cannot set lock_timeout");
    }
    if (auto refused = run_alone(attempt, statement)) {
      return refused;
    }
  }
  Batch batch;
  add_own_identity(batch, m_settings.session, m_session_search_path);
  const Checks checks = add_checks(batch, attempt);
  const std::vector<Result> results = m_connection.run(std::move(batch));
  if (auto passing = find_passing(attempt, results)) {
    return passing;
  }
  broken = broken_of(checks, attempt, results);
  if (broken.empty()) {
    for (const Result& result : results) {
      m_diagnosis.throw_if_failed(result, "cannot finish the migration");
    }
  }
  return std::nullopt;
}

/// Nothing to do where take_turn() has begun the transaction.
void Database::begin(const Attempt& attempt) {
  if (m_connection.in_transaction()) {
    return;
  }
  Batch batch;
  add_clean_session(batch);
  add_begin(batch, attempt);
  for (const Result& result : m_connection.run(std::move(batch))) {
    m_diagnosis.throw_if_failed(result, "cannot begin the transaction");
  }
}

/// The last answer is COMMIT's. A stop request that came too late for it is thrown by the next step.
void Database::commit(std::vector<Result> results) {
  for (const Result& result : results) {
    if (!result.ok()) {
      m_connection.throw_if_stopped();
    }
    m_diagnosis.throw_if_failed(result, "cannot commit the migration");
  }
  if (results.back().tag() != "COMMIT") {  // the server says ROLLBACK, as a success, when the transaction had failed
    throw Error(Outcome::internal, fmt::format("the server answered COMMIT with {}", results.back().tag()));
  }
}

void Database::roll_back() noexcept {
  try {
    m_connection.drain();
    if (m_connection.usable() && !m_connection.idle()) {
      Batch batch;
      batch.add("ROLLBACK");
      m_connection.run(std::move(batch), Connection::Stop::caller_throws);
    }
  } catch (const Error&) {
    // The connection is gone or does not answer: the server rolls back by itself.
  }
}

}  // namespace lockkeeper::pg
