/// \file
/// A real server for tests: a database that goes away with the test, a role that does, and a plain connection to look
/// at the result with. Independent of src/pg on purpose. Needs LOCKKEEPER_TEST_URL: tests/support/with_cluster.sh.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <libpq-fe.h>
#include <unistd.h>

namespace lockkeeper::test {

/// LOCKKEEPER_TEST_URL, or a message that says how to get one.
inline std::string server_url(const char* value = std::getenv("LOCKKEEPER_TEST_URL")) {
  if (value == nullptr || *value == '\0') {
    throw std::runtime_error(
        "LOCKKEEPER_TEST_URL is not set: these tests need a PostgreSQL server and a superuser. Run\n"
        "  tests/support/with_cluster.sh build/dev/tests/db_tests\n"
        "or `ctest --preset all -L db`, which starts one for the tests.");
  }
  return value;
}

/// libpq's parameters of a URL.
inline std::vector<std::pair<std::string, std::string>> parameters_of(const std::string& url) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(url.c_str(), nullptr),
                                                                             PQconninfoFree);
  if (!options) {
    throw std::runtime_error("LOCKKEEPER_TEST_URL is not a URL that libpq understands");
  }
  std::vector<std::pair<std::string, std::string>> parameters;
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) {
      parameters.emplace_back(option->keyword, option->val);
    }
  }
  return parameters;
}

using Rows = std::vector<std::vector<std::string>>;

/// A connection of the superuser that is not the one under test.
class Admin {
 public:
  explicit Admin(const std::string& database = {}) {
    std::vector<const char*> keywords;
    std::vector<const char*> values;
    const auto parameters = parameters_of(server_url());
    for (const auto& [keyword, value] : parameters) {
      keywords.push_back(keyword.c_str());
      values.push_back(keyword == "dbname" && !database.empty() ? database.c_str() : value.c_str());
    }
    keywords.push_back("application_name");
    values.push_back("test admin");
    keywords.push_back(nullptr);
    values.push_back(nullptr);
    m_connection.reset(PQconnectdbParams(keywords.data(), values.data(), 0));
    if (PQstatus(m_connection.get()) != CONNECTION_OK) {
      throw std::runtime_error(std::string("cannot connect to the test server: ") + PQerrorMessage(m_connection.get()));
    }
    PQsetNoticeProcessor(m_connection.get(), [](void*, const char*) {}, nullptr);
  }

  /// All rows as text, NULL as "null". \throws std::runtime_error with the SQLSTATE in front
  Rows query(const std::string& sql) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(m_connection.get(), sql.c_str()), PQclear);
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      throw std::runtime_error(std::string(state == nullptr ? "" : state) + " " + PQerrorMessage(m_connection.get()));
    }
    Rows rows(static_cast<std::size_t>(PQntuples(result.get())));
    for (int r = 0; r < PQntuples(result.get()); ++r) {
      for (int c = 0; c < PQnfields(result.get()); ++c) {
        const bool null = PQgetisnull(result.get(), r, c) != 0;
        rows[static_cast<std::size_t>(r)].emplace_back(null ? "null" : PQgetvalue(result.get(), r, c));
      }
    }
    return rows;
  }
  void run(const std::string& sql) { query(sql); }
  /// The first column of the first row; "" when there is none.
  std::string value(const std::string& sql) {
    const Rows rows = query(sql);
    return rows.empty() ? "" : rows[0].at(0);
  }
  /// The SQLSTATE that \p sql fails with; "" when it does not.
  std::string error(const std::string& sql) {
    try {
      query(sql);
    } catch (const std::runtime_error& error) {
      return std::string(error.what()).substr(0, 5);
    }
    return {};
  }
  /// Ends the server process \p pid and waits until it is gone.
  void terminate(int backend) {
    const std::string pid = std::to_string(backend);
    run("SELECT pg_terminate_backend(" + pid + ")");
    wait_until("SELECT NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = " + pid +
               ") AND NOT EXISTS (SELECT 1 FROM pg_locks WHERE pid = " + pid + ")");
  }
  /// Asks again until the answer is true. \throws after ten seconds
  void wait_until(const std::string& sql) {
    for (int tries = 0; tries < 1000; ++tries) {
      if (value(sql) == "t") {
        return;
      }
      ::usleep(10'000);
    }
    throw std::runtime_error("never became true: " + sql);
  }

 private:
  struct Finish {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };
  std::unique_ptr<PGconn, Finish> m_connection;
};

/// A name that no other test has.
inline std::string unique_name() {
  static int count = 0;
  return "lk_test_" + std::to_string(::getpid()) + "_" + std::to_string(++count);
}

/// A role that goes away with the test; declare it before the database in which it owns something.
class TempRole {
 public:
  explicit TempRole(const std::string& attributes = "LOGIN") {
    Admin().run("CREATE ROLE \"" + m_name + "\" " + attributes + " PASSWORD 'secret'");
  }
  TempRole(const TempRole&) = delete;
  TempRole& operator=(const TempRole&) = delete;
  ~TempRole() {
    try {
      Admin().run("DROP ROLE IF EXISTS \"" + m_name + "\"");
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cannot drop the role: %s\n", error.what());
    }
  }
  [[nodiscard]] const std::string& name() const { return m_name; }

 private:
  std::string m_name = unique_name();
};

/// A database that goes away with the test, or stays and says so when LOCKKEEPER_KEEP_TEST_DB is set.
class TempDatabase {
 public:
  TempDatabase() {
    Admin().run("CREATE DATABASE \"" + m_name + "\"");
    m_admin = std::make_unique<Admin>(m_name);
  }
  TempDatabase(const TempDatabase&) = delete;
  TempDatabase& operator=(const TempDatabase&) = delete;
  ~TempDatabase() {
    m_admin.reset();
    if (std::getenv("LOCKKEEPER_KEEP_TEST_DB") != nullptr) {
      std::fprintf(stderr, "kept the database %s: psql -d %s \"$LOCKKEEPER_TEST_URL\"\n", m_name.c_str(),
                   m_name.c_str());
      return;
    }
    try {
      Admin().run("DROP DATABASE IF EXISTS \"" + m_name + "\" WITH (FORCE)");
    } catch (const std::exception& error) {
      std::fprintf(stderr, "cannot drop the database: %s\n", error.what());
    }
  }

  [[nodiscard]] const std::string& name() const { return m_name; }
  [[nodiscard]] Admin& admin() { return *m_admin; }

 private:
  std::string m_name = unique_name();
  std::unique_ptr<Admin> m_admin;
};

}  // namespace lockkeeper::test
