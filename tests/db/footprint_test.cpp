// Statements outside a transaction that were cut: what is left behind is cleared, what is done is not repeated, what
// belongs to somebody else is left alone.
#include <string>
#include <thread>

#include <doctest/doctest.h>

#include "files/rules.hpp"
#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::Migration;
using test::Admin;
using test::contains;
using test::error_of;
using test::PgSession;
using test::sql_migration;
using test::TempDatabase;
using test::TempRole;
using util::Outcome;

namespace {

enum class Doubt { no, yes };

struct Fixture {
  explicit Fixture(const test::Login& login = {}) : session(database, test::plain_settings(), login) {
    admin.run("CREATE SCHEMA app; CREATE TABLE app.\"Orders\" (id int, customer int)");
    admin.run("CREATE TABLE orders (id int, customer int, note text)");
    if (!login.user.empty()) {
      admin.run("GRANT CREATE ON DATABASE \"" + database.name() + "\" TO \"" + login.user + "\"");
      admin.run("GRANT CREATE, USAGE ON SCHEMA public TO \"" + login.user + "\"");
      admin.run("ALTER TABLE orders OWNER TO \"" + login.user + "\"");
    }
    // What waits for a lock that this test itself holds is to fail, not to stand still.
    session.connection().set_deadline(util::Deadline::after(session.clock(), std::chrono::seconds(60)));
    session.prepare();
  }
  /// Runs statement 0 of a file without a transaction.
  std::optional<core::SqlFailure> run(const std::string& sql, Doubt doubt = Doubt::no) {
    Migration migration = sql_migration(std::to_string(++version), sql, false);
    files::use_no_transaction(migration.up);
    const bool in_doubt = doubt == Doubt::yes;
    const core::Attempt attempt{.migration = &migration, .resumed = in_doubt, .in_doubt = in_doubt};
    const std::int64_t row = session.database().record_started(attempt);
    return session.database().run_statement(attempt, row, 0);
  }
  /// The SQLSTATE that the server refuses \p sql with; "" when it does not.
  std::string refusal(const std::string& sql) {
    const auto failure = run(sql);
    return failure ? failure->error.sqlstate : "";
  }
  /// Thrown, or a failure.
  util::ErrorInfo error(const std::string& sql, Doubt doubt = Doubt::no) {
    return error_of([&] {
      if (const auto failed = run(sql, doubt)) {
        throw util::Error(failed->error);
      }
    });
  }
  std::string oid(const std::string& index) {
    return admin.value("SELECT coalesce(to_regclass('" + index + "')::oid::text, 'none')");
  }
  std::string valid(const std::string& index) {
    return admin.value("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('" + index + "')");
  }
  void invalidate(const std::string& index) {
    admin.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = '" + index + "'::regclass");
  }
  bool warned(const std::string& text) { return session.observer.noted(core::Level::warning, text); }
  int major() { return session.snapshot().server.version_number / 10'000; }

  /// Runs \p sql in a session of its own, until \p ready is true and it waits for a transaction that holds \p table;
  /// then ends that session, as a crash would.
  void cut(const std::string& sql, const std::string& table, const std::string& ready) {
    Admin holder(database.name());
    holder.run("BEGIN; LOCK TABLE " + table + " IN ROW EXCLUSIVE MODE");
    std::thread worker([&] {
      Admin victim(database.name());
      victim.run("SET application_name = 'victim'");
      CHECK(victim.error(sql) == "57014");
    });
    admin.wait_until(ready);
    admin.wait_until(
        "SELECT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted "
        "AND a.application_name = 'victim' AND a.datname = current_database())");
    admin.run(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim' AND datname = "
        "current_database()");
    worker.join();
    holder.run("COMMIT");
  }

  TempDatabase database;
  Admin& admin = database.admin();
  PgSession session;
  int version = 0;
};

const char* const k_create = "CREATE INDEX CONCURRENTLY orders_customer ON orders (customer);";
const char* const k_create_if = "CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer);";

/// A migration role that owns the table and is no superuser.
struct OwnerFixture {
  TempRole role;
  Fixture f{test::Login{.user = role.name()}};
};

}  // namespace

// ---- CREATE INDEX CONCURRENTLY

TEST_CASE("a unique index that fails leaves an INVALID one, which the next attempt drops and builds again") {
  for (const Doubt doubt : {Doubt::no, Doubt::yes}) {
    Fixture f;
    f.admin.run("INSERT INTO orders VALUES (1, 7), (2, 7)");
    const std::string sql = "CREATE UNIQUE INDEX CONCURRENTLY orders_customer ON orders (customer);";
    const auto failure = f.run(sql);
    REQUIRE(failure);
    CHECK(failure->error.sqlstate == "23505");
    CHECK(f.valid("orders_customer") == "f");
    const std::string before = f.oid("orders_customer");
    f.admin.run("DELETE FROM orders WHERE id = 2");
    CHECK_FALSE(f.run(sql, doubt));
    CHECK(f.valid("orders_customer") == "t");
    CHECK(f.oid("orders_customer") != before);
    CHECK(f.warned("index orders_customer was INVALID, left by a build that failed: dropped and built again"));
  }
}

TEST_CASE("IF NOT EXISTS does not make us keep an INVALID index") {
  Fixture f;
  CHECK_FALSE(f.run(k_create_if));
  f.invalidate("orders_customer");
  CHECK_FALSE(f.run(k_create_if));
  CHECK(f.valid("orders_customer") == "t");
}

TEST_CASE("a valid index is not built again by an attempt that goes on, and is an error to any other") {
  Fixture f;
  CHECK_FALSE(f.run(k_create));
  const std::string before = f.oid("orders_customer");
  CHECK_FALSE(f.run(k_create, Doubt::yes));
  CHECK(f.oid("orders_customer") == before);
  CHECK(f.session.observer.noted(core::Level::info, "was done by the attempt that was cut; it is not repeated"));
  const auto failure = f.run(k_create);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "42P07");
  CHECK_FALSE(f.run(k_create_if));
  CHECK(f.oid("orders_customer") == before);
}

TEST_CASE("a valid index is the one of the file when the server would show both alike") {
  const std::pair<const char*, const char*> same[] = {
      {"(customer)", "USING btree (customer ASC NULLS LAST)"},
      {"(lower(note)) INCLUDE (id) WHERE customer > 1", "(lower(note)) INCLUDE (id) WHERE (orders.customer > 1)"},
      {"USING hash (note)", "USING hash (note)"},
      {"(note text_pattern_ops DESC) WITH (fillfactor = 70)", "(note text_pattern_ops DESC) WITH (fillfactor='70')"},
  };
  for (const auto& [there, asked] : same) {
    CAPTURE(asked);
    Fixture f;
    f.admin.run(std::string("CREATE INDEX i ON orders ") + there);
    const std::string before = f.oid("i");
    CHECK_FALSE(f.run(std::string("CREATE INDEX CONCURRENTLY i ON orders ") + asked + ";", Doubt::yes));
    CHECK_FALSE(f.run(std::string("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON public.orders ") + asked + ";"));
    CHECK(f.oid("i") == before);
    CHECK(f.admin.value("SELECT count(*) FROM pg_class WHERE relname = 'lockkeeper_probe'") == "0");
  }
}

TEST_CASE("a valid index of another definition is an error that shows both, at the place in the file") {
  const std::pair<const char*, const char*> different[] = {
      {"CREATE INDEX i ON orders (id)", "CREATE INDEX CONCURRENTLY i ON orders (customer);"},
      {"CREATE INDEX i ON orders (customer)", "CREATE UNIQUE INDEX CONCURRENTLY i ON orders (customer);"},
      {"CREATE INDEX i ON orders (customer) WHERE id > 1",
       "CREATE INDEX CONCURRENTLY i ON orders (customer) WHERE id > 2;"},
  };
  for (const auto& [there, asked] : different) {
    CAPTURE(asked);
    Fixture f;
    f.admin.run(there);
    const std::string before = f.oid("i");
    const util::ErrorInfo error = f.error(std::string("\n  ") + asked, Doubt::yes);
    CHECK(error.outcome == Outcome::sql);
    CHECK(error.message == "index i is there already, with another definition");
    CHECK(error.where == util::SourcePosition{"migrations/1_m1/up.sql", 2, 3});
    CHECK(contains(error.detail, "found:  "));
    CHECK(contains(error.detail, "wanted: "));
    std::string if_not_exists = asked;
    if_not_exists.insert(if_not_exists.find(" i ") + 1, "IF NOT EXISTS ");
    CHECK(f.error(if_not_exists).outcome == Outcome::sql);
    CHECK(f.oid("i") == before);
  }
}

TEST_CASE("an index that cannot be compared is a matter for a person when in doubt, else a warning") {
  OwnerFixture owner;
  Fixture& f = owner.f;
  f.admin.run("REVOKE TEMPORARY ON DATABASE \"" + f.database.name() + "\" FROM PUBLIC");
  CHECK_FALSE(f.run(k_create));
  const std::string before = f.oid("orders_customer");
  const util::ErrorInfo error = f.error(k_create, Doubt::yes);
  CHECK(error.outcome == Outcome::half_done);
  CHECK(contains(error.message, "cannot be compared"));
  CHECK(contains(error.hint, "lockkeeper baseline --to"));
  CHECK_FALSE(f.run(k_create_if));
  CHECK(
      f.warned("index orders_customer is there already; whether it is the one that the file asks for cannot be told"));
  CHECK(f.oid("orders_customer") == before);
}

TEST_CASE("an index of that name on another table is left alone") {
  Fixture f;
  f.admin.run("CREATE TABLE other (customer int); CREATE INDEX orders_customer ON other (customer)");
  f.invalidate("orders_customer");
  const std::string before = f.oid("orders_customer");
  for (const Doubt doubt : {Doubt::no, Doubt::yes}) {
    const auto failure = f.run(k_create, doubt);
    REQUIRE(failure);
    CHECK(failure->error.sqlstate == "42P07");
    const util::ErrorInfo error = f.error(k_create_if, doubt);  // the server only says NOTICE
    CHECK(error.outcome == Outcome::half_done);
    CHECK(contains(error.message, "index orders_customer is not there: another relation has its name"));
    CHECK(f.oid("orders_customer") == before);
  }
}

TEST_CASE("an index in another schema and with a name that needs quotes is found") {
  Fixture f;
  const std::string sql = R"(CREATE INDEX CONCURRENTLY "odd "" USING Index" ON app."Orders" (customer);)";
  CHECK_FALSE(f.run(sql));
  const std::string name = R"(app."odd "" USING Index")";
  f.invalidate(name);
  const std::string before = f.oid(name);
  CHECK_FALSE(f.run(sql));
  CHECK(f.valid(name) == "t");
  CHECK(f.oid(name) != before);
  const std::string now = f.oid(name);
  CHECK_FALSE(f.run(sql, Doubt::yes));
  CHECK(f.oid(name) == now);
}

TEST_CASE("an index is looked for in the schema of its table, not where the search_path finds its name first") {
  Fixture f;
  f.admin.run("CREATE TABLE app.orders_customer (id int)");
  f.admin.run("ALTER DATABASE \"" + f.database.name() + "\" SET search_path = app, public");
  PgSession other(f.database);
  f.session.database().unlock();
  other.prepare();
  f.admin.run("CREATE INDEX orders_customer ON orders (customer)");
  f.invalidate("public.orders_customer");
  Migration migration = sql_migration("1", k_create, false);
  const core::Attempt attempt{.migration = &migration};
  const std::int64_t row = other.database().record_started(attempt);
  CHECK_FALSE(other.database().run_statement(attempt, row, 0));
  CHECK(f.valid("public.orders_customer") == "t");
}

TEST_CASE("an index that somebody is building right now is not taken for a leftover") {
  OwnerFixture owner;  // sees nothing but the pid of a session of another role
  Fixture superuser;
  for (Fixture* f : {&owner.f, &superuser}) {
    Admin writer(f->database.name());
    writer.run("BEGIN; INSERT INTO orders VALUES (1, 1)");  // the build waits for it
    std::thread builder([&] { Admin(f->database.name()).run(k_create); });
    f->admin.wait_until(
        "SELECT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p JOIN pg_index i ON "
        "i.indexrelid = p.index_relid WHERE NOT i.indisvalid)");
    const std::string before = f->oid("orders_customer");
    CHECK(f->error(k_create).outcome == Outcome::lock_timeout);
    CHECK(f->oid("orders_customer") == before);
    writer.run("COMMIT");
    builder.join();
    CHECK(f->valid("orders_customer") == "t");
  }
}

TEST_CASE("the index of a partitioned table, INVALID until its parts are attached, is left alone") {
  Fixture f;
  f.admin.run(
      "CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) "
      "TO (9); CREATE INDEX parted_id ON ONLY parted (id)");
  CHECK(f.valid("parted_id") == "f");
  const std::string before = f.oid("parted_id");
  for (const Doubt doubt : {Doubt::no, Doubt::yes}) {
    CHECK(f.run("CREATE INDEX CONCURRENTLY parted_id ON parted (id);", doubt));  // the server refuses that
    CHECK(f.oid("parted_id") == before);
  }
}

TEST_CASE("a first statement outside a transaction whose answer is lost is resumed, not repeated") {
  Fixture f;
  Migration migration = sql_migration("100", k_create, false);
  // The attempt was cut after the build: its intent row says started, 0 of 1, and what was sent.
  const core::Attempt attempt{.migration = &migration};
  f.session.database().record_started(attempt);
  f.admin.run("UPDATE lockkeeper.history SET details = details || jsonb_build_object('running', '" +
              migration.up.statements[0].prefix_checksum + "')");
  f.admin.run("CREATE INDEX orders_customer ON orders (customer)");
  const std::string before = f.oid("orders_customer");
  f.session.database().unlock();

  PgSession again(f.database);
  core::Run run = again.run();
  const core::History history = core::acquire_lock(run);
  std::vector<Migration> files = {migration};
  const core::Plan plan = core::make_plan(files, history, {});
  REQUIRE(plan.steps.size() == 1);
  CHECK(error_of([&] { static_cast<void>(core::apply(run, plan.steps)); }).outcome == Outcome::ok);
  CHECK(f.oid("orders_customer") == before);
}

// ---- DROP INDEX CONCURRENTLY

TEST_CASE("an index that was dropped already is not dropped again by an attempt that goes on") {
  Fixture f;
  f.admin.run("CREATE INDEX orders_customer ON orders (customer)");
  const std::string sql = "DROP INDEX CONCURRENTLY orders_customer;";
  CHECK_FALSE(f.run(sql));
  CHECK(f.oid("orders_customer") == "none");
  CHECK_FALSE(f.run(sql, Doubt::yes));
  const auto failure = f.run(sql);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "42704");
}

TEST_CASE("an index that was half dropped is dropped") {
  Fixture f;
  f.admin.run("CREATE INDEX orders_customer ON orders (customer)");
  f.cut("DROP INDEX CONCURRENTLY orders_customer", "orders",
        "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = 'orders_customer'::regclass");
  CHECK_FALSE(f.run("DROP INDEX CONCURRENTLY orders_customer;", Doubt::yes));
  CHECK(f.oid("orders_customer") == "none");
}

// ---- REINDEX CONCURRENTLY

namespace {

std::string indexes_of(Fixture& f, const std::string& table) {
  return f.admin.value(
      "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_index JOIN pg_class c ON c.oid = "
      "indexrelid WHERE indrelid = '" +
      table + "'::regclass");
}

}  // namespace

TEST_CASE("what REINDEX CONCURRENTLY left is dropped, and nothing else") {
  Fixture f;
  const std::string long_name(63, 'x');
  f.admin.run(
      "CREATE INDEX i ON orders (id); CREATE INDEX j ON orders (id); CREATE INDEX i_ccnew ON orders (id); CREATE INDEX "
      "i_ccnew1 ON orders (id); CREATE INDEX i_ccold ON orders (id); CREATE INDEX j_ccnew ON orders (id); CREATE INDEX "
      "i_ccnewer ON orders (id); CREATE INDEX k_ccnew ON orders (id); CREATE INDEX " +
      long_name + " ON orders (id); CREATE INDEX " + long_name.substr(6) + "_ccnew ON orders (id)");
  f.admin.run("CREATE TABLE other (id int); CREATE INDEX i_ccold1 ON other (id)");
  for (const std::string index : {"i_ccnew1", "i_ccold", "j_ccnew", "i_ccnewer", "k_ccnew", "i_ccold1"}) {
    f.invalidate(index);
  }
  f.invalidate(long_name.substr(6) + "_ccnew");
  const auto left = [&] {
    return f.admin.value(
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'i' AND relname "
        "LIKE '%\\_cc%'");
  };
  CHECK_FALSE(f.run("REINDEX INDEX CONCURRENTLY i;", Doubt::yes));
  // i_ccnew is valid, i_ccnewer and k_ccnew have no index that they were to replace, i_ccold1 is another table's.
  CHECK(left() == "i_ccnew i_ccnewer i_ccold1 j_ccnew k_ccnew " + long_name.substr(6) + "_ccnew");
  CHECK_FALSE(f.run("REINDEX TABLE CONCURRENTLY orders;"));
  CHECK(left() == "i_ccnew i_ccnewer i_ccold1 k_ccnew");
  CHECK(f.warned("index j_ccnew was INVALID, left by a REINDEX that failed: dropped"));
  CHECK(f.warned("index k_ccnew is INVALID; REINDEX TABLE CONCURRENTLY leaves such an index out"));
}

TEST_CASE("a REINDEX TABLE CONCURRENTLY that was cut leaves nothing behind once it has run again") {
  Fixture f;
  f.admin.run("CREATE INDEX i ON orders (id)");
  f.cut("REINDEX TABLE CONCURRENTLY orders", "orders",
        "SELECT count(*) = 2 FROM pg_class WHERE relname LIKE '%\\_ccnew'");  // the one of the TOAST table, too
  CHECK(indexes_of(f, "orders") == "i i_ccnew");
  CHECK_FALSE(f.run("REINDEX TABLE CONCURRENTLY orders;", Doubt::yes));
  CHECK(indexes_of(f, "orders") == "i");
  CHECK(f.admin.value("SELECT count(*) FROM pg_index WHERE NOT indisvalid") == "0");
}

TEST_CASE("the index of a TOAST table that only a superuser can drop is a warning") {
  OwnerFixture owner;
  Fixture& f = owner.f;
  f.admin.run("CREATE INDEX i ON orders (id)");
  f.cut("REINDEX TABLE CONCURRENTLY orders", "orders",
        "SELECT count(*) = 2 FROM pg_class WHERE relname LIKE '%\\_ccnew'");
  CHECK_FALSE(f.run("REINDEX TABLE CONCURRENTLY orders;", Doubt::yes));
  CHECK(indexes_of(f, "orders") == "i");
  CHECK(f.warned("of a TOAST table is INVALID, left by a REINDEX that failed; only a superuser can drop it"));
}

TEST_CASE("what a REINDEX CONCURRENTLY of somebody else is about to make is left alone") {
  Fixture f;
  f.admin.run("CREATE INDEX i ON orders (id)");
  Admin writer(f.database.name());
  writer.run("BEGIN; INSERT INTO orders VALUES (1, 1)");
  std::thread builder([&] { Admin(f.database.name()).run("REINDEX INDEX CONCURRENTLY i"); });
  f.admin.wait_until("SELECT to_regclass('i_ccnew') IS NOT NULL");
  CHECK(f.error("REINDEX INDEX CONCURRENTLY i;", Doubt::yes).outcome == Outcome::lock_timeout);
  CHECK(f.oid("i_ccnew") != "none");
  writer.run("COMMIT");
  builder.join();
  CHECK_FALSE(f.run("REINDEX INDEX CONCURRENTLY i;", Doubt::yes));
  CHECK(indexes_of(f, "orders") == "i");
}

TEST_CASE("what REINDEX CONCURRENTLY of a partitioned table left on a partition is dropped") {
  Fixture f;
  f.admin.run(
      "CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE INDEX parted_id ON parted (id); CREATE TABLE part "
      "PARTITION OF parted FOR VALUES FROM (1) TO (9); CREATE INDEX part_id_idx_ccnew ON part (id)");
  for (const std::string sql : {"REINDEX TABLE CONCURRENTLY parted;", "REINDEX INDEX CONCURRENTLY parted_id;"}) {
    CAPTURE(sql);
    f.admin.run("DROP INDEX part_id_idx_ccnew; CREATE INDEX part_id_idx_ccnew ON part (id)");
    f.invalidate("part_id_idx_ccnew");
    f.run(sql, Doubt::yes);  // PostgreSQL 13 refuses it
    CHECK(indexes_of(f, "part") == "part_id_idx");
    f.admin.run("CREATE INDEX part_id_idx_ccnew ON part (id)");
  }
}

// ---- DETACH PARTITION CONCURRENTLY

namespace {

const char* const k_detach = "ALTER TABLE parted DETACH PARTITION app.part CONCURRENTLY;";

void make_partitions(Fixture& f) {
  f.admin.run(
      "CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE TABLE app.part PARTITION OF parted FOR VALUES FROM "
      "(1) TO (9)");
}

std::string is_partition(Fixture& f) {
  return f.admin.value("SELECT relispartition FROM pg_class WHERE oid = 'app.part'::regclass");
}

/// PostgreSQL 13 has no CONCURRENTLY there: it says so, and nothing of ours stands in its way.
bool refused_by_13(Fixture& f) {
  if (f.major() > 13) {
    return false;
  }
  const auto failure = f.run(k_detach, Doubt::yes);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "42601");
  return true;
}

}  // namespace

TEST_CASE("a partition that is attached is detached, in doubt or not") {
  for (const Doubt doubt : {Doubt::no, Doubt::yes}) {
    Fixture f;
    make_partitions(f);
    if (refused_by_13(f)) {
      return;
    }
    CHECK_FALSE(f.run(k_detach, doubt));
    CHECK(is_partition(f) == "f");
  }
}

TEST_CASE("a partition that was detached already is not detached again by an attempt that goes on") {
  Fixture f;
  make_partitions(f);
  if (refused_by_13(f)) {
    return;
  }
  CHECK_FALSE(f.run(k_detach));
  CHECK_FALSE(f.run(k_detach, Doubt::yes));
  const auto failure = f.run(k_detach);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "42P01");
}

TEST_CASE("a DETACH PARTITION CONCURRENTLY that was cut is finished") {
  for (const Doubt doubt : {Doubt::no, Doubt::yes}) {
    Fixture f;
    make_partitions(f);
    if (refused_by_13(f)) {
      return;
    }
    f.cut("ALTER TABLE parted DETACH PARTITION app.part CONCURRENTLY", "parted",
          "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'app.part'::regclass");
    CHECK_FALSE(f.run(k_detach, doubt));
    CHECK(is_partition(f) == "f");
    CHECK(f.warned("partition app.part is half detached, by a DETACH that was cut: finished"));
  }
}

TEST_CASE("DETACH PARTITION FINALIZE runs in a transaction") {
  Fixture f;
  make_partitions(f);
  if (refused_by_13(f)) {
    return;
  }
  f.cut("ALTER TABLE parted DETACH PARTITION app.part CONCURRENTLY", "parted",
        "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 'app.part'::regclass");
  const Migration migration = sql_migration("1", "ALTER TABLE parted DETACH PARTITION app.part FINALIZE;");
  CHECK(migration.up.statements[0].in_transaction);
  CHECK(f.session.apply(migration).applied());
  CHECK(is_partition(f) == "f");
}

// ---- databases, tablespaces, subscriptions

TEST_CASE("a database that was made or dropped is not made or dropped again by an attempt that goes on") {
  Fixture f;
  const std::string name = test::unique_name();
  const std::string create = "CREATE DATABASE " + name + ";";
  const std::string drop = "DROP DATABASE " + name + ";";
  CHECK_FALSE(f.run(create, Doubt::yes));  // was not done
  CHECK_FALSE(f.run(create, Doubt::yes));  // was done
  CHECK(f.refusal(create) == "42P04");
  CHECK_FALSE(f.run(drop, Doubt::yes));
  CHECK_FALSE(f.run(drop, Doubt::yes));
  CHECK(f.refusal(drop) == "3D000");
}

TEST_CASE("a tablespace that was made or dropped is not made or dropped again by an attempt that goes on") {
  Fixture f;
  const std::string name = test::unique_name();
  const std::string directory = f.admin.value("SHOW data_directory") + "-" + name;
  f.admin.run("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; mkdir " + directory + "'");
  const std::string create = "CREATE TABLESPACE " + name + " LOCATION '" + directory + "';";
  const std::string drop = "DROP TABLESPACE " + name + ";";
  CHECK_FALSE(f.run(create, Doubt::yes));
  CHECK_FALSE(f.run(create, Doubt::yes));
  CHECK(f.refusal(create) == "42710");
  CHECK_FALSE(f.run(drop, Doubt::yes));
  CHECK_FALSE(f.run(drop, Doubt::yes));
  CHECK(f.refusal(drop) == "42704");
  f.admin.run("COPY (SELECT 1) TO PROGRAM 'cat >/dev/null; rmdir " + directory + "'");
}

TEST_CASE("a subscription that was made or dropped is not made or dropped again by an attempt that goes on") {
  Fixture f;
  const std::string create = "CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere dbname=x' PUBLICATION p;";
  CHECK(f.run(create, Doubt::yes));  // is sent: there is no such server
  f.admin.run("CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)");
  CHECK_FALSE(f.run(create, Doubt::yes));
  CHECK_FALSE(f.run("DROP SUBSCRIPTION s;", Doubt::yes));
  CHECK(f.admin.value("SELECT count(*) FROM pg_subscription WHERE subname = 's'") == "0");
  CHECK_FALSE(f.run("DROP SUBSCRIPTION s;", Doubt::yes));
  CHECK(f.refusal("DROP SUBSCRIPTION s;") == "42704");
}

// ---- the rest

TEST_CASE("what can be repeated is repeated") {
  Fixture f;
  for (const std::string sql : {"VACUUM orders;", "REINDEX TABLE orders;", "DISCARD ALL;", "CLUSTER;"}) {
    CAPTURE(sql);
    f.session.database().try_lock();  // DISCARD ALL has given it back
    CHECK_FALSE(f.run(sql, Doubt::yes));
  }
}

TEST_CASE("a CALL runs outside a transaction, so that the procedure can commit; in doubt it needs a person") {
  Fixture f;
  f.admin.run(
      "CREATE PROCEDURE fill() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO orders VALUES (1); COMMIT; INSERT INTO orders "
      "VALUES (2); COMMIT; END $$");
  CHECK_FALSE(f.run("CALL fill();"));
  CHECK_FALSE(f.run("DO $$ BEGIN INSERT INTO orders VALUES (3); COMMIT; END $$;"));
  CHECK(f.admin.value("SELECT count(*) FROM orders") == "3");
  const util::ErrorInfo error = f.error("-- fills\nCALL fill();", Doubt::yes);
  CHECK(error.outcome == Outcome::half_done);
  CHECK(contains(error.message, "CALL was sent by a run that was cut, and it may or may not be done"));
  CHECK(error.where == util::SourcePosition{"migrations/3_m3/up.sql", 2, 1});
  CHECK(contains(error.hint, "run `lockkeeper baseline --to 3`, which asserts that the whole file is done"));
  CHECK(contains(error.hint, "change it in the file (a comment in it is enough) and run `lockkeeper up` again"));
  CHECK(f.admin.value("SELECT count(*) FROM orders") == "3");
}
