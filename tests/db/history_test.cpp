#include "pg/history.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::Migration;
using test::contains;
using test::error_of;
using test::Login;
using test::PgSession;
using test::plain_settings;
using test::sql_migration;
using test::TempDatabase;
using test::TempRole;
using util::Outcome;

namespace {

void make_history(TempDatabase& database) {
  PgSession session(database);
  session.prepare();
  session.apply(sql_migration("1", "SELECT 1;"));
}

util::ErrorInfo error_of_reading(TempDatabase& database) {
  return error_of([&] { const PgSession session(database); });
}

}  // namespace

TEST_CASE("the history table has the columns of the contract") {
  TempDatabase database;
  make_history(database);
  std::string columns;
  for (const auto& row : database.admin().query(
           "SELECT attname || ' ' || format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = "
           "'lockkeeper.history'::regclass AND attnum > 0 ORDER BY attnum")) {
    columns += row[0] + "\n";
  }
  CHECK(columns ==
        "id bigint\nversion text\nname text\ndirection text\nchecksum text\noutcome text\nstatements_done integer\n"
        "statements_total integer\nstarted_at timestamp with time zone\nfinished_at timestamp with time zone\n"
        "applied_by text\nrunner text\nerror text\ndetails jsonb\n");
  CHECK(database.admin().value("SELECT obj_description('lockkeeper.history'::regclass)") ==
        "lockkeeper history, layout 1");
}

TEST_CASE("a row says who did what and when") {
  TempDatabase database;
  pg::DatabaseSettings settings = plain_settings();
  settings.environment = "prod";
  {
    PgSession session(database, settings);
    session.prepare();
    session.apply(sql_migration("1", "SELECT pg_sleep(0.05);"));
    const Migration alone = sql_migration("2", "SELECT 1;", false);
    session.database().record_started({.migration = &alone});
  }
  const auto rows = database.admin().query(
      "SELECT id, version, name, direction, length(checksum), outcome, statements_done, statements_total, started_at < "
      "finished_at, finished_at <= clock_timestamp(), applied_by, runner, error, details FROM lockkeeper.history ORDER "
      "BY id");
  REQUIRE(rows.size() == 2);
  CHECK(rows[0] == std::vector<std::string>{"1", "1", "m1", "up", "64", "applied", "1", "1", "t", "t", "postgres",
                                            "lockkeeper/test somewhere", "null", R"({"environment": "prod"})"});
  CHECK(rows[1] == std::vector<std::string>{"2", "2", "m2", "up", "64", "started", "0", "1", "null", "null", "postgres",
                                            "lockkeeper/test somewhere", "null", R"({"environment": "prod"})"});
  const core::History history = PgSession(database).snapshot().history;
  CHECK(history.layout == 1);
  CHECK(history.rows[0].applied_by == "postgres");
  CHECK(history.rows[0].finished_at.size() == std::string("2025-05-20T00:00:00Z").size());
  CHECK(history.rows[0].finished_at.ends_with('Z'));
  CHECK(history.rows[1].finished_at.empty());
}

TEST_CASE("a history with a newer layout is refused, and left alone") {
  TempDatabase database;
  make_history(database);
  database.admin().run("COMMENT ON TABLE lockkeeper.history IS 'lockkeeper history, layout 2'");
  const util::ErrorInfo error = error_of_reading(database);
  CHECK(error.outcome == Outcome::unsupported_server);
  CHECK(error.message == "the history lockkeeper.history has layout 2, this binary knows up to 1");
  CHECK(contains(error.hint, "newer Lockkeeper"));
  // Also when its columns are no longer ours.
  database.admin().run("ALTER TABLE lockkeeper.history RENAME version TO versions");
  CHECK(error_of_reading(database).message == error.message);
}

TEST_CASE("a history that somebody upgrades while we wait for the lock is refused after it") {
  TempDatabase database;
  make_history(database);
  PgSession session(database);
  database.admin().run("COMMENT ON TABLE lockkeeper.history IS 'lockkeeper history, layout 99'");
  CHECK(error_of([&] { session.database().try_lock(); }).outcome == Outcome::unsupported_server);
}

TEST_CASE("a table of that name that is not ours is refused") {
  for (const char* column : {"version", "checksum", "outcome", "details", "statements_done"}) {
    TempDatabase database;
    make_history(database);
    database.admin().run(std::string("ALTER TABLE lockkeeper.history DROP COLUMN ") + column);
    const util::ErrorInfo error = error_of_reading(database);
    CAPTURE(column);
    CHECK(error.outcome == Outcome::unsupported_server);
    CHECK(contains(error.message, "cannot read the history lockkeeper.history"));
    CHECK(contains(error.hint, "--history-table"));
  }
}

TEST_CASE("a row whose version is not a number stops the run, naming the row") {
  for (const char* version : {"", "1a", "v1", "-1", "1.5", " 1", "١"}) {
    TempDatabase database;
    make_history(database);
    database.admin().run(std::string("UPDATE lockkeeper.history SET version = '") + version + "'");
    const util::ErrorInfo error = error_of_reading(database);
    CAPTURE(version);
    CHECK(error.outcome == Outcome::history_conflict);
    CHECK(error.message == "the history row with id 1 has no number as its version");
  }
}

TEST_CASE("a direction that a newer binary wrote is refused") {
  TempDatabase database;
  make_history(database);
  database.admin().run("ALTER TABLE lockkeeper.history DROP CONSTRAINT history_direction_check");
  database.admin().run("UPDATE lockkeeper.history SET direction = 'sideways'");
  CHECK(error_of_reading(database).outcome == Outcome::unsupported_server);
}

TEST_CASE("a history that our role may not read is a permission error with the GRANT that is missing") {
  const TempRole role;
  TempDatabase database;
  make_history(database);
  const util::ErrorInfo error = error_of([&] { const PgSession s(database, plain_settings(), {.user = role.name()}); });
  CHECK(error.outcome == Outcome::permission);
  CHECK(error.sqlstate == "42501");
  const std::string grant = "GRANT USAGE ON SCHEMA \"lockkeeper\" TO \"" + role.name() +
                            "\"; GRANT SELECT ON \"lockkeeper\".\"history\" TO \"" + role.name() + "\";";
  CHECK(error.hint == grant);
  database.admin().run(grant);  // what we say works
  CHECK(PgSession(database, plain_settings(), {.user = role.name()}).snapshot().history.rows.size() == 1);
}

TEST_CASE("history readers may read it, whether it is new or was there, and nothing else") {
  const TempRole early;
  const TempRole late;
  TempDatabase database;
  pg::DatabaseSettings settings = plain_settings();
  settings.history.readers = {early.name()};
  {
    PgSession session(database, settings);
    session.prepare();
    session.apply(sql_migration("1", "SELECT 1;"));
  }
  settings.history.readers = {early.name(), late.name()};
  {
    PgSession session(database, settings);
    session.prepare();
  }
  for (const TempRole* role : {&early, &late}) {
    PgSession reader(database, plain_settings(), {.user = role->name()});
    CHECK(reader.snapshot().history.rows.size() == 1);
    CHECK(reader.snapshot().server.user == role->name());
    CHECK(database.admin().value("SELECT has_table_privilege('" + role->name() +
                                 "', 'lockkeeper.history', 'INSERT, UPDATE, DELETE, TRUNCATE') OR "
                                 "has_schema_privilege('" +
                                 role->name() + "', 'lockkeeper', 'CREATE')") == "f");
  }
}

TEST_CASE("a history reader that does not exist is a configuration error, and nothing is made") {
  TempDatabase database;
  pg::DatabaseSettings settings = plain_settings();
  settings.history.readers = {"no such role"};
  PgSession session(database, settings);
  session.database().try_lock();
  CHECK(error_of([&] { session.database().prepare_history(); }).outcome == Outcome::config);
  CHECK(database.admin().value("SELECT to_regclass('lockkeeper.history') IS NULL") == "t");
}

TEST_CASE("a role that may not create the history is told what to grant") {
  const TempRole role;
  TempDatabase database;
  database.admin().run("REVOKE ALL ON DATABASE \"" + database.name() + "\" FROM PUBLIC");
  database.admin().run("GRANT CONNECT ON DATABASE \"" + database.name() + "\" TO \"" + role.name() + "\"");
  {
    PgSession session(database, plain_settings(), {.user = role.name()});
    session.database().try_lock();
    const util::ErrorInfo error = error_of([&] { session.database().prepare_history(); });
    CHECK(error.outcome == Outcome::permission);
    CHECK(contains(error.hint, "CREATE SCHEMA \"lockkeeper\" AUTHORIZATION \"" + role.name() + "\""));
  }
  database.admin().run("CREATE SCHEMA lockkeeper; GRANT USAGE ON SCHEMA lockkeeper TO \"" + role.name() + "\"");
  {
    PgSession session(database, plain_settings(), {.user = role.name()});
    session.database().try_lock();
    const util::ErrorInfo error = error_of([&] { session.database().prepare_history(); });
    CHECK(error.outcome == Outcome::permission);
    database.admin().run(error.hint);  // what we say works
    session.database().prepare_history();
  }
  CHECK(database.admin().value("SELECT tableowner FROM pg_tables WHERE tablename = 'history'") == role.name());
}

TEST_CASE("the history can have any name, and each has a lock of its own") {
  struct Name {
    std::string schema;
    std::string table;
  };
  const std::vector<Name> names = {{"odd Schema", "hist\"ory"},
                                   {"o'clock", "back\\slash"},
                                   {"public", "lockkeeper_history"},
                                   {"a.b", "c"},
                                   {"naïve", "日本"}};
  TempDatabase database;
  std::vector<std::unique_ptr<PgSession>> sessions;
  for (const Name& name : names) {
    CAPTURE(name.schema);
    pg::DatabaseSettings settings = plain_settings();
    settings.history.schema = name.schema;
    settings.history.table = name.table;
    sessions.push_back(std::make_unique<PgSession>(database, settings));
    PgSession& session = *sessions.back();
    session.prepare();  // the others hold theirs
    CHECK(session.apply(sql_migration("1", "SELECT 1;")).applied());
    const Migration alone = sql_migration("2", "SELECT 1;", false);
    const core::Attempt attempt{.migration = &alone};
    const std::int64_t row = session.database().record_started(attempt);
    CHECK_FALSE(session.database().run_statement(attempt, row, 0));
    CHECK(session.database().record_finished(attempt, row).applied());

    PgSession other(database, settings);
    CHECK(other.snapshot().history.rows.size() == 2);
    CHECK(other.snapshot().history.layout == 1);
    const core::LockAttempt second = other.database().try_lock();
    CHECK_FALSE(second.acquired);
    CHECK(second.holder->pid == session.connection().backend_pid());
    CHECK(second.holder->application_name == "lockkeeper under test");
    CHECK(second.holder->user == "postgres");
    CHECK(second.holder->session_age.has_value());
  }
  CHECK(database.admin().value(R"(SELECT count(*) FROM "odd Schema"."hist""ory")") == "2");
}

TEST_CASE("the lock's key is the one that the documentation lets one compute") {
  TempDatabase database;
  PgSession session(database);
  session.database().try_lock();
  CHECK(database.admin().value(
            "SELECT count(*) FROM pg_locks, (SELECT hashtextextended(current_database() || ':lockkeeper.history', 0) "
            "AS key) k "
            "WHERE locktype = 'advisory' AND ((classid::bigint << 32) | objid::bigint) = key AND pid = " +
            std::to_string(session.connection().backend_pid())) == "1");
}

TEST_CASE("what cannot be recorded is not done") {
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int)");
  make_history(database);
  database.admin().run("ALTER TABLE lockkeeper.history ADD CHECK (version <> '2'), ADD CHECK (statements_done < 2)");
  PgSession session(database);
  session.prepare();
  CHECK(error_of([&] { session.apply(sql_migration("2", "INSERT INTO t VALUES (1);")); }).sqlstate == "23514");

  const Migration alone = sql_migration("3", "INSERT INTO t VALUES (2);\nINSERT INTO t VALUES (3);\n", false);
  const core::Attempt attempt{.migration = &alone};
  const std::int64_t row = session.database().record_started(attempt);
  CHECK_FALSE(session.database().run_statement(attempt, row, 0));
  CHECK(error_of([&] {
          if (const auto failure = session.database().run_statement(attempt, row, 1)) {
            throw util::Error(failure->error);
          }
        }).sqlstate == "23514");
  CHECK(database.admin().query("SELECT id FROM t") == test::Rows{{"2"}});
  CHECK(database.admin().query("SELECT version, outcome, statements_done FROM lockkeeper.history ORDER BY id") ==
        test::Rows{{"1", "applied", "1"}, {"3", "started", "1"}});
}
