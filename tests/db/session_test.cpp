// What one migration leaves in the session does not reach the next one, nor our own statements; the lock is proven.
#include <string>

#include <doctest/doctest.h>

#include "support/deploy.hpp"
#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::Migration;
using test::contains;
using test::error_of;
using test::PgSession;
using test::plain_settings;
using test::sql_migration;
using test::TempDatabase;
using test::TempRole;
using util::Outcome;

namespace {

bool holds_lock(TempDatabase& database, PgSession& session) {
  return database.admin().value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = " +
                                std::to_string(session.connection().backend_pid())) == "1";
}

/// A script that changes everything about the session that it can.
std::string vandal(const std::string& role) {
  return "CREATE TEMP TABLE scratch (id int);\n"
         "PREPARE leftover AS SELECT 1;\n"
         "DECLARE open_cursor CURSOR WITH HOLD FOR SELECT 1;\n"
         "LISTEN leftover;\n"
         "SET statement_timeout = '50ms';\n"
         "SET lock_timeout = '50ms';\n"
         "SET default_transaction_isolation = 'serializable';\n"
         "SET standard_conforming_strings = off;\n"
         "SET application_name = 'vandal';\n"
         "SET \"app.tenant\" = '17';\n"
         "SET search_path = '';\n"
         "SET SESSION AUTHORIZATION \"" +
         role +
         "\";\n"
         "SET ROLE \"" +
         role + "\";\n";
}

const char* const k_look =
    "INSERT INTO public.seen SELECT current_setting('search_path'), current_user, session_user, "
    "current_setting('statement_timeout'), current_setting('lock_timeout'), current_setting('transaction_isolation'), "
    "current_setting('standard_conforming_strings'), current_setting('application_name'), "
    "coalesce(current_setting('app.tenant', true), ''), to_regclass('pg_temp.scratch') IS NULL, "
    "(SELECT count(*) FROM pg_prepared_statements WHERE name <> ''), (SELECT count(*) FROM pg_cursors WHERE name <> "
    "''), "
    "(SELECT count(*) FROM pg_listening_channels());";

void make_seen(TempDatabase& database) {
  database.admin().run(
      "CREATE TABLE seen (search_path text, who text, session_who text, statement_timeout text, lock_timeout text, "
      "isolation "
      "text, strings text, application text, tenant text, no_temp boolean, prepared int, cursors int, channels int)");
}

}  // namespace

TEST_CASE(
    "what a migration leaves in the session does not influence the next one, and the lock stays ours to the end") {
  const TempRole role("NOLOGIN");
  for (const bool transactional : {true, false}) {
    CAPTURE(transactional);
    TempDatabase database;
    make_seen(database);
    PgSession session(database);
    session.limits.lock_timeout = std::chrono::seconds(2);
    std::vector<Migration> files = {sql_migration("1", k_look), sql_migration("2", vandal(role.name()), transactional),
                                    sql_migration("3", k_look)};
    core::Run run = session.run();
    core::acquire_lock(run);
    session.database().prepare_history();
    const util::ErrorInfo error = error_of(
        [&] { core::apply(run, {{.migration = &files[0]}, {.migration = &files[1]}, {.migration = &files[2]}}); });
    CAPTURE(util::to_string(error));
    CHECK(error.outcome == Outcome::ok);
    CHECK_FALSE(holds_lock(database, session));  // each had to prove it; it went with the last
    const test::Rows seen = database.admin().query("SELECT * FROM seen");
    REQUIRE(seen.size() == 2);
    CHECK(seen[0] == std::vector<std::string>{"\"$user\", public", "postgres", "postgres", "0", "2s", "read committed",
                                              "on", "lockkeeper under test", "", "t", "0", "0", "0"});
    CHECK(seen[1] == seen[0]);
    CHECK(database.admin().value("SELECT string_agg(outcome, ' ') FROM lockkeeper.history") ==
          "applied applied applied");
    CHECK(database.admin().value("SELECT string_agg(DISTINCT applied_by, ' ') FROM lockkeeper.history") == "postgres");
  }
}

TEST_CASE("a script without a transaction keeps its own settings, but its progress is recorded as us") {
  const TempRole role("NOLOGIN");
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int); ALTER TABLE t OWNER TO \"" + role.name() + "\"");
  database.admin().run("GRANT CREATE ON SCHEMA public TO \"" + role.name() + "\"");
  PgSession session(database);
  session.prepare();
  Migration migration =
      sql_migration("1",
                    "SET search_path = '';\nSET ROLE \"" + role.name() +
                        "\";\nCREATE INDEX CONCURRENTLY i ON public.t (id);\nCREATE TABLE public.made ();\n",
                    false);
  migration.expect = {{.kind = core::Expectation::Kind::index, .object = {.name = "i"}}};
  core::Run run = session.run();
  const util::ErrorInfo error = error_of([&] { core::apply(run, {{.migration = &migration}}); });
  CAPTURE(util::to_string(error));
  CHECK(error.outcome == Outcome::ok);
  CHECK(database.admin().query("SELECT outcome, statements_done FROM lockkeeper.history") ==
        test::Rows{{"applied", "4"}});
  CHECK(database.admin().value("SELECT tableowner FROM pg_tables WHERE tablename = 'made'") == role.name());
  for (const core::Note& note : session.observer.all<core::Note>()) {
    CAPTURE(note.message);
    CHECK(note.level != core::Level::warning);  // none of our own statements makes the server complain
  }
}

TEST_CASE("a failure is recorded whatever the script did to the session") {
  const TempRole role("NOLOGIN");
  for (const bool transactional : {true, false}) {
    TempDatabase database;
    PgSession session(database);
    session.prepare();
    Migration migration = sql_migration("1", vandal(role.name()) + "SELECT 1/0;\n", transactional);
    core::Run run = session.run();
    const util::ErrorInfo error = error_of([&] { core::apply(run, {{.migration = &migration}}); });
    CAPTURE(transactional);
    CHECK(error.outcome == (transactional ? Outcome::sql : Outcome::half_done));
    CHECK(database.admin().query("SELECT outcome, error LIKE '%division by zero%' FROM lockkeeper.history") ==
          test::Rows{{transactional ? "failed" : "started", "t"}});
  }
}

TEST_CASE("after a migration that gives all locks back, the next step changes nothing") {
  TempDatabase database;
  PgSession session(database);
  session.prepare();
  CHECK(session.apply(sql_migration("1", "SELECT pg_advisory_unlock_all();")).applied());
  CHECK_FALSE(holds_lock(database, session));
  const util::ErrorInfo error = error_of([&] { session.apply(sql_migration("2", "CREATE TABLE gone ();")); });
  CHECK(error.outcome == Outcome::connection_lost);
  CHECK(contains(error.message, "lock was lost"));
  const Migration alone = sql_migration("3", "CREATE TABLE gone ();", false);
  CHECK(error_of([&] { session.database().record_started({.migration = &alone}); }).outcome ==
        Outcome::connection_lost);
  CHECK(error_of([&] { session.database().record({.migration = &alone}); }).outcome == Outcome::connection_lost);
  CHECK(database.admin().value("SELECT to_regclass('gone') IS NULL") == "t");
  CHECK(database.admin().value("SELECT string_agg(version, ' ') FROM lockkeeper.history") == "1");
}

TEST_CASE("a statement that gives all locks back stops a script without a transaction before the next one") {
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int)");
  PgSession session(database);
  session.prepare();
  const std::vector<std::string> following = {"CREATE TABLE gone ();", "CREATE INDEX CONCURRENTLY gone ON t (id);",
                                              "COPY t FROM STDIN;\n1\n\\.\n"};
  int version = 0;
  for (const std::string& next : following) {
    CAPTURE(next);
    session.database().try_lock();
    const Migration migration =
        sql_migration(std::to_string(++version), "SELECT pg_advisory_unlock_all();\n" + next, false);
    const core::Attempt attempt{.migration = &migration};
    const std::int64_t row = session.database().record_started(attempt);
    CHECK_FALSE(session.database().run_statement(attempt, row, 0));
    CHECK(error_of([&] { session.database().run_statement(attempt, row, 1); }).outcome == Outcome::connection_lost);
    CHECK(error_of([&] { session.database().record_finished(attempt, row); }).outcome == Outcome::connection_lost);
    CHECK(database.admin().query("SELECT to_regclass('gone') IS NULL, (SELECT count(*) FROM t)") ==
          test::Rows{{"t", "0"}});
  }
}

TEST_CASE("expectations are looked up with the session's own search_path, whatever the file set") {
  TempDatabase database;
  database.admin().run("CREATE SCHEMA app");
  for (const bool transactional : {true, false}) {
    CAPTURE(transactional);
    pg::DatabaseSettings settings = plain_settings();
    settings.session.search_path = "app";
    settings.history.table = transactional ? "one" : "two";
    PgSession session(database, settings);
    session.prepare();
    const std::string name = transactional ? "t1" : "t2";
    Migration migration =
        sql_migration("1", "CREATE TABLE " + name + " (id int);\nSET search_path = 'pg_catalog';\n", transactional);
    migration.expect = {{.kind = core::Expectation::Kind::table, .object = {.name = name}},
                        {.kind = core::Expectation::Kind::column,
                         .object = {.schema = "app", .name = name},
                         .member = "id",
                         .type = "int"}};
    core::Run run = session.run();
    const util::ErrorInfo error = error_of([&] { core::apply(run, {{.migration = &migration}}); });
    CAPTURE(util::to_string(error));
    CHECK(error.outcome == Outcome::ok);
  }
}

TEST_CASE("a schema that needs quotes can be the search_path") {
  TempDatabase database;
  database.admin().run(R"(CREATE SCHEMA "odd ""Schema, 'x'\")");
  pg::DatabaseSettings settings = plain_settings();
  settings.session.search_path = R"(odd "Schema, 'x'\)";
  PgSession session(database, settings);
  session.prepare();
  CHECK(session.apply(sql_migration("1", "CREATE TABLE t ();")).applied());
  CHECK(database.admin().value("SELECT schemaname FROM pg_tables WHERE tablename = 't'") == R"(odd "Schema, 'x'\)");
}

TEST_CASE("limits that a role carries do not kill a run") {
  const TempRole role("LOGIN SUPERUSER");
  TempDatabase database;
  make_seen(database);
  database.admin().run("ALTER ROLE \"" + role.name() + "\" SET statement_timeout = '100ms'");
  database.admin().run("ALTER ROLE \"" + role.name() + "\" SET lock_timeout = '1ms'");
  database.admin().run("ALTER ROLE \"" + role.name() + "\" SET default_transaction_isolation = 'serializable'");
  PgSession session(database, plain_settings(), {.user = role.name()});
  session.prepare();
  CHECK(session.apply(sql_migration("1", "SELECT pg_sleep(0.3);")).applied());
  CHECK(session.apply(sql_migration("2", std::string("SELECT pg_sleep(0.3);\n") + k_look)).applied());
  CHECK(database.admin().value("SELECT isolation FROM seen") == "read committed");
}

TEST_CASE("a migration's time limits hold for it and for nothing after it") {
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int)");
  test::Admin holder(database.name());
  PgSession session(database);
  session.prepare();
  const Migration slow = sql_migration("1", "SELECT pg_sleep(30);");
  const core::AttemptResult timed_out =
      session.database().apply_transaction({.migration = &slow, .statement_timeout = std::chrono::milliseconds(100)});
  REQUIRE(timed_out.failure);
  CHECK(timed_out.failure->error.sqlstate == "57014");
  CHECK_FALSE(timed_out.failure->worth_retrying);

  holder.run("BEGIN; LOCK TABLE t");
  const Migration waiting = sql_migration("2", "SELECT 1;\nALTER TABLE t ADD COLUMN x int;");
  const core::AttemptResult blocked =
      session.database().apply_transaction({.migration = &waiting, .lock_timeout = std::chrono::milliseconds(200)});
  REQUIRE(blocked.failure);
  CHECK(blocked.failure->error.outcome == Outcome::lock_timeout);
  CHECK(blocked.failure->error.sqlstate == "55P03");
  CHECK(blocked.failure->worth_retrying);
  holder.run("ROLLBACK");
  CHECK(session.apply(waiting).applied());
}

TEST_CASE("lock_timeout is the budget of one attempt for all its lock waits together") {
  TempDatabase database;
  for (const char* name : {"a", "b", "c"}) {
    database.admin().run(std::string("CREATE TABLE ") + name + " (id int)");
  }
  PgSession session(database);
  session.prepare();
  // Every lock is to be had after 400 ms: each wait alone is within 600 ms, two are not.
  test::Admin a(database.name());
  test::Admin b(database.name());
  a.run("BEGIN; LOCK TABLE a");
  b.run("BEGIN; LOCK TABLE b");
  const Migration migration =
      sql_migration("1", "SELECT pg_sleep(0.4);\nALTER TABLE a ADD COLUMN x int;\nALTER TABLE b ADD COLUMN x int;");
  const auto begin = std::chrono::steady_clock::now();
  const core::AttemptResult result =
      session.database().apply_transaction({.migration = &migration, .lock_timeout = std::chrono::milliseconds(600)});
  const auto took = std::chrono::steady_clock::now() - begin;
  REQUIRE(result.failure);
  CHECK(result.failure->error.outcome == Outcome::lock_timeout);
  CHECK(result.failure->error.where->line == 2);
  CHECK(took < std::chrono::milliseconds(950));  // not 400 + 600
}

TEST_CASE("COPY in a script without a transaction commits together with its progress") {
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int PRIMARY KEY)");
  PgSession session(database);
  session.prepare();
  const Migration migration = sql_migration("1", "COPY t FROM STDIN;\n1\n2\n\\.\nCOPY t TO STDOUT;\n", false);
  const core::Attempt attempt{.migration = &migration};
  const std::int64_t row = session.database().record_started(attempt);
  // Somebody holds the history row: the progress cannot be written, so the rows may not stay either.
  test::Admin holder(database.name());
  holder.run("BEGIN; SELECT * FROM lockkeeper.history FOR UPDATE");
  session.connection().set_deadline(util::Deadline::after(session.clock(), std::chrono::milliseconds(500)));
  CHECK(error_of([&] { session.database().run_statement(attempt, row, 0); }).outcome == Outcome::deadline);
  CHECK(database.admin().value("SELECT count(*) FROM t") == "0");
  holder.run("ROLLBACK");

  PgSession again(database);
  session.database().unlock();
  again.database().try_lock();
  CHECK_FALSE(again.database().run_statement(attempt, row, 0));
  CHECK_FALSE(again.database().run_statement(attempt, row, 1));
  CHECK(again.database().record_finished(attempt, row).applied());
  CHECK(database.admin().value("SELECT count(*) FROM t") == "2");
  const Migration failing = sql_migration("2", "COPY t FROM STDIN;\n3\n1\n\\.\n", false);
  const core::Attempt second{.migration = &failing};
  const std::int64_t second_row = again.database().record_started(second);
  const auto failure = again.database().run_statement(second, second_row, 0);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "23505");
  CHECK(database.admin().value("SELECT count(*) FROM t") == "2");
}
