#include "pg/connection.hpp"

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using namespace std::chrono_literals;
using pg::Batch;
using pg::Connection;
using pg::Result;
using test::contains;
using test::error_of;
using test::open_connection;
using test::TempDatabase;
using util::Outcome;
using Status = pg::Result::Status;

namespace {

struct Fixture {
  TempDatabase database;
  util::SystemClock clock;
  Connection connection = open_connection(database.name(), clock);

  Result ask(const std::string& sql, std::vector<Batch::Parameter> parameters = {}) {
    Batch batch;
    batch.add(sql, std::move(parameters));
    return std::move(connection.run(std::move(batch)).at(0));
  }
};

/// Shuts the TCP connection of the backend \p pid down from our side, as a network that breaks does.
void cut_wire(test::Admin& admin, int pid) {
  const std::string asked = "SELECT client_port FROM pg_stat_activity WHERE pid = " + std::to_string(pid);
  const int port = std::stoi(admin.value(asked));
  for (int fd = 3; fd < 256; ++fd) {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 && address.sin_family == AF_INET &&
        ntohs(address.sin_port) == port) {
      ::shutdown(fd, SHUT_RDWR);
      return;
    }
  }
  throw std::runtime_error("found no socket of ours to the server");
}

template <typename Action>
std::chrono::milliseconds time_of(const Action& action) {
  const auto begin = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
}

}  // namespace

TEST_CASE("without LOCKKEEPER_TEST_URL the tests say how to run them") {
  for (const char* value : {static_cast<const char*>(nullptr), ""}) {
    try {
      test::server_url(value);
      FAIL("no exception");
    } catch (const std::runtime_error& error) {
      CHECK(contains(error.what(), "with_cluster.sh"));
    }
  }
}

TEST_CASE("each query of a batch gets its answer, in order") {
  Fixture f;
  Batch batch;
  for (int i = 0; i < 50; ++i) {
    CHECK(batch.add("SELECT $1::int * 2", {std::to_string(i)}) == static_cast<std::size_t>(i));
    if (i % 7 == 0) {
      batch.sync();
      batch.sync();  // an empty segment is none
    }
  }
  const std::vector<Result> results = f.connection.run(std::move(batch));
  REQUIRE(results.size() == 50);
  for (int i = 0; i < 50; ++i) {
    CHECK(results[static_cast<std::size_t>(i)].number(0, 0) == i * 2);
  }
  CHECK(f.connection.run(Batch()).empty());
}

TEST_CASE("a failing query skips the rest of its segment and nothing of the next") {
  // All positions of one failure in three segments of three.
  for (std::size_t failing = 0; failing < 9; ++failing) {
    Fixture f;
    Batch batch;
    for (std::size_t i = 0; i < 9; ++i) {
      batch.add(i == failing ? "SELECT 1/0" : "SELECT 1");
      if (i % 3 == 2) {
        batch.sync();
      }
    }
    const std::vector<Result> results = f.connection.run(std::move(batch));
    REQUIRE(results.size() == 9);
    for (std::size_t i = 0; i < 9; ++i) {
      CAPTURE(failing);
      CAPTURE(i);
      const bool skipped = i > failing && i / 3 == failing / 3;
      CHECK(results[i].status() == (i == failing ? Status::failed : skipped ? Status::skipped : Status::ok));
    }
    CHECK(results[failing].error().sqlstate == "22012");
    CHECK(results[failing].error().message == "division by zero");
    CHECK(f.ask("SELECT 1").ok());
  }
}

TEST_CASE("a segment outside a transaction block is a transaction of its own") {
  Fixture f;
  Batch batch;
  batch.add("CREATE TABLE kept ()");
  batch.sync();
  batch.add("CREATE TABLE gone ()");
  batch.add("SELECT 1/0");
  f.connection.run(std::move(batch));
  CHECK(f.database.admin().value("SELECT to_regclass('kept') IS NOT NULL, to_regclass('gone') IS NULL") == "t");
  CHECK(f.database.admin().query("SELECT to_regclass('kept') IS NOT NULL, to_regclass('gone') IS NULL") ==
        test::Rows{{"t", "t"}});
}

TEST_CASE("a batch much larger than all socket buffers, both ways, does not deadlock") {
  Fixture f;
  f.connection.set_deadline(util::Deadline::after(f.clock, 120s));
  constexpr std::size_t k_queries = 20'000;
  const std::string sent(1000, 'x');
  Batch batch;
  for (std::size_t i = 0; i < k_queries; ++i) {
    batch.add("SELECT $1::int, $2::text || repeat('y', 1000)", {std::to_string(i), sent});
  }
  const std::vector<Result> results = f.connection.run(std::move(batch));
  REQUIRE(results.size() == k_queries);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < k_queries; ++i) {
    wrong += results[i].number(0, 0) == static_cast<long long>(i) && results[i].text(0, 1).size() == 2000 ? 0U : 1U;
  }
  CHECK(wrong == 0);
}

TEST_CASE("NULL goes in and out as NULL, and bytes are kept") {
  Fixture f;
  const Result result = f.ask("SELECT $1::text, $2::text, $3::text = ''", {std::nullopt, "a'b\\c\"\náéíóú", ""});
  CHECK(result.is_null(0, 0));
  CHECK(result.text(0, 0).empty());
  CHECK_FALSE(result.is_null(0, 1));
  CHECK(result.text(0, 1) == "a'b\\c\"\náéíóú");
  CHECK(result.boolean(0, 2));
}

TEST_CASE("an error's position counts characters, not bytes") {
  Fixture f;
  const Result result = f.ask("select 'áéíóú', bogus");
  CHECK(result.status() == Status::failed);
  CHECK(result.error().sqlstate == "42703");
  CHECK(result.error().position == 17);
}

TEST_CASE("an error in a migration is shown at its place in the file") {
  TempDatabase database;
  test::PgSession session(database);
  session.prepare();
  const core::Migration migration =
      test::sql_migration("1", "-- Über uns\nSELECT 1;\n/* ä */ SELECT 'áéíóú',\n  '日本', bogus;\n");
  const core::AttemptResult result = session.apply(migration);
  REQUIRE(result.failure);
  const util::ErrorInfo& error = result.failure->error;
  REQUIRE(error.where);
  CHECK(util::to_string(*error.where) == "migrations/1_m1/up.sql:4:9");
  CHECK(error.excerpt == "    4 |   '日本', bogus;\n      |         ^");
}

TEST_CASE("COMMIT of a failed transaction is seen to be none") {
  Fixture f;
  Batch batch;
  batch.add("BEGIN");
  batch.add("SELECT 1/0");
  batch.sync();
  batch.add("COMMIT");
  const std::vector<Result> results = f.connection.run(std::move(batch));
  CHECK(results[2].ok());  // the server calls it a success
  CHECK(results[2].tag() == "ROLLBACK");
}

TEST_CASE("a constraint that only fails at COMMIT is an error, and nothing is applied") {
  TempDatabase database;
  database.admin().run(
      "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY "
      "DEFERRED)");
  test::PgSession session(database);
  session.prepare();
  const core::Migration migration = test::sql_migration("1", "INSERT INTO child VALUES (1);");
  const core::Attempt attempt{.migration = &migration};
  std::string message;
  const util::ErrorInfo error = error_of([&] {
    const core::AttemptResult result = session.database().apply_transaction(attempt);
    REQUIRE(result.failure);
    throw util::Error(result.failure->error);
  });
  CHECK(error.outcome == Outcome::sql);
  CHECK(error.sqlstate == "23503");
  CHECK(database.admin().query("SELECT (SELECT count(*) FROM child), (SELECT count(*) FROM lockkeeper.history)") ==
        test::Rows{{"0", "0"}});
  CHECK(session.apply(test::sql_migration("2", "SELECT 1;")).applied());  // the session is still good
}

TEST_CASE("in_transaction() tells an open transaction from a failed one") {
  Fixture f;
  CHECK_FALSE(f.connection.in_transaction());
  f.ask("BEGIN");
  CHECK(f.connection.in_transaction());
  f.ask("SELECT 1/0");
  CHECK_FALSE(f.connection.in_transaction());
  f.ask("ROLLBACK");
  CHECK_FALSE(f.connection.in_transaction());
  CHECK(f.connection.usable());
}

TEST_CASE("notices reach the handler, with their severity") {
  Fixture f;
  std::vector<std::string> told;
  f.connection.on_notice([&](std::string_view severity, const std::string& message) {
    told.push_back(std::string(severity) + ": " + message);
  });
  f.ask("DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$");
  f.connection.run_alone("DO $$ BEGIN RAISE NOTICE 'three'; END $$");
  CHECK(told == std::vector<std::string>{"NOTICE: one", "WARNING: two", "NOTICE: three"});
}

TEST_CASE("a migration's notices are told to the observer") {
  TempDatabase database;
  test::PgSession session(database);
  session.prepare();
  session.apply(test::sql_migration("1", "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$;"));
  CHECK(session.observer.noted(core::Level::info, "server notice: one"));
  CHECK(session.observer.noted(core::Level::warning, "server warning: two"));
}

TEST_CASE("the deadline cancels what runs, and the connection can still roll back") {
  for (const bool alone : {false, true}) {
    Fixture f;
    f.ask("BEGIN");
    f.ask("CREATE TABLE gone ()");
    f.connection.set_deadline(util::Deadline::after(f.clock, 300ms));
    util::ErrorInfo error;
    const auto took = time_of([&] {
      error = error_of([&] {
        if (alone) {
          f.connection.run_alone("SELECT pg_sleep(30)");
        } else {
          f.ask("SELECT pg_sleep(30)");
        }
      });
    });
    CAPTURE(alone);
    CHECK(error.outcome == Outcome::deadline);
    CHECK(took >= 300ms);
    CHECK(took < 1500ms);
    CHECK(f.connection.usable());
    CHECK(f.ask("ROLLBACK").ok());  // told once; clean-up goes on
    CHECK(f.ask("SELECT to_regclass('gone') IS NULL").boolean(0, 0));
  }
}

TEST_CASE("the deadline ends a migration cleanly: nothing is applied, the failure is recorded, the lock is free") {
  TempDatabase database;
  test::PgSession session(database);
  session.prepare();
  session.connection().set_deadline(util::Deadline::after(session.clock(), 500ms));
  core::Migration migration = test::sql_migration("1", "CREATE TABLE gone (); SELECT pg_sleep(30);");
  core::Run run = session.run();
  const auto took = time_of(
      [&] { CHECK(error_of([&] { core::apply(run, {{.migration = &migration}}); }).outcome == Outcome::deadline); });
  CHECK(took < 3s);
  session.database().unlock();
  CHECK(database.admin().query(
            "SELECT version, outcome, error LIKE '%deadline was reached%', to_regclass('gone') IS NULL "
            "FROM lockkeeper.history") == test::Rows{{"1", "failed", "t", "t"}});
  CHECK(database.admin().value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = " +
                               std::to_string(session.connection().backend_pid())) == "0");
}

TEST_CASE("COPY data in a migration is loaded in its transaction") {
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int, name text)");
  test::PgSession session(database);
  session.prepare();
  std::string rows;
  for (int i = 0; i < 50'000; ++i) {  // more than any buffer
    rows += std::to_string(i) + "\tname " + std::to_string(i) + "\n";
  }
  const std::string copy = "COPY t (id, name) FROM STDIN;\n" + rows + "\\.\n";
  CHECK(session
            .apply(test::sql_migration(
                "1", "INSERT INTO t VALUES (-1, 'before');\n" + copy + "INSERT INTO t VALUES (-2, 'after');\n"))
            .applied());
  CHECK(database.admin().query("SELECT count(*), sum(id) FROM t") == test::Rows{{"50002", "1249974997"}});
  CHECK(session.apply(test::sql_migration("2", "COPY t FROM STDIN;\n\\.\n")).applied());  // no data

  const core::AttemptResult failed =
      session.apply(test::sql_migration("3", "DELETE FROM t;\nCOPY t FROM STDIN;\n1\tone\nx\ttwo\n\\.\n"));
  REQUIRE(failed.failure);
  CHECK(failed.failure->error.sqlstate == "22P02");
  CHECK(failed.failure->error.where->line == 2);
  CHECK(database.admin().value("SELECT count(*) FROM t") == "50002");
}

TEST_CASE("the expectations of a migration with COPY are checked") {
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int)");
  test::PgSession session(database);
  session.prepare();
  core::Migration migration = test::sql_migration("1", "COPY t FROM STDIN;\n1\n\\.\n");
  migration.expect = {
      {.kind = core::Expectation::Kind::sql, .member = "two rows", .sql = "SELECT count(*) = 2 FROM t"}};
  const core::AttemptResult result = session.apply(migration);
  CHECK_FALSE(result.applied());
  CHECK(result.broken.size() == 1);
  CHECK(database.admin().value("SELECT count(*) FROM t") == "0");
  CHECK(database.admin().value("SELECT count(*) FROM lockkeeper.history") == "0");
}

TEST_CASE("COPY TO STDOUT in a migration does not hang, however much it says") {
  TempDatabase database;
  test::PgSession session(database);
  session.prepare();
  session.connection().set_deadline(util::Deadline::after(session.clock(), 60s));
  CHECK(session
            .apply(test::sql_migration(
                "1", "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 5000)) TO STDOUT;\nCREATE TABLE t ();"))
            .applied());
  CHECK(database.admin().value("SELECT to_regclass('t') IS NOT NULL") == "t");
}

TEST_CASE("a session that the server ends is a lost connection") {
  for (const std::string sql : {"SELECT pg_terminate_backend(pg_backend_pid())",
                                "COPY (SELECT pg_terminate_backend(pg_backend_pid())) TO STDOUT"}) {
    Fixture f;
    const util::ErrorInfo error = error_of([&] { f.connection.run_alone(sql); });
    CHECK(error.outcome == Outcome::connection_lost);
    CHECK_FALSE(f.connection.usable());
    CHECK(error_of([&] { f.ask("SELECT 1"); }).outcome == Outcome::connection_lost);
  }
}

TEST_CASE("a network that breaks is a lost connection at once, whatever runs") {
  const std::vector<std::string> running = {
      "SELECT pg_sleep(30)",
      "COPY (SELECT repeat('x', 20000), pg_sleep(0.02) FROM generate_series(1, 1500)) TO STDOUT"};
  for (const std::string& sql : running) {
    Fixture f;
    const int pid = f.connection.backend_pid();
    f.connection.set_deadline(util::Deadline::after(f.clock, 25s));
    std::thread cutter([&] {
      f.database.admin().wait_until("SELECT state = 'active' FROM pg_stat_activity WHERE pid = " + std::to_string(pid));
      std::this_thread::sleep_for(200ms);
      cut_wire(f.database.admin(), pid);
    });
    const auto took =
        time_of([&] { CHECK(error_of([&] { f.connection.run_alone(sql); }).outcome == Outcome::connection_lost); });
    cutter.join();
    CAPTURE(sql);
    CHECK(took < 10s);
  }
}
