#include <algorithm>

#include <fmt/format.h>

#include "pg/comment.hpp"
#include "pg/database.hpp"
#include "pg/expectations.hpp"
#include "pg/lock.hpp"
#include "pg/loss_guard.hpp"
#include "pg/session.hpp"

// The part of Database that runs scripts; the rest is in database.cpp.
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

std::string milliseconds(util::Duration duration) {
  constexpr util::Duration k_longest{2147483647};  // what PostgreSQL's own time limits can be
  return std::to_string(std::min(duration, k_longest).count()) + "ms";
}

bool has_copy(const core::Script& script) {
  return std::any_of(script.statements.begin(), script.statements.end(),
                     [](const Statement& s) { return s.copy_data.has_value() || s.kind == "COPY"; });
}

/// A script that sets a limit itself knows better: its value is left alone. \p setting in lower case.
bool sets_itself(const Attempt& attempt, std::string_view setting) {
  const std::string& text = attempt.script().text;
  return std::search(text.begin(), text.end(), setting.begin(), setting.end(),
                     [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; }) != text.end();
}

bool keeps_lock_budget(const Attempt& attempt) {
  return attempt.lock_timeout > util::Duration::zero() && !sets_itself(attempt, "lock_timeout");
}

/// Rows that are changed one statement after the other lock nothing new: no budget need be set between them.
bool needs_new_budget(const Statement& before, const Statement& statement) {
  const bool of_rows = statement.kind == "INSERT" || statement.kind == "UPDATE" || statement.kind == "DELETE" ||
                       statement.kind == "SELECT" || statement.kind == "COMMENT";
  return !of_rows || before.kind != statement.kind;
}

constexpr std::string_view k_cancelled = "57014";

/// The watcher has cancelled it, so that others get their turn.
bool is_given_way(const ServerError& error, const Sighting& seen) {
  return error.sqlstate == k_cancelled && !seen.gave_way.empty();
}

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

/// \p for_session: in force until they are set again; else for the transaction. A file without a transaction that sets
/// a limit means it for what follows in it.
void add_limits(Batch& batch, const Attempt& attempt, util::Duration lock_timeout, bool for_session = false) {
  const bool by_statement = !attempt.migration->transactional;
  const std::string scope = for_session ? "false" : "true";
  if (!by_statement || !sets_itself(attempt, "lock_timeout")) {
    batch.add(fmt::format("SELECT pg_catalog.set_config('lock_timeout', $1, {})", scope), {milliseconds(lock_timeout)});
  }
  if (!by_statement || !sets_itself(attempt, "statement_timeout")) {
    batch.add(fmt::format("SELECT pg_catalog.set_config('statement_timeout', $1, {})", scope),
              {milliseconds(attempt.statement_timeout)});
  }
}

/// Of what stands between and behind the statements of a script: it may succeed later, and says nothing about the
/// schema.
bool is_passing(const ServerError& error) {
  return error.sqlstate == k_cancelled || outcome_of(error.sqlstate) == Outcome::lock_timeout;
}

/// Between two statements of one attempt. PostgreSQL's lock_timeout is per lock; ours is for the attempt. A tenth of it
/// is always left, so that a slow statement does not take the next one every chance.
void add_remaining_lock_budget(Batch& batch, util::Duration lock_timeout) {
  batch.add(
      "SELECT pg_catalog.set_config('lock_timeout', greatest($1::bigint / 10, 1, $1::bigint - (1000 * "
      "pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - "
      "pg_catalog.transaction_timestamp()))::bigint)::text || 'ms', true)",
      {std::to_string(lock_timeout.count())});
}

/// Of the first \p done statements; in details.prefix it proves to a rerun that it may go on after them.
std::string prefix_checksum(const Attempt& attempt, std::size_t done) {
  return done == 0 ? std::string() : attempt.script().statements[done - 1].prefix_checksum;
}

/// For details.pending: what exporters show as pending since the last run.
Batch::Parameter pending_when(const Attempt& attempt, bool applied) {
  return attempt.pending_after ? Batch::Parameter(std::to_string(*attempt.pending_after + (applied ? 0 : 1)))
                               : std::nullopt;
}

/// Tables that the transaction keeps others from writing to, as large as the planner takes them for. TOAST and indexes
/// are not counted, nor is what is new. https://www.postgresql.org/docs/current/view-pg-locks.html
constexpr std::string_view k_touched =
    "SELECT coalesce(pg_catalog.sum(greatest(c.reltuples, 0))::bigint, 0), coalesce(pg_catalog.sum(c.relpages::bigint) "
    "* pg_catalog.current_setting('block_size')::bigint, 0)::bigint FROM pg_catalog.pg_class c WHERE c.relkind IN "
    "('r', 'm') AND c.oid IN (SELECT l.relation FROM pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid() "
    "AND l.locktype = 'relation' AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', "
    "'AccessExclusiveLock'))";

/// What must hold after the attempt. `sql: {absent: true}` only ends an earlier statement.
std::vector<const Expectation*> stated_by(const Attempt& attempt) {
  std::vector<const Expectation*> stated;
  if (attempt.direction == Direction::up) {
    for (const Expectation& expectation : attempt.migration->expect) {
      if (expectation.kind != Expectation::Kind::sql || !expectation.absent) {
        stated.push_back(&expectation);
      }
    }
  }
  return stated;
}

/// The queries that check what a migration states itself, and where their answers will be.
using Checks = std::vector<std::pair<const Expectation*, std::size_t>>;

Checks add_checks(Batch& batch, const Attempt& attempt) {
  Checks checks;
  for (const Expectation* expectation : stated_by(attempt)) {
    Check check = make_check(*expectation);
    checks.emplace_back(expectation, batch.add(std::move(check.sql), std::move(check.parameters)));
  }
  return checks;
}

std::vector<ExpectationResult> broken_of(const Checks& checks, const Attempt& attempt,
                                         const std::vector<Result>& results) {
  std::vector<ExpectationResult> broken;
  for (const auto& [expectation, index] : checks) {
    ExpectationResult judged = judge(*expectation, results[index]);
    if (!judged.holds) {
      judged.version = attempt.migration->version.str();
      broken.push_back(std::move(judged));
    }
  }
  return broken;
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
          "RETURNING id",
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

// ---- transactional scripts

AttemptResult Database::apply_transaction(const Attempt& attempt) {
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
  const std::size_t tables = batch.add(std::string(k_touched));
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
  const bool keep_budget = keeps_lock_budget(attempt);
  std::vector<std::size_t> answers;
  const Statement* before = nullptr;
  for (const Statement& statement : script.statements) {
    if (keep_budget && before != nullptr && needs_new_budget(*before, statement)) {
      add_remaining_lock_budget(batch, attempt.lock_timeout);
    }
    answers.push_back(batch.add(sql_of(attempt, statement)));
    before = &statement;
  }
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
    if (m_connection.usable()) {
      Batch batch;
      batch.add("ROLLBACK");
      m_connection.run(std::move(batch), Connection::Stop::caller_throws);
    }
  } catch (const Error&) {
    // The connection is gone or does not answer: the server rolls back by itself.
  }
}

// ---- scripts without a transaction

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
