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

using core::Expectation;
using core::ExpectationResult;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

/// \p user: who asked; empty = not known.
[[noreturn]] void throw_role_refused(const std::string& role, const ServerError& error, const std::string& user) {
  ErrorInfo info = to_error_info(error);
  info.message = fmt::format("cannot SET ROLE {}: {}", role, error.message);
  if (info.outcome == Outcome::permission && !user.empty()) {
    info.hint = fmt::format("GRANT {} TO {};", quote_identifier(role), quote_identifier(user));
  } else if (info.outcome == Outcome::sql) {  // 22023: there is no such role
    info.outcome = Outcome::config;
  }
  throw Error(std::move(info));
}

}  // namespace

Database::Database(Connection& connection, DatabaseSettings settings, util::Clock& clock, core::Observer& observer)
    : m_connection(connection),
      m_settings(std::move(settings)),
      m_clock(clock),
      m_observer(observer),
      m_diagnosis(connection),
      m_footprints(connection, m_diagnosis, observer),
      m_watcher(connection, m_settings.watch, clock, observer) {
  m_connection.on_notice([this](std::string_view severity, const std::string& message) {
    const bool warning = severity == "WARNING";
    m_observer.on(core::Note{.level = warning ? core::Level::warning : core::Level::info,
                             .message = fmt::format("server {}: {}", warning ? "warning" : "notice", message)});
  });
}

/// Closing the connection frees the lock, but not behind a pooler that did not keep its promise of one backend.
Database::~Database() {
  if (m_locked_pid) {
    unlock();
  }
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
  const std::string history = m_session_ready || m_settings.expected_history.empty()
                                  ? rows_query(m_settings.history)
                                  : rows_query_unless(m_settings.history, m_settings.expected_history);
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
  const std::size_t rows = batch.add(history);
  batch.sync();
  const std::vector<Result> results = m_connection.run(std::move(batch));
  if (!m_session_ready) {
    m_diagnosis.throw_if_failed(results[0], "cannot set up the session");
    if (!results[1].ok()) {
      throw_role_refused(m_settings.session.role, results[1].error(),
                         results[facts].ok() ? results[facts].text(0, 1) : std::string());
    }
    const Result& r = results[facts];
    m_diagnosis.throw_if_failed(r, "cannot ask the server for its facts");
    tell_overridden(results[0]);
    const std::string full_version = r.text(0, 2);
    m_server = {.database = r.text(0, 0),
                .user = r.text(0, 1),
                .version = full_version.substr(0, full_version.find(' ')),
                .version_number = m_connection.server_version(),
                .in_recovery = r.boolean(0, 3),
                .read_only = r.text(0, 4) == "on",
                .pooled = r.number(0, 5) != m_connection.backend_pid()};
    m_backend_pid = static_cast<int>(r.number(0, 5));
    m_diagnosis.set_user(m_server.user);
    m_session_search_path = r.text(0, 6);
    m_session_ready = true;
    m_per_transaction = m_server.pooled && !m_settings.session.session_pooler;
  }
  if (m_per_transaction) {
    return read_in_transaction(history);
  }
  core::Snapshot snapshot{.server = m_server, .history = history_from(results[layout], results[rows])};
  m_history_exists = snapshot.history.exists;
  return snapshot;
}

/// With our role and search_path, which nothing but a transaction can hold behind a pooler.
core::Snapshot Database::read_in_transaction(const std::string& history) {
  Batch batch;
  batch.add("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY");
  add_transaction_session(batch, m_connection, m_settings.session);
  const std::size_t facts = batch.add(
      "SELECT current_user, pg_catalog.current_setting('search_path'), (SELECT s.reset_val FROM pg_catalog.pg_settings "
      "s "
      "WHERE s.name = 'default_transaction_read_only')");
  const std::size_t layout = batch.add(layout_query(m_settings.history));
  const std::size_t rows = batch.add(history);
  batch.sync();
  batch.add("ROLLBACK");
  const std::vector<Result> results = m_connection.run(std::move(batch));
  for (std::size_t i = 0; i <= facts; ++i) {
    const bool is_role = i + 1 == facts && !m_settings.session.role.empty();
    if (results[i].status() == Result::Status::failed && is_role) {
      throw_role_refused(m_settings.session.role, results[i].error(), m_server.user);
    }
    m_diagnosis.throw_if_failed(results[i], "cannot set up a transaction");
  }
  m_server.user = results[facts].text(0, 0);
  m_session_search_path = results[facts].text(0, 1);
  m_server.read_only = results[facts].text(0, 2) == "on";  // not what another client has left on the backend
  m_diagnosis.set_user(m_server.user);
  core::Snapshot snapshot{.server = m_server, .history = history_from(results[layout], results[rows])};
  m_history_exists = snapshot.history.exists;
  return snapshot;
}

core::History Database::history_from(const Result& layout, const Result& rows) {
  core::History history = read_history(m_settings.history, m_server.user, layout, rows);
  m_newest_row = history.rows.empty() ? 0 : history.rows.back().id;
  return history;
}

void Database::tell_overridden(const Result& answer) {
  for (const std::string& limit : parse_overridden(answer)) {
    m_observer.on(core::Note{.level = core::Level::info,
                             .message = fmt::format("{} is set for this role, database or server; it does not apply to "
                                                    "this run, which has limits of its own",
                                                    limit)});
  }
}

// ---- lock

core::LockAttempt Database::try_lock() {
  m_promised = false;
  m_unlocked = false;
  if (m_per_transaction) {
    return {.acquired = true, .per_transaction = true, .holder = std::nullopt, .history = read().history};
  }
  Batch batch;
  batch.add(try_lock_query(m_settings.history, m_server.pooled));
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
  } else if (m_server.pooled) {
    m_locked_pid = static_cast<int>(results[0].number(0, 1));
  }
  attempt.history = history_from(results[layout], results[rows]);
  m_history_exists = attempt.history.exists;
  return attempt;
}

void Database::unlock() noexcept {
  if (m_per_transaction || m_unlocked) {
    return;  // it went with its transaction, or behind the last one
  }
  if (m_locked_pid) {
    free_stranded_lock();
    return;
  }
  try {
    Batch batch;
    batch.add(unlock_query(m_settings.history));
    m_connection.run(std::move(batch), Connection::Stop::caller_throws);
  } catch (const Error&) {
    // Closing the session frees it as well.
  }
}

/// `pooler: session` may be a mistake: then our lock is on a backend that the pooler gives to others, and only there it
/// can be freed. Where we do not get there, the backend is ended while nobody uses it: the pooler opens another.
void Database::free_stranded_lock() noexcept {
  constexpr int k_tries = 20;
  constexpr util::Duration k_pause{100};
  const int pid = *std::exchange(m_locked_pid, std::nullopt);
  try {
    bool freed = unlock_on(m_connection, pid) || unlock_on_others(pid);
    for (int tries = 0; !freed && tries < k_tries; ++tries) {
      Batch batch;
      batch.add(end_idle_holder_query(m_settings.history), {std::to_string(pid)});
      const std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
      freed = results[0].ok() && results[0].rows() == 0;
      if (!freed) {
        m_clock.sleep(k_pause);
        freed = unlock_on(m_connection, pid);
      }
    }
    if (!freed) {
      m_observer.on(core::Note{
          .level = core::Level::warning,
          .message = fmt::format("the pooler gave this session other backends, although `pooler: session` says that it "
                                 "does not, and backend {0} may still hold the migration lock: SELECT "
                                 "pg_terminate_backend({0}); frees it",
                                 pid)});
    }
  } catch (const std::exception&) {
    // The pooler is gone, or does not let us in. In session mode it resets the backend by itself.
  }
}

/// Each further connection, in a transaction, makes the pooler take another backend for the next.
bool Database::unlock_on_others(int pid) {
  // Others may do the same at this moment, and the pool is finite: whoever does not get a backend soon leaves.
  constexpr std::size_t k_most_backends = 10;
  constexpr util::Duration k_limit = std::chrono::seconds(2);
  constexpr util::Duration k_drain_limit{100};
  const util::Deadline limit = util::Deadline::after(m_clock, k_limit);
  std::vector<Connection> others;
  try {
    while (others.size() < k_most_backends && !limit.passed(m_clock)) {
      auto opened = m_connection.open_sibling(m_settings.watch.application_name, limit);
      auto* other = std::get_if<Connection>(&opened);
      if (other == nullptr) {
        return false;
      }
      others.push_back(std::move(*other));
      others.back().set_deadline(limit);
      others.back().set_drain_limit(k_drain_limit);
      if (unlock_on(others.back(), pid)) {
        return true;
      }
    }
  } catch (const Error&) {
    // No backend in time.
  }
  return false;  // closing a connection rolls back what it has open
}

/// In a transaction that stays open. True when the backend \p pid answered, or there is no sense in asking on.
bool Database::unlock_on(Connection& connection, int pid) {
  Batch batch;
  batch.add("BEGIN");
  batch.add(unlock_query(m_settings.history) + " WHERE pg_catalog.pg_backend_pid() = $1::integer",
            {std::to_string(pid)});
  if (&connection == &m_connection) {
    batch.add("COMMIT");
  }
  const std::vector<Result> results = connection.run(std::move(batch), Connection::Stop::caller_throws);
  return !results[1].ok() || results[1].rows() == 1;
}

void Database::prepare_history() {
  if (m_per_transaction) {
    return;  // the first migration's transaction makes it, under the lock
  }
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
                  "'environment', $7::text, 'old_checksum', $8::text, 'trace_id', $9::text)))",
                  m_settings.history.quoted()),
      {record.migration->version.str(), record.migration->name, std::string(to_string(record.direction)),
       record.migration->up.checksum, std::to_string(statements), m_settings.runner,
       m_settings.environment.empty() ? std::nullopt : Batch::Parameter(m_settings.environment),
       record.old_checksum.empty() ? std::nullopt : Batch::Parameter(record.old_checksum),
       m_settings.trace_id.empty() ? std::nullopt : Batch::Parameter(m_settings.trace_id)});
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
  if (m_per_transaction && expectations.size() > 1) {  // one transaction a request, see Connection::run()
    std::vector<ExpectationResult> results;
    results.reserve(expectations.size());
    for (const Expectation& expectation : expectations) {
      results.push_back(check({expectation}).front());
    }
    return results;
  }
  Batch batch;
  std::vector<std::size_t> answers;
  for (const Expectation& expectation : expectations) {
    Check check = make_check(expectation);
    batch.add("BEGIN READ ONLY");  // free SQL must not change anything
    if (m_per_transaction) {
      add_transaction_session(batch, m_connection, m_settings.session);
    }
    if (m_settings.check_lock_timeout > util::Duration::zero()) {
      batch.add("SELECT pg_catalog.set_config('lock_timeout', $1, true)",
                {std::to_string(m_settings.check_lock_timeout.count()) + "ms"});
    }
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
    const Result& answer = found[answers[i]];
    if (answer.status() == Result::Status::failed &&
        outcome_of(answer.error().sqlstate) == util::Outcome::lock_timeout) {
      m_diagnosis.throw_error(answer.error(), fmt::format("cannot check {}", expectations[i].subject()));
    }
    results.push_back(judge(expectations[i], answer));
  }
  return results;
}

}  // namespace lockkeeper::pg
