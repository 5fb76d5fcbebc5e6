#include <algorithm>

#include <fmt/format.h>

#include "pg/comment.hpp"
#include "pg/database.hpp"
#include "pg/lock.hpp"
#include "pg/loss_guard.hpp"
#include "pg/script_queries.hpp"
#include "pg/session.hpp"

// The part of Database that runs scripts without a transaction, and what all scripts share.
namespace lockkeeper::pg {

namespace {

using core::Attempt;
using core::AttemptOutcome;
using core::AttemptResult;
using core::Direction;
using core::Expectation;
using core::ExpectationResult;
using core::Footprint;
using core::SqlFailure;
using core::Statement;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

/// Runs in several transactions, of which the later ones wait for other sessions' snapshots.
bool is_concurrent(const Statement& statement) {
  if (!statement.footprint) {
    return false;
  }
  switch (statement.footprint->kind) {
    case Footprint::Kind::create_index:
    case Footprint::Kind::drop_index:
    case Footprint::Kind::reindex_index:
    case Footprint::Kind::reindex_table:
    case Footprint::Kind::detach_partition: return true;
    case Footprint::Kind::unknown:
    case Footprint::Kind::repeatable: return statement.kind.ends_with("CONCURRENTLY");
    case Footprint::Kind::create_database:
    case Footprint::Kind::drop_database:
    case Footprint::Kind::create_tablespace:
    case Footprint::Kind::drop_tablespace:
    case Footprint::Kind::create_subscription:
    case Footprint::Kind::drop_subscription: return false;
  }
  return false;
}

/// What it has done by then, nobody can tell: a procedure may have committed on its way.
bool is_undecidable(const Statement& statement) {
  return statement.footprint && statement.footprint->kind == Footprint::Kind::unknown;
}

}  // namespace

// ---- building batches

std::string Database::sql_of(const Attempt& attempt, const Statement& statement) const {
  return std::string(attempt.script().statement_text(statement)) +
         statement_comment(m_settings.tool_version, attempt.migration->version.str(), m_settings.traceparent);
}

/// Behind a pooler the transaction was begun by take_turn().
void Database::add_begin(Batch& batch, const Attempt& attempt) const {
  batch.add("BEGIN");
  batch.add(lock_guard(m_settings.history));
  add_limits(batch, attempt, attempt.lock_timeout);
}

std::size_t Database::add_history_row(Batch& batch, const Attempt& attempt, AttemptOutcome outcome, std::size_t done,
                                      const std::string& error) const {
  const bool finished = outcome != AttemptOutcome::started;
  return batch.add(
      fmt::format(
          "INSERT INTO {} (version, name, direction, checksum, outcome, statements_done, statements_total, "
          "started_at, finished_at, runner, error, details) VALUES ($1, $2, $3, $4, $5, $6, $7, {}, {}, $8, $9, "
          "pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('environment', $10::text, 'prefix', "
          "$11::text, 'new_until', $12::text, 'running', $13::text, 'pending', $14::bigint, 'trace_id', $15::text))) "
          "RETURNING id, (1000000 * pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - "
          "pg_catalog.transaction_timestamp()))::bigint",
          m_settings.history.quoted(),
          finished && error.empty() ? "pg_catalog.transaction_timestamp()" : "pg_catalog.clock_timestamp()",
          finished ? "pg_catalog.clock_timestamp()" : "NULL"),
      {attempt.migration->version.str(), attempt.migration->name, std::string(to_string(attempt.direction)),
       attempt.script().checksum, std::string(to_string(outcome)), std::to_string(done),
       std::to_string(attempt.script().statements.size()), m_settings.runner,
       error.empty() ? std::nullopt : Batch::Parameter(error),
       m_settings.environment.empty() ? std::nullopt : Batch::Parameter(m_settings.environment),
       attempt.migration->transactional || done == 0 ? std::nullopt : Batch::Parameter(prefix_checksum(attempt, done)),
       attempt.new_until.empty() ? std::nullopt : Batch::Parameter(attempt.new_until),
       // Who is killed before the statement is looked at leaves the doubt to the next.
       attempt.in_doubt ? Batch::Parameter(prefix_checksum(attempt, done + 1)) : std::nullopt,
       pending_when(attempt, outcome == AttemptOutcome::applied),
       m_settings.trace_id.empty() ? std::nullopt : Batch::Parameter(m_settings.trace_id)});
}

/// For the rest of the transaction: who we are, whatever the script has made of it, and none of its limits.
void Database::add_own_writing(Batch& batch) const {
  add_own_identity(batch, m_settings.session, m_session_search_path);
  batch.add(
      "SELECT pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('lock_timeout', '0', true)");
}

void Database::add_progress(Batch& batch, const Attempt& attempt, std::int64_t row, std::size_t done) const {
  add_own_writing(batch);
  batch.add(fmt::format("UPDATE {} SET statements_done = $1, details = (details - 'running') || "
                        "pg_catalog.jsonb_build_object('prefix', $2::text) WHERE id = $3",
                        m_settings.history.quoted()),
            {std::to_string(done), prefix_checksum(attempt, done), std::to_string(row)});
}

// ---- what is seen while a statement runs

Watched Database::watched(const Attempt& attempt, std::optional<std::size_t> index) const {
  const bool concurrent = index && is_concurrent(attempt.script().statements[*index]);
  return {.attempt = &attempt,
          .index = index,
          .backend_pid = m_backend_pid,
          .table_lock_limit = concurrent || keeps_lock_budget(attempt) ? attempt.lock_timeout : util::Duration::zero(),
          .cancel_only_before_start = concurrent,
          .never_cancel = index && is_undecidable(attempt.script().statements[*index])};
}

/// The watcher has cancelled it, so that others get their turn.
bool Database::is_given_way(const ServerError& error, const Sighting& seen) {
  return error.sqlstate == k_cancelled && !seen.gave_way.empty();
}

/// A statement that was cancelled so that others get their turn may succeed later.
SqlFailure Database::failure(const Attempt& attempt, const Refusal& refusal, const Sighting& seen) const {
  SqlFailure failed = m_diagnosis.failure(attempt, *refusal.statement, refusal.error);
  failed.blockers = seen.blockers;
  failed.queued = seen.queued;
  if (is_given_way(refusal.error, seen)) {
    failed.error.outcome = Outcome::lock_timeout;
    failed.error.message = "gave way: " + seen.gave_way;
    failed.error.hint =
        "--lock-timeout is how long one attempt may wait, --queue-limit how many sessions may wait behind it, "
        "--lock-retry-budget for how long to try again.";
    failed.worth_retrying = true;
  }
  return failed;
}

// ---- scripts without a transaction

/// Outside the pipeline, with its inline data if it has any.
std::optional<Database::Refusal> Database::run_alone(const Attempt& attempt, const Statement& statement) {
  const core::Script& script = attempt.script();
  std::optional<std::string_view> data;
  if (statement.copy_data) {
    data = std::string_view(script.text)
               .substr(statement.copy_data->first, statement.copy_data->second - statement.copy_data->first);
  }
  const Result result = m_connection.run_alone(sql_of(attempt, statement), data);
  return result.ok() ? std::nullopt : std::optional(Refusal{.statement = &statement, .error = result.error()});
}

std::vector<core::Loss> Database::count_losses(const Attempt& attempt) {
  try {
    begin(attempt);
    std::vector<core::Loss> losses = pg::count_losses(m_connection, m_diagnosis, attempt);
    roll_back();
    return losses;
  } catch (const Error&) {
    roll_back();
    throw;
  }
}

std::int64_t Database::record_started(const Attempt& attempt) {
  keep_promise(attempt);
  Batch batch;
  add_clean_session(batch);
  restore_session(attempt, batch);
  batch.add("BEGIN");
  batch.add(lock_guard(m_settings.history));
  add_own_writing(batch);
  const std::size_t row = add_history_row(batch, attempt, AttemptOutcome::started, attempt.first_statement, {});
  batch.add("COMMIT");
  std::vector<Result> results = m_connection.run(std::move(batch));
  for (const Result& result : results) {
    if (!result.ok()) {
      const ServerError error = result.error();
      roll_back();
      m_diagnosis.throw_error(error, "cannot record the start of the migration");
    }
  }
  return results[row].number(0, 0);
}

/// What the statements that are done had left in the session, for those that follow: SET and its like once more. Their
/// texts are proven to be the same. \throws Error{half_done} when that cannot be had again
void Database::restore_session(const Attempt& attempt, Batch& batch) {
  for (std::size_t i = 0; i < attempt.first_statement; ++i) {
    const Statement& statement = attempt.script().statements[i];
    const std::string& effect = statement.session_effect;
    const bool needed =
        effect == "SET" || effect == "RESET" || effect == "LOAD" || effect == "PREPARE" || effect == "DISCARD";
    const bool held = effect.starts_with("a temporary") || effect.starts_with("DECLARE");
    if (!needed && !held) {  // LISTEN, an advisory lock: what follows means the same without
      continue;
    }
    if (held) {
      throw Error(ErrorInfo{
          .outcome = Outcome::half_done,
          .message =
              fmt::format("half done ({} of {} statements), and what follows may need {} of the session that was "
                          "cut",
                          attempt.first_statement, attempt.script().statements.size(), effect),
          .hint = fmt::format("Finish by hand what is missing and run `lockkeeper baseline --to {}`. Keep what belongs "
                              "together in one transaction, in a file of its own.",
                              attempt.migration->version.str()),
          .where =
              util::SourcePosition{.file = attempt.script().path, .line = statement.line, .column = statement.column}});
    }
    batch.add(sql_of(attempt, statement));
    batch.sync();
  }
}

std::optional<SqlFailure> Database::run_statement(const Attempt& attempt, std::int64_t row, std::size_t index) {
  if (attempt.script().statements[index].in_transaction) {
    return run_in_transaction(attempt, row, index);
  }
  if (auto failed = run_outside(attempt, row, index)) {
    return failed;
  }
  record_progress(attempt, row, index + 1);
  return std::nullopt;
}

/// A cancel that was sent for the statement may arrive after it and hit this: then once more.
void Database::record_progress(const Attempt& attempt, std::int64_t row, std::size_t done) {
  for (bool again = true;; again = false) {
    Batch batch;
    batch.add("BEGIN");
    add_progress(batch, attempt, row, done);
    batch.add("COMMIT");
    try {
      std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
      const auto cancelled = std::find_if(results.begin(), results.end(), [](const Result& result) {
        return result.status() == Result::Status::failed && result.error().sqlstate == k_cancelled;
      });
      if (again && cancelled != results.end()) {
        m_connection.throw_if_stopped();
        roll_back();
        continue;
      }
      commit(std::move(results));
      return;
    } catch (const Error&) {
      roll_back();
      throw;
    }
  }
}

/// The statement and its progress commit together.
std::optional<SqlFailure> Database::run_in_transaction(const Attempt& attempt, std::int64_t row, std::size_t index) {
  const Statement& statement = attempt.script().statements[index];
  Batch batch;
  try {
    Watch watch(m_watcher, m_connection, watched(attempt, index));
    std::size_t answer = 0;
    if (statement.copy_data || statement.kind == "COPY") {  // cannot stand in a pipeline
      Batch alone;
      add_begin(alone, attempt);
      for (const Result& result : m_connection.run(std::move(alone))) {
        m_diagnosis.throw_if_failed(result, "cannot begin the transaction");
      }
      if (auto refused = run_alone(attempt, statement)) {
        SqlFailure failed = failure(attempt, *refused, watch.end());
        roll_back();
        return failed;
      }
    } else {
      add_begin(batch, attempt);
      answer = batch.add(sql_of(attempt, statement));
    }
    add_progress(batch, attempt, row, index + 1);
    batch.add("COMMIT");
    std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
    const Sighting seen = watch.end();
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].status() != Result::Status::failed) {
        continue;
      }
      const Refusal refusal{.statement = &statement, .error = results[i].error()};
      const bool of_script = i == answer || i + 1 == results.size();  // COMMIT checks what is deferred
      if (of_script || is_given_way(refusal.error, seen)) {
        m_connection.throw_if_stopped();
        SqlFailure failed = failure(attempt, refusal, seen);
        roll_back();
        return failed;
      }
    }
    commit(std::move(results));
  } catch (const Error&) {
    roll_back();
    throw;
  }
  return std::nullopt;
}

std::optional<SqlFailure> Database::run_outside(const Attempt& attempt, std::int64_t row, std::size_t index) {
  const Statement& statement = attempt.script().statements[index];
  prepare_outside(attempt, row, index);
  Watch watch(m_watcher, m_connection, watched(attempt, index));
  const bool in_doubt = attempt.in_doubt && index == attempt.first_statement;
  try {
    if (m_footprints.prepare(attempt, index, in_doubt)) {
      m_observer.on(
          core::Note{.level = core::Level::info,
                     .message = fmt::format("{}:{}: {} was done by the attempt that was cut; it is not repeated",
                                            attempt.script().path, statement.line, statement.kind)});
      return std::nullopt;
    }
  } catch (const Error& error) {
    const Refusal refusal{.statement = &statement,
                          .error = {.sqlstate = error.info().sqlstate, .message = error.what()}};
    const Sighting seen = watch.end();
    if (is_given_way(refusal.error, seen)) {
      return failure(attempt, refusal, seen);
    }
    const Outcome outcome = error.info().outcome;
    const bool cut = outcome == Outcome::connection_lost || outcome == Outcome::interrupted ||
                     outcome == Outcome::terminated || outcome == Outcome::deadline;
    if (!in_doubt && !cut) {  // nothing was sent
      forget_running(row);
      return SqlFailure{.error = error.info(),
                        .worth_retrying = outcome == Outcome::lock_timeout,
                        .blockers = seen.blockers,
                        .queued = seen.queued};
    }
    throw;
  }
  if (auto refused = run_alone(attempt, statement)) {
    SqlFailure failed = failure(attempt, *refused, watch.end());
    const bool began = refused->error.position == 0 || !refused->error.context.empty();
    failed.maybe_in_part = is_undecidable(statement) && began;
    if (failed.maybe_in_part) {
      failed.worth_retrying = false;
    } else {
      forget_running(row);
    }
    return failed;
  }
  watch.end();
  m_footprints.require_valid(attempt, index);
  return std::nullopt;
}

/// Proves that the lock is ours, sets the limits, and leaves in the history that the statement may be done from now on.
void Database::prepare_outside(const Attempt& attempt, std::int64_t row, std::size_t index) {
  const Statement& statement = attempt.script().statements[index];
  // A lock_timeout would end CREATE INDEX CONCURRENTLY while it waits for old snapshots: there the watcher and the
  // deadline bound the wait for the table.
  const util::Duration lock_timeout = is_concurrent(statement) ? util::Duration::zero() : attempt.lock_timeout;
  Batch batch;
  batch.add("BEGIN");
  batch.add(lock_guard(m_settings.history));
  add_own_writing(batch);
  batch.add(
      fmt::format("UPDATE {} SET details = details || pg_catalog.jsonb_build_object('running', $1::text) WHERE id "
                  "= $2",
                  m_settings.history.quoted()),
      {statement.prefix_checksum, std::to_string(row)});
  batch.add("COMMIT");
  add_limits(batch, attempt, lock_timeout, true);
  for (const Result& result : m_connection.run(std::move(batch))) {
    if (!result.ok()) {
      const ServerError error = result.error();
      roll_back();
      m_diagnosis.throw_error(error, "cannot prepare the statement");
    }
  }
}

/// The server has refused the statement: it is not done, and there is no doubt. If this cannot be recorded, the doubt
/// stays, and the next run looks.
void Database::forget_running(std::int64_t row) {
  Batch batch;
  batch.add("BEGIN");
  add_own_writing(batch);
  batch.add(fmt::format("UPDATE {} SET details = details - 'running' WHERE id = $1", m_settings.history.quoted()),
            {std::to_string(row)});
  batch.add("COMMIT");
  if (!m_connection.run(std::move(batch)).back().ok()) {
    roll_back();
  }
}

AttemptResult Database::record_finished(const Attempt& attempt, std::int64_t row) {
  Batch clean;  // no transaction to hold our own identity: the session itself gets it back
  add_clean_session(clean);
  for (const Result& answer : m_connection.run(std::move(clean))) {
    m_diagnosis.throw_if_failed(answer, "cannot reset the session");
  }
  std::vector<Expectation> expectations;
  for (const Expectation* expectation : stated_by(attempt)) {
    expectations.push_back(*expectation);
  }
  AttemptResult result;
  for (ExpectationResult& judged : check(expectations)) {
    if (!judged.holds) {
      judged.version = attempt.migration->version.str();
      result.broken.push_back(std::move(judged));
    }
  }
  if (!result.broken.empty()) {
    return result;
  }
  Batch finish;
  finish.add("BEGIN");
  finish.add(lock_guard(m_settings.history));
  finish.add(fmt::format(
                 "UPDATE {} SET outcome = 'applied', finished_at = pg_catalog.clock_timestamp(), error = NULL, details "
                 "= details || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('pending', $2::bigint)) "
                 "WHERE id = $1",
                 m_settings.history.quoted()),
             {std::to_string(row), pending_when(attempt, true)});
  finish.add("COMMIT");
  try {
    commit(m_connection.run(std::move(finish), Connection::Stop::caller_throws));
  } catch (const Error&) {
    roll_back();
    throw;
  }
  return result;
}

void Database::record_failed(const Attempt& attempt, std::optional<std::int64_t> row, bool nothing_done,
                             const ErrorInfo& error) noexcept {
  try {
    if (!m_connection.usable()) {
      return;
    }
    const std::string text = to_string(error);
    Batch batch;
    if (m_per_transaction) {
      if (!m_history_exists) {
        return;
      }
      batch.add("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
      add_transaction_session(batch, m_connection, m_settings.session);
    } else if (m_session_used) {
      add_reset(batch);
      add_session(batch, m_connection, m_settings.session);
    }
    if (!row) {
      add_history_row(batch, attempt, AttemptOutcome::failed, 0, text);
    } else {
      batch.add(
          fmt::format("UPDATE {} SET error = $1, outcome = CASE WHEN $2 THEN 'failed' ELSE outcome END, finished_at = "
                      "CASE WHEN $2 THEN pg_catalog.clock_timestamp() END WHERE id = $3",
                      m_settings.history.quoted()),
          {text, nothing_done ? "true" : "false", std::to_string(*row)});
    }
    if (m_per_transaction) {
      batch.add("COMMIT");
    }
    const std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
    if (m_per_transaction && !results.back().ok()) {
      roll_back();
    }
  } catch (const Error&) {
    // The report and the log still say it.
  }
}

}  // namespace lockkeeper::pg
