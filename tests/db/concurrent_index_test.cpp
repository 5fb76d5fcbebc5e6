// CREATE INDEX CONCURRENTLY that was cut: what is left behind is cleared, what is done is not repeated.
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::Migration;
using test::contains;
using test::PgSession;
using test::sql_migration;
using test::TempDatabase;

namespace {

struct Fixture {
  Fixture() {
    database.admin().run("CREATE SCHEMA app; CREATE TABLE app.\"Orders\" (id int, customer int)");
    database.admin().run("CREATE TABLE orders (id int, customer int)");
    session.prepare();
  }
  /// Runs statement 0 of a file without a transaction.
  std::optional<core::SqlFailure> run(const std::string& sql, bool resumed) {
    const Migration migration = sql_migration(std::to_string(++version), sql, false);
    const core::Attempt attempt{.migration = &migration, .resumed = resumed};
    const std::int64_t row = session.database().record_started(attempt);
    return session.database().run_statement(attempt, row, 0);
  }
  std::string oid(const std::string& index) {
    return database.admin().value("SELECT coalesce(to_regclass('" + index + "')::oid::text, 'none')");
  }
  std::string valid(const std::string& index) {
    return database.admin().value("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('" + index + "')");
  }
  void invalidate(const std::string& index) {
    database.admin().run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '" + index + "'::regclass");
  }

  TempDatabase database;
  PgSession session{database};
  int version = 0;
};

const char* const k_create = "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer);";

}  // namespace

TEST_CASE("a unique index that fails leaves an INVALID one, which the next attempt drops and builds again") {
  for (const bool resumed : {false, true}) {
    Fixture f;
    f.database.admin().run("INSERT INTO orders VALUES (1, 7), (2, 7)");
    const std::string sql = "CREATE UNIQUE INDEX CONCURRENTLY orders_customer ON orders (customer);";
    const auto failure = f.run(sql, false);
    REQUIRE(failure);
    CHECK(failure->error.sqlstate == "23505");
    CHECK(f.valid("orders_customer") == "f");
    const std::string before = f.oid("orders_customer");
    f.database.admin().run("DELETE FROM orders WHERE id = 2");
    CHECK_FALSE(f.run(sql, resumed));
    CHECK(f.valid("orders_customer") == "t");
    CHECK(f.oid("orders_customer") != before);
    CHECK(f.session.observer.noted(
        core::Level::warning,
        "index orders_customer is INVALID, left by a build that failed: dropped and built again"));
  }
}

TEST_CASE("IF NOT EXISTS does not make us keep an INVALID index") {
  Fixture f;
  const std::string sql = "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer);";
  CHECK_FALSE(f.run(sql, false));
  f.invalidate("orders_customer");
  CHECK_FALSE(f.run(sql, false));
  CHECK(f.valid("orders_customer") == "t");
}

TEST_CASE("a valid index is not built again by an attempt that goes on, and is an error to any other") {
  Fixture f;
  CHECK_FALSE(f.run(k_create, false));
  const std::string before = f.oid("orders_customer");
  CHECK_FALSE(f.run(k_create, true));
  CHECK(f.oid("orders_customer") == before);
  CHECK(f.session.observer.noted(core::Level::info, "was done by the attempt that was cut; it is not repeated"));
  const auto failure = f.run(k_create, false);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "42P07");
  CHECK(f.oid("orders_customer") == before);
}

TEST_CASE("an index of that name on another table is left alone") {
  Fixture f;
  f.database.admin().run("CREATE TABLE other (customer int); CREATE INDEX orders_customer ON other (customer)");
  f.invalidate("orders_customer");
  const std::string before = f.oid("orders_customer");
  for (const bool resumed : {false, true}) {
    const auto failure = f.run(k_create, resumed);
    REQUIRE(failure);
    CHECK(failure->error.sqlstate == "42P07");
    CHECK(f.oid("orders_customer") == before);
  }
}

TEST_CASE("an index in another schema and with a name that needs quotes is found") {
  Fixture f;
  const std::string sql = R"(CREATE INDEX CONCURRENTLY "odd ""Index" ON app."Orders" (customer);)";
  CHECK_FALSE(f.run(sql, false));
  const std::string name = R"(app."odd ""Index")";
  f.invalidate(name);
  const std::string before = f.oid(name);
  CHECK_FALSE(f.run(sql, false));
  CHECK(f.valid(name) == "t");
  CHECK(f.oid(name) != before);
  const std::string now = f.oid(name);
  CHECK_FALSE(f.run(sql, true));
  CHECK(f.oid(name) == now);
}

TEST_CASE("an index that was dropped already is not dropped again by an attempt that goes on") {
  Fixture f;
  f.database.admin().run("CREATE INDEX orders_customer ON orders (customer)");
  const std::string sql = "DROP INDEX CONCURRENTLY orders_customer;";
  CHECK_FALSE(f.run(sql, false));
  CHECK(f.oid("orders_customer") == "none");
  CHECK_FALSE(f.run(sql, true));
  const auto failure = f.run(sql, false);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "42704");
}

TEST_CASE("an index that PostgreSQL names itself is built") {
  Fixture f;
  CHECK_FALSE(f.run("CREATE INDEX CONCURRENTLY ON orders (customer);", false));
  CHECK(f.valid("orders_customer_idx") == "t");
}

TEST_CASE("a first statement outside a transaction whose answer is lost is resumed, not repeated") {
  Fixture f;
  Migration migration = sql_migration("100", k_create, false);
  // The attempt was cut after the build: its intent row says started, 0 of 1.
  const core::Attempt attempt{.migration = &migration};
  f.session.database().record_started(attempt);
  f.database.admin().run("CREATE INDEX orders_customer ON orders (customer)");
  const std::string before = f.oid("orders_customer");
  f.session.database().unlock();

  PgSession again(f.database);
  core::Run run = again.run();
  const core::History history = core::acquire_lock(run);
  std::vector<Migration> files = {migration};
  const core::Plan plan = core::make_plan(files, history, {});
  REQUIRE(plan.steps.size() == 1);
  CHECK(test::error_of([&] { core::apply(run, plan.steps); }).outcome == util::Outcome::ok);
  CHECK(f.oid("orders_customer") == before);
}

TEST_CASE("an index that somebody is building right now is not taken for a leftover") {
  Fixture f;
  test::Admin writer(f.database.name());
  writer.run("BEGIN; INSERT INTO orders VALUES (1, 1)");  // the build waits for it
  std::thread builder([&] { test::Admin(f.database.name()).run(k_create); });
  f.database.admin().wait_until(
      "SELECT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p JOIN pg_index i ON "
      "i.indexrelid = p.index_relid WHERE NOT i.indisvalid)");
  const std::string before = f.oid("orders_customer");
  CHECK(test::error_of([&] { f.run(k_create, false); }).outcome == util::Outcome::lock_timeout);
  CHECK(f.oid("orders_customer") == before);
  writer.run("COMMIT");
  builder.join();
  CHECK(f.valid("orders_customer") == "t");
}
