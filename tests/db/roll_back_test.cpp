#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::Direction;
using core::Migration;
using test::contains;
using test::error_of;
using test::PgSession;
using test::TempDatabase;
using util::Outcome;

namespace {

Migration make_down(const std::string& down, bool transactional = true) {
  Migration migration = test::sql_migration("1", "SELECT 1;", transactional);
  migration.down = test::sql_script("migrations/1_m1/down.sql", down);
  return migration;
}

core::Attempt guarded(const Migration& migration) {
  return {.migration = &migration,
          .direction = Direction::down,
          .lock_timeout = std::chrono::seconds(5),
          .guard_data_loss = true};
}

/// "what: count" of each loss; "applied" when there was none.
std::vector<std::string> outcome_of(PgSession& session, const Migration& migration) {
  const core::AttemptResult result = session.database().apply_transaction(guarded(migration));
  if (result.failure) {
    return {"failure: " + result.failure->error.message};
  }
  std::vector<std::string> text;
  for (const core::Loss& loss : result.losses) {
    text.push_back(loss.what + ": " + (loss.count ? std::to_string(*loss.count) : "?"));
  }
  return text.empty() ? std::vector<std::string>{"applied"} : text;
}

using Lines = std::vector<std::string>;

const char* const k_tables = R"(
  CREATE SCHEMA app;
  CREATE TABLE "Booking" (id int, "calendlyEventId" text, "calendlyEventUri" text, note text);
  INSERT INTO "Booking" VALUES (1, 'a', NULL, ''), (2, 'b', NULL, NULL), (3, NULL, NULL, NULL);
  CREATE TABLE app.audit (id int);
  INSERT INTO app.audit SELECT generate_series(1, 5);
  CREATE TABLE empty (id int);
  CREATE VIEW seen AS SELECT 1 AS one;
)";

}  // namespace

TEST_CASE("a guarded roll-back counts what would be lost, and changes nothing when there is something") {
  struct Case {
    std::string down;
    Lines outcome;
  };
  const std::vector<Case> cases = {
      {R"(ALTER TABLE "Booking" DROP COLUMN "calendlyEventId";)",
       {"Booking.calendlyEventId (values that are not null): 2"}},
      {R"(ALTER TABLE "Booking" DROP COLUMN "calendlyEventId", DROP COLUMN "calendlyEventUri", DROP COLUMN note;)",
       {"Booking.calendlyEventId (values that are not null): 2", "Booking.note (values that are not null): 1"}},
      {R"(ALTER TABLE "Booking" DROP COLUMN "calendlyEventUri";)", {"applied"}},
      {R"(ALTER TABLE "Booking" DROP COLUMN IF EXISTS missing;)", {"applied"}},
      {R"(ALTER TABLE IF EXISTS "Missing" DROP COLUMN IF EXISTS missing;)", {"applied"}},
      {"DROP TABLE app.audit;", {"app.audit (rows): 5"}},
      {"DROP TABLE empty;", {"applied"}},
      {"DROP TABLE IF EXISTS missing;", {"applied"}},
      {"DROP TABLE empty, app.audit;", {"app.audit (rows): 5"}},
      {"TRUNCATE app.audit;", {"app.audit (rows): 5"}},
      {"DROP VIEW seen;", {"applied"}},
      {"SELECT 1;", {"applied"}},
  };
  for (const Case& one : cases) {
    TempDatabase database;
    database.admin().run(k_tables);
    PgSession session(database);
    session.prepare();
    CAPTURE(one.down);
    const Migration migration = make_down(one.down);
    CHECK(outcome_of(session, migration) == one.outcome);
    const bool applied = one.outcome == Lines{"applied"};
    CHECK(database.admin().value("SELECT count(*) FROM lockkeeper.history") == (applied ? "1" : "0"));
    if (!applied) {
      CHECK(database.admin().query(R"(SELECT (SELECT count("calendlyEventId") FROM "Booking"), (SELECT count(*) FROM
                                      app.audit))") == test::Rows{{"2", "5"}});
      CHECK(session.database().count_losses(guarded(migration)).size() == one.outcome.size());
      // Nothing is locked any more, and with permission it is done.
      CHECK(database.admin().error(R"(SET lock_timeout = '100ms'; INSERT INTO "Booking" VALUES (4))").empty());
      core::Attempt allowed = guarded(migration);
      allowed.guard_data_loss = false;
      CHECK(session.database().apply_transaction(allowed).applied());
    }
  }
}

TEST_CASE("what cannot be counted is a loss") {
  TempDatabase database;
  database.admin().run(k_tables);
  PgSession session(database);
  session.prepare();
  const Migration migration = make_down("SELECT 1;\nDROP SCHEMA app CASCADE;");
  const Lines outcome = outcome_of(session, migration);
  REQUIRE(outcome.size() == 1);
  CHECK(contains(outcome[0], "line 2: "));
  CHECK(outcome[0].ends_with(": ?"));
  CHECK(database.admin().value("SELECT to_regclass('app.audit') IS NOT NULL") == "t");
}

TEST_CASE("the counts that a migration declares itself are asked too") {
  TempDatabase database;
  database.admin().run(k_tables);
  PgSession session(database);
  session.prepare();
  Migration migration = make_down("SELECT 1;");
  migration.data_loss = {{.label = "audits", .sql = "SELECT count(*) FROM app.audit"},
                         {.label = "nothing", .sql = "SELECT 0"}};
  CHECK(outcome_of(session, migration) == Lines{"audits: 5"});
  migration.data_loss = {{.label = "bad", .sql = "SELECT 1 WHERE false"}};
  CHECK(error_of([&] { outcome_of(session, migration); }).outcome == Outcome::migration_files);
  migration.data_loss = {{.label = "bad", .sql = "SELECT bogus"}};
  CHECK(error_of([&] { outcome_of(session, migration); }).outcome == Outcome::sql);
  CHECK(session.apply(test::sql_migration("2", "SELECT 1;")).applied());  // nothing is left open
}

TEST_CASE("rows that a policy hides are not overlooked") {
  const test::TempRole role;
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int, secret text); INSERT INTO t VALUES (1, 'x')");
  database.admin().run("ALTER TABLE t OWNER TO \"" + role.name() +
                       "\"; ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER "
                       "TABLE t FORCE ROW LEVEL SECURITY");
  database.admin().run("GRANT CREATE ON DATABASE \"" + database.name() + "\" TO \"" + role.name() + "\"");
  PgSession session(database, test::plain_settings(), {.user = role.name()});
  session.prepare();
  const Migration migration = make_down("ALTER TABLE t DROP COLUMN secret;");
  CHECK(error_of([&] { outcome_of(session, migration); }).outcome == Outcome::permission);
  CHECK(database.admin().value("SELECT secret FROM t") == "x");
}

TEST_CASE("a roll-back without a transaction is guarded too") {
  TempDatabase database;
  database.admin().run(k_tables);
  database.admin().run("CREATE INDEX i ON app.audit (id)");
  PgSession session(database);
  session.prepare();
  const Migration migration = make_down("DROP INDEX CONCURRENTLY app.i;\nDROP TABLE app.audit;", false);
  core::Run run = session.run();
  const util::ErrorInfo error = error_of([&] { core::roll_back(run, migration, nullptr, false); });
  CHECK(error.outcome == Outcome::data_loss);
  CHECK(error.detail == "  app.audit (rows): 5");
  CHECK(database.admin().query("SELECT to_regclass('app.i') IS NOT NULL, (SELECT count(*) FROM app.audit), (SELECT "
                               "count(*) FROM lockkeeper.history)") == test::Rows{{"t", "5", "0"}});
  CHECK(error_of([&] { core::roll_back(run, migration, nullptr, true); }).outcome == Outcome::ok);
  CHECK(database.admin().value("SELECT to_regclass('app.audit') IS NULL") == "t");
  CHECK(database.admin().query("SELECT direction, outcome, statements_done FROM lockkeeper.history") ==
        test::Rows{{"down", "applied", "2"}});
}

TEST_CASE("nobody writes between the count and the end of the roll-back") {
  TempDatabase database;
  database.admin().run(k_tables);
  database.admin().run("SELECT pg_advisory_lock(42)");
  PgSession session(database);
  session.prepare();
  // Nothing to lose: it goes on, and then waits for us.
  const Migration migration =
      make_down(R"(SELECT pg_advisory_lock(42); ALTER TABLE "Booking" DROP COLUMN "calendlyEventUri";)");
  Lines outcome;
  std::thread roller([&] { outcome = outcome_of(session, migration); });
  test::Admin writer(database.name());
  writer.wait_until("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND pid = " +
                    std::to_string(session.connection().backend_pid()) + ")");
  CHECK(writer.error(R"(SET lock_timeout = '100ms'; UPDATE "Booking" SET "calendlyEventUri" = 'late')") == "55P03");
  CHECK(writer.error(R"(SELECT count(*) FROM "Booking")").empty());  // readers are not in its way
  database.admin().run("SELECT pg_advisory_unlock(42)");
  roller.join();
  CHECK(outcome == Lines{"applied"});
}
