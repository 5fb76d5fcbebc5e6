/// \file
/// A pg::Database on a connection of its own, and migrations made of literal SQL by the real splitter.
#pragma once

#include <stdexcept>
#include <string>
#include <variant>

#include "core/apply.hpp"
#include "core/migration.hpp"
#include "files/checksum.hpp"
#include "files/statements.hpp"
#include "pg/connection.hpp"
#include "pg/database.hpp"
#include "support/recording_observer.hpp"
#include "support/temp_database.hpp"
#include "util/clock.hpp"

namespace lockkeeper::test {

inline core::Script sql_script(const std::string& path, const std::string& sql) {
  files::SplitResult split = files::split(sql, path);
  if (!split.problems.empty()) {
    throw std::runtime_error("the SQL of this test: " + util::to_string(split.problems.front()));
  }
  return {.path = path,
          .text = sql,
          .checksum = files::script_checksum(sql),
          .statements = std::move(split.statements),
          .parsed = true};
}

inline core::Migration sql_migration(const std::string& version, const std::string& up, bool transactional = true) {
  core::Migration migration;
  migration.version = core::Version(version);
  migration.name = "m" + version;
  migration.directory = "migrations/" + version + "_m" + version;
  migration.transactional = transactional;
  migration.up = sql_script(migration.directory + "/up.sql", up);
  migration.parsed = true;
  return migration;
}

/// As whom to connect; empty = the superuser.
struct Login {
  std::string user;
  std::string password = "secret";
};

inline pg::Connection open_connection(const std::string& database, util::Clock& clock, const Login& login = {}) {
  pg::Address address;
  for (auto [keyword, value] : parameters_of(server_url())) {
    if (keyword == "password") {
      address.password = util::Secret(login.user.empty() ? value : login.password);
      address.has_password = true;
      continue;
    }
    if (keyword == "user" && !login.user.empty()) {
      value = login.user;
    }
    address.parameters.emplace_back(keyword, keyword == "dbname" ? database : value);
  }
  address.parameters.emplace_back("client_encoding", "UTF8");
  address.parameters.emplace_back("application_name", "lockkeeper under test");
  auto opened = pg::Connection::open(address, clock, util::Deadline::after(clock, std::chrono::seconds(20)));
  if (const auto* failed = std::get_if<pg::ConnectError>(&opened)) {
    throw std::runtime_error("cannot connect: " + failed->message);
  }
  return std::move(std::get<pg::Connection>(opened));
}

/// Settings that most tests use.
inline pg::DatabaseSettings plain_settings() {
  pg::DatabaseSettings settings;
  settings.runner = "lockkeeper/test somewhere";
  return settings;
}

/// One session. Its facts and history are read when it is made, as every command does.
class PgSession {
 public:
  explicit PgSession(const TempDatabase& database, const pg::DatabaseSettings& settings = plain_settings(),
                     const Login& login = {})
      : m_connection(open_connection(database.name(), m_clock, login)),
        m_database(m_connection, settings, m_clock, observer),
        m_snapshot(m_database.read()) {}

  [[nodiscard]] pg::Database& database() { return m_database; }
  [[nodiscard]] pg::Connection& connection() { return m_connection; }
  [[nodiscard]] const core::Snapshot& snapshot() const { return m_snapshot; }
  [[nodiscard]] util::Clock& clock() { return m_clock; }

  /// Takes the lock and makes sure that the history is there: ready to apply.
  void prepare() {
    if (!m_database.try_lock().acquired) {
      throw std::runtime_error("the lock is not free");
    }
    m_database.prepare_history();
  }
  core::AttemptResult apply(const core::Migration& migration) {
    return m_database.apply_transaction({.migration = &migration, .lock_timeout = std::chrono::seconds(2)});
  }

  RecordingObserver observer;
  core::Limits limits;
  core::Report report;

  core::Run run() {
    return {.database = m_database,
            .observer = observer,
            .clock = m_clock,
            .limits = limits,
            .deadline = {},
            .report = report};
  }

 private:
  util::SystemClock m_clock;
  pg::Connection m_connection;
  pg::Database m_database;
  core::Snapshot m_snapshot;
};

}  // namespace lockkeeper::test
