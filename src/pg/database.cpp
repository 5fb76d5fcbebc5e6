#include "pg/database.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "pg/expectations.hpp"
#include "pg/lock.hpp"
#include "pg/loss_guard.hpp"
#include "pg/session.hpp"
#include "util/duration.hpp"

namespace lockkeeper::pg {

namespace {

using core::Attempt;
using core::AttemptOutcome;
using core::AttemptResult;
using core::Direction;
using core::Expectation;
using core::ExpectationResult;
using core::SqlFailure;
using core::Statement;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

std::string milliseconds(util::Duration duration) {
  return std::to_string(duration.count()) + "ms";
}

bool has_copy(const core::Script& script) {
  return std::any_of(script.statements.begin(), script.statements.end(),
                     [](const Statement& s) { return s.copy_data.has_value() || s.kind == "COPY"; });
}

/// A script that sets lock_timeout itself knows better: its value is left alone.
bool keeps_lock_budget(const Attempt& attempt) {
  return attempt.lock_timeout > util::Duration::zero() &&
         attempt.script().text.find("lock_timeout") == std::string::npos;
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

[[noreturn]] void throw_role_refused(const std::string& role, const ServerError& error, const Result& facts) {
  ErrorInfo info = to_error_info(error);
  info.message = fmt::format("cannot SET ROLE {}: {}", role, error.message);
  if (info.outcome == Outcome::permission && facts.ok()) {
    info.hint = fmt::format("GRANT {} TO {};", quote_identifier(role), quote_identifier(facts.text(0, 1)));
  } else if (info.outcome == Outcome::sql) {  // 22023: there is no such role
    info.outcome = Outcome::config;
  }
  throw Error(std::move(info));
}

}  // namespace

Database::Database(Connection& connection, DatabaseSettings settings, core::Observer& observer)
    : m_connection(connection), m_settings(std::move(settings)), m_observer(observer), m_diagnosis(connection) {
  m_connection.on_notice([this](std::string_view severity, const std::string& message) {
    const bool warning = severity == "WARNING";
    m_observer.on(core::Note{.level = warning ? core::Level::warning : core::Level::info,
                             .message = fmt::format("server {}: {}", warning ? "warning" : "notice", message)});
  });
}

// ---- session

/// Between two migrations: what the first one left in the session must not change what the second one means.
void Database::add_clean_session(Batch& batch) {
  if (m_session_used) {
    add_reset(batch);
    add_session(batch, m_connection, m_settings.session);
  }
  m_session_used = true;
}

core::Snapshot Database::read() {
  Batch batch;
  std::size_t facts = 0;
  if (!m_session_ready) {
    add_session(batch, m_connection, m_settings.session);
    facts = batch.add(
        "SELECT pg_catalog.current_database(), current_user, pg_catalog.current_setting('server_version'), "
        "pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only'), "
        "pg_catalog.pg_backend_pid(), pg_catalog.current_setting('search_path')");
    batch.sync();
  }
  const std::size_t layout = batch.add(layout_query(m_settings.history));
  batch.sync();
  const std::size_t rows = batch.add(rows_query(m_settings.history));
  batch.sync();
  const std::vector<Result> results = m_connection.run(std::move(batch));
  if (!m_session_ready) {
    m_diagnosis.throw_if_failed(results[0], "cannot set up the session");
    if (!results[1].ok()) {
      throw_role_refused(m_settings.session.role, results[1].error(), results[facts]);
    }
    const Result& r = results[facts];
    m_diagnosis.throw_if_failed(r, "cannot ask the server for its facts");
    const std::string full_version = r.text(0, 2);
    m_server = {.database = r.text(0, 0),
                .user = r.text(0, 1),
                .version = full_version.substr(0, full_version.find(' ')),
                .version_number = m_connection.server_version(),
                .in_recovery = r.boolean(0, 3),
                .read_only = r.text(0, 4) == "on",
                .pooled = r.number(0, 5) != m_connection.backend_pid()};
    m_diagnosis.set_user(m_server.user);
    m_session_search_path = r.text(0, 6);
    m_session_ready = true;
  }
  core::Snapshot snapshot{.server = m_server, .history = history_from(results[layout], results[rows])};
  m_history_exists = snapshot.history.exists;
  return snapshot;
}

core::History Database::history_from(const Result& layout, const Result& rows) const {
  return read_history(m_settings.history, m_server.user, layout, rows);
}

// ---- lock

core::LockAttempt Database::try_lock() {
  Batch batch;
  batch.add(try_lock_query(m_settings.history));
  batch.sync();
  batch.add(holder_query(m_settings.history));
  batch.sync();
  const std::size_t layout = batch.add(layout_query(m_settings.history));
  batch.sync();
  const std::size_t rows = batch.add(rows_query(m_settings.history));
  const std::vector<Result> results = m_connection.run(std::move(batch));
  m_diagnosis.throw_if_failed(results[0], "cannot ask for the advisory lock");
  m_diagnosis.throw_if_failed(results[1], "cannot look for the lock's holder");
  core::LockAttempt attempt;
  attempt.acquired = results[0].boolean(0, 0);
  if (!attempt.acquired) {
    attempt.holder = parse_holder(results[1]);
  }
  attempt.history = history_from(results[layout], results[rows]);
  m_history_exists = attempt.history.exists;
  return attempt;
}

void Database::unlock() noexcept {
  try {
    Batch batch;
    batch.add(unlock_query(m_settings.history));
    m_connection.run(std::move(batch), Connection::Stop::caller_throws);
  } catch (const Error&) {
    // Closing the session frees it as well.
  }
}

void Database::prepare_history() {
  if (m_history_exists) {
    grant_readers();
    return;
  }
  Batch look;
  look.add(fmt::format("SELECT pg_catalog.to_regnamespace({}) IS NOT NULL",
                       quote_literal(quote_identifier(m_settings.history.schema))));
  const std::vector<Result> found = m_connection.run(std::move(look));
  m_diagnosis.throw_if_failed(found[0], "cannot look for the history's schema");
  const bool schema_exists = found[0].boolean(0, 0);
  try {
    run_in_one_transaction(create_statements(m_settings.history, schema_exists),
                           fmt::format("cannot create the history {}", m_settings.history.str()));
  } catch (const Error& error) {
    if (error.info().outcome != Outcome::permission) {
      throw;
    }
    ErrorInfo info = error.info();
    const std::string role = quote_identifier(m_server.user);
    const std::string schema = quote_identifier(m_settings.history.schema);
    info.hint = schema_exists ? fmt::format("GRANT USAGE, CREATE ON SCHEMA {} TO {};", schema, role)
                              : fmt::format("CREATE SCHEMA {} AUTHORIZATION {}; or GRANT CREATE ON DATABASE {} TO {};",
                                            schema, role, quote_identifier(m_server.database), role);
    throw Error(std::move(info));
  }
  m_history_exists = true;
}

/// Readers that were named after the table was made.
void Database::grant_readers() {
  if (!m_settings.history.readers.empty()) {
    run_in_one_transaction(grant_statements(m_settings.history), "cannot grant the history to its readers");
  }
}

void Database::run_in_one_transaction(std::vector<std::string> statements, const std::string& what) {
  Batch batch;
  batch.add("BEGIN");
  for (std::string& sql : statements) {
    batch.add(std::move(sql));
  }
  batch.add("COMMIT");
  for (const Result& result : m_connection.run(std::move(batch))) {
    if (result.status() == Result::Status::failed) {
      const ServerError error = result.error();
      roll_back();
      m_diagnosis.throw_error(error, what);
    }
  }
}

// ---- building batches

void Database::add_begin(Batch& batch, const Attempt& attempt) const {
  batch.add("BEGIN");
  batch.add(lock_guard(m_settings.history));
  batch.add(
      "SELECT pg_catalog.set_config('lock_timeout', $1, true), pg_catalog.set_config('statement_timeout', $2, true)",
      {milliseconds(attempt.lock_timeout), milliseconds(attempt.statement_timeout)});
}

void Database::add_history_row(Batch& batch, const Attempt& attempt, AttemptOutcome outcome, std::size_t done,
                               const std::string& error) const {
  const bool finished = outcome != AttemptOutcome::started;
  batch.add(
      fmt::format(
          "INSERT INTO {} (version, name, direction, checksum, outcome, statements_done, statements_total, "
          "started_at, finished_at, runner, error, details) VALUES ($1, $2, $3, $4, $5, $6, $7, {}, {}, $8, $9, "
          "pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('environment', $10::text, 'prefix', "
          "$11::text, 'new_until', $12::text))) RETURNING id",
          m_settings.history.quoted(),
          finished && error.empty() ? "pg_catalog.transaction_timestamp()" : "pg_catalog.clock_timestamp()",
          finished ? "pg_catalog.clock_timestamp()" : "NULL"),
      {attempt.migration->version.str(), attempt.migration->name, std::string(to_string(attempt.direction)),
       attempt.script().checksum, std::string(to_string(outcome)), std::to_string(done),
       std::to_string(attempt.script().statements.size()), m_settings.runner,
       error.empty() ? std::nullopt : Batch::Parameter(error),
       m_settings.environment.empty() ? std::nullopt : Batch::Parameter(m_settings.environment),
       attempt.migration->transactional || done == 0 ? std::nullopt : Batch::Parameter(prefix_checksum(attempt, done)),
       attempt.new_until.empty() ? std::nullopt : Batch::Parameter(attempt.new_until)});
}

void Database::add_progress(Batch& batch, const Attempt& attempt, std::int64_t row, std::size_t done) const {
  // Whatever limits the script has set for itself.
  batch.add(
      "SELECT pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('lock_timeout', '0', true)");
  batch.add(
      fmt::format("UPDATE {} SET statements_done = $1, details = details || pg_catalog.jsonb_build_object('prefix', "
                  "$2::text) WHERE id = $3",
                  m_settings.history.quoted()),
      {std::to_string(done), prefix_checksum(attempt, done), std::to_string(row)});
}

// ---- transactional scripts

AttemptResult Database::apply_transaction(const Attempt& attempt) {
  AttemptResult result;
  try {
    if (attempt.guard_data_loss) {
      begin(attempt);
      result.losses = pg::count_losses(m_connection, m_diagnosis, attempt);
      if (!result.losses.empty()) {
        roll_back();
        return result;
      }
    }
    result.failure =
        has_copy(attempt.script()) ? run_script_with_copy(attempt, result.broken) : run_script(attempt, result.broken);
    if (!result.applied()) {
      roll_back();
      return result;
    }
    if (!m_connection.in_transaction()) {
      throw Error(Outcome::internal, "the script ended the transaction that it ran in",
                  "Remove COMMIT and ROLLBACK from the file and from what it calls.");
    }
    Batch batch;
    add_history_row(batch, attempt, AttemptOutcome::applied, attempt.script().statements.size(), {});
    batch.add("COMMIT");
    std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
    if (results.back().status() == Result::Status::failed) {  // COMMIT checks what is deferred
      m_connection.throw_if_stopped();
      result.failure = m_diagnosis.failure(attempt, attempt.script().statements.back(), results.back().error());
      result.failure->error.message = "at COMMIT: " + result.failure->error.message;
      roll_back();
      return result;
    }
    commit(std::move(results));
  } catch (const Error&) {
    roll_back();
    throw;
  }
  return result;
}

/// One request: BEGIN, the script, its expectations.
std::optional<SqlFailure> Database::run_script(const Attempt& attempt, std::vector<ExpectationResult>& broken) {
  const core::Script& script = attempt.script();
  Batch batch;
  if (!m_connection.in_transaction()) {
    add_clean_session(batch);
    add_begin(batch, attempt);
  }
  const std::size_t preamble = batch.size();
  const bool keep_budget = keeps_lock_budget(attempt);
  std::vector<std::size_t> answers;
  for (const Statement& statement : script.statements) {
    if (keep_budget && &statement != &script.statements.front()) {
      add_remaining_lock_budget(batch, attempt.lock_timeout);
    }
    answers.push_back(batch.add(std::string(script.statement_text(statement))));
  }
  add_own_identity(batch, m_settings.session, m_session_search_path);
  const Checks checks = add_checks(batch, attempt);
  const std::vector<Result> results = m_connection.run(std::move(batch));
  for (std::size_t i = 0; i < preamble; ++i) {
    m_diagnosis.throw_if_failed(results[i], "cannot begin the transaction");
  }
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (results[answers[i]].status() == Result::Status::failed) {
      return m_diagnosis.failure(attempt, script.statements[i], results[answers[i]].error());
    }
  }
  broken = broken_of(checks, attempt, results);
  if (broken.empty()) {
    for (const Result& result : results) {  // what is left: the statements between the script's own
      m_diagnosis.throw_if_failed(result, "cannot run the migration");
    }
  }
  return std::nullopt;
}

/// COPY with data cannot stand in a pipeline: statement by statement, still one transaction.
std::optional<SqlFailure> Database::run_script_with_copy(const Attempt& attempt,
                                                         std::vector<ExpectationResult>& broken) {
  if (!m_connection.in_transaction()) {
    begin(attempt);
  }
  const bool keep_budget = keeps_lock_budget(attempt);
  for (const Statement& statement : attempt.script().statements) {
    if (keep_budget && &statement != &attempt.script().statements.front()) {
      Batch budget;
      add_remaining_lock_budget(budget, attempt.lock_timeout);
      m_diagnosis.throw_if_failed(m_connection.run(std::move(budget))[0], "cannot set lock_timeout");
    }
    if (auto failed = run_alone(attempt, statement)) {
      return failed;
    }
  }
  Batch batch;
  add_own_identity(batch, m_settings.session, m_session_search_path);
  const Checks checks = add_checks(batch, attempt);
  const std::vector<Result> results = m_connection.run(std::move(batch));
  broken = broken_of(checks, attempt, results);
  if (broken.empty()) {
    for (const Result& result : results) {
      m_diagnosis.throw_if_failed(result, "cannot finish the migration");
    }
  }
  return std::nullopt;
}

/// Outside the pipeline, with its inline data if it has any.
std::optional<SqlFailure> Database::run_alone(const Attempt& attempt, const Statement& statement) {
  const core::Script& script = attempt.script();
  std::optional<std::string_view> data;
  if (statement.copy_data) {
    data = std::string_view(script.text)
               .substr(statement.copy_data->first, statement.copy_data->second - statement.copy_data->first);
  }
  const Result result = m_connection.run_alone(std::string(script.statement_text(statement)), data);
  return result.ok() ? std::nullopt : std::optional(m_diagnosis.failure(attempt, statement, result.error()));
}

void Database::begin(const Attempt& attempt) {
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
  batch.add("BEGIN");
  batch.add(lock_guard(m_settings.history));
  add_history_row(batch, attempt, AttemptOutcome::started, attempt.first_statement, {});
  batch.add("COMMIT");
  std::vector<Result> results = m_connection.run(std::move(batch));
  for (const Result& result : results) {
    if (!result.ok()) {
      const ServerError error = result.error();
      roll_back();
      m_diagnosis.throw_error(error, "cannot record the start of the migration");
    }
  }
  return results[results.size() - 2].number(0, 0);  // INSERT ... RETURNING, before COMMIT
}

std::optional<SqlFailure> Database::run_statement(const Attempt& attempt, std::int64_t row, std::size_t index) {
  if (attempt.script().statements[index].in_transaction) {
    return run_in_transaction(attempt, row, index);
  }
  if (auto failed = run_outside(attempt, index)) {
    return failed;
  }
  Batch batch;
  batch.add("BEGIN");
  add_own_identity(batch, m_settings.session, m_session_search_path);
  add_progress(batch, attempt, row, index + 1);
  batch.add("COMMIT");
  try {
    commit(m_connection.run(std::move(batch), Connection::Stop::caller_throws));
  } catch (const Error&) {
    roll_back();
    throw;
  }
  return std::nullopt;
}

/// The statement and its progress commit together.
std::optional<SqlFailure> Database::run_in_transaction(const Attempt& attempt, std::int64_t row, std::size_t index) {
  const Statement& statement = attempt.script().statements[index];
  Batch batch;
  try {
    std::size_t answer = 0;
    if (statement.copy_data || statement.kind == "COPY") {  // cannot stand in a pipeline
      begin(attempt);
      if (auto failed = run_alone(attempt, statement)) {
        roll_back();
        return failed;
      }
    } else {
      add_begin(batch, attempt);
      answer = batch.add(std::string(attempt.script().statement_text(statement)));
    }
    add_own_identity(batch, m_settings.session, m_session_search_path);
    add_progress(batch, attempt, row, index + 1);
    batch.add("COMMIT");
    std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
    for (const std::size_t at : {answer, results.size() - 1}) {  // COMMIT checks what is deferred
      if (results[at].status() == Result::Status::failed) {
        m_connection.throw_if_stopped();
        SqlFailure failed = m_diagnosis.failure(attempt, statement, results[at].error());
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

std::optional<SqlFailure> Database::run_outside(const Attempt& attempt, std::size_t index) {
  const Statement& statement = attempt.script().statements[index];
  Batch guard;
  guard.add(lock_guard(m_settings.history));
  // A lock_timeout would end CREATE INDEX CONCURRENTLY while it waits for old snapshots: none here; --deadline holds.
  guard.add(
      "SELECT pg_catalog.set_config('lock_timeout', '0', false), pg_catalog.set_config('statement_timeout', $1, false)",
      {milliseconds(attempt.statement_timeout)});
  for (const Result& result : m_connection.run(std::move(guard))) {
    m_diagnosis.throw_if_failed(result, "cannot prepare the statement");
  }
  if (statement.concurrent_index) {
    const bool may_be_done = attempt.resumed && index == attempt.first_statement;
    if (prepare_concurrent_index(*statement.concurrent_index, may_be_done)) {
      m_observer.on(core::Note{
          .level = core::Level::info,
          .message = fmt::format("{} was done by the attempt that was cut; it is not repeated", statement.kind)});
      return std::nullopt;
    }
  }
  return run_alone(attempt, statement);
}

/// Clears what a cut attempt left behind: an INVALID index of that name is dropped. Returns true when the statement was
/// done already by an attempt that was cut before it could say so.
bool Database::prepare_concurrent_index(const core::ConcurrentIndex& index, bool may_be_done) {
  if (index.index.name.empty()) {
    return false;
  }
  // An index lives in its table's schema; CREATE INDEX cannot name another.
  core::ObjectName name = index.index;
  if (index.action == core::ConcurrentIndex::Action::create) {
    name.schema = index.table.schema;
  }
  Batch batch;
  batch.add(
      "SELECT i.indisvalid, c.relkind = 'I', EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p WHERE "
      "p.index_relid = c.oid), c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i "
      "ON "
      "i.indexrelid = c.oid WHERE c.oid = pg_catalog.to_regclass($1) AND ($2::text IS NULL OR i.indrelid = "
      "pg_catalog.to_regclass($2))",
      {name.quoted(),
       index.action == core::ConcurrentIndex::Action::create ? Batch::Parameter(index.table.quoted()) : std::nullopt});
  const std::vector<Result> results = m_connection.run(std::move(batch));
  m_diagnosis.throw_if_failed(results[0], "cannot look at the index");
  const Result& r = results[0];
  if (index.action == core::ConcurrentIndex::Action::drop) {
    return may_be_done && r.rows() == 0;
  }
  if (index.action == core::ConcurrentIndex::Action::reindex || r.rows() == 0) {
    return false;
  }
  const bool valid = r.boolean(0, 0);
  if (valid || r.boolean(0, 1)) {
    return may_be_done && valid;
  }
  const std::string shown = r.text(0, 3);
  if (r.boolean(0, 2)) {
    throw Error(Outcome::lock_timeout, fmt::format("index {} is being built by another session right now", shown),
                "Wait for it to end (pg_stat_progress_create_index), then run again.");
  }
  m_observer.on(core::Note{
      .level = core::Level::warning,
      .message = fmt::format("index {} is INVALID, left by a build that failed: dropped and built again", shown)});
  const Result dropped = m_connection.run_alone(fmt::format("DROP INDEX CONCURRENTLY {}", shown));
  m_diagnosis.throw_if_failed(dropped, "cannot drop the invalid index");
  return false;
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
  finish.add(
      fmt::format("UPDATE {} SET outcome = 'applied', finished_at = pg_catalog.clock_timestamp(), error = NULL WHERE "
                  "id = $1",
                  m_settings.history.quoted()),
      {std::to_string(row)});
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
    if (m_session_used) {
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
    m_connection.run(std::move(batch), Connection::Stop::caller_throws);
  } catch (const Error&) {
    // The report and the log still say it.
  }
}

// ---- records and checks

void Database::record(const core::Record& record) {
  const std::size_t statements = record.migration->up.statements.size();
  Batch batch;
  batch.add("BEGIN");
  batch.add(lock_guard(m_settings.history));
  batch.add(
      fmt::format("INSERT INTO {} (version, name, direction, checksum, outcome, statements_done, statements_total, "
                  "finished_at, runner, details) VALUES ($1, $2, $3, $4, 'applied', $5, $5, "
                  "pg_catalog.clock_timestamp(), $6, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object("
                  "'environment', $7::text, 'old_checksum', $8::text)))",
                  m_settings.history.quoted()),
      {record.migration->version.str(), record.migration->name, std::string(to_string(record.direction)),
       record.migration->up.checksum, std::to_string(statements), m_settings.runner,
       m_settings.environment.empty() ? std::nullopt : Batch::Parameter(m_settings.environment),
       record.old_checksum.empty() ? std::nullopt : Batch::Parameter(record.old_checksum)});
  batch.add("COMMIT");
  const std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
  for (const Result& result : results) {
    if (!result.ok()) {
      m_connection.throw_if_stopped();
      const ServerError error = result.error();
      roll_back();
      m_diagnosis.throw_error(error, fmt::format("cannot record {}", record.migration->id()));
    }
  }
}

std::vector<ExpectationResult> Database::check(const std::vector<Expectation>& expectations) {
  Batch batch;
  std::vector<std::size_t> answers;
  for (const Expectation& expectation : expectations) {
    Check check = make_check(expectation);
    batch.add("BEGIN READ ONLY");  // free SQL must not change anything
    answers.push_back(batch.add(std::move(check.sql), std::move(check.parameters)));
    batch.sync();
    batch.add("ROLLBACK");
    batch.sync();
  }
  std::vector<ExpectationResult> results;
  if (expectations.empty()) {
    return results;
  }
  const std::vector<Result> found = m_connection.run(std::move(batch));
  for (std::size_t i = 0; i < expectations.size(); ++i) {
    results.push_back(judge(expectations[i], found[answers[i]]));
  }
  return results;
}

}  // namespace lockkeeper::pg
