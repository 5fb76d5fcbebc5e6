// What core::Database promises, asked of the real one and of the fake one: the fake stays honest.
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/fake_database.hpp"
#include "support/migrations.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::AttemptOutcome;
using core::Direction;
using core::Migration;
using test::error_of;
using test::sql_migration;
using util::Outcome;

namespace {

struct Row {
  std::string version;
  std::string direction;
  std::string outcome;
  std::string done;
  bool operator==(const Row&) const = default;
};

/// A world has sessions with a database(), done(label) for statements made with effect(label), and all rows.
class FakeWorld {
 public:
  class Session {
   public:
    explicit Session(FakeWorld& world) : m_database(world.m_server) {}
    core::Database& database() { return m_database; }

   private:
    test::FakeDatabase m_database;
  };

  FakeWorld() {
    m_server.refusals["SELECT 1/0"] = {
        .failure = {.error = {.outcome = Outcome::sql, .message = "division by zero", .sqlstate = "22012"}}};
  }
  int done(const std::string& label) const { return m_server.done("INSERT INTO effects VALUES ('" + label + "')"); }
  std::vector<Row> rows() const {
    std::vector<Row> rows;
    for (const test::FakeRow& row : m_server.rows) {
      rows.push_back({row.version.str(), std::string(to_string(row.direction)), std::string(to_string(row.outcome)),
                      std::to_string(row.statements_done)});
    }
    return rows;
  }

 private:
  test::FakeServer m_server;
};

class PgWorld {
 public:
  class Session {
   public:
    explicit Session(PgWorld& world) : m_session(world.m_database) {}
    core::Database& database() { return m_session.database(); }

   private:
    test::PgSession m_session;
  };

  PgWorld() { m_database.admin().run("CREATE TABLE effects (label text)"); }
  int done(const std::string& label) {
    return std::stoi(m_database.admin().value("SELECT count(*) FROM effects WHERE label = '" + label + "'"));
  }
  std::vector<Row> rows() {
    std::vector<Row> rows;
    for (const auto& row : m_database.admin().query(
             "SELECT version, direction, outcome, statements_done FROM lockkeeper.history ORDER BY id")) {
      rows.push_back({row[0], row[1], row[2], row[3]});
    }
    return rows;
  }

 private:
  test::TempDatabase m_database;
};

std::string effect(const std::string& label) {
  return "INSERT INTO effects VALUES ('" + label + "');\n";
}

core::Expectation expect(bool yes) {
  return {.kind = core::Expectation::Kind::sql, .member = "x", .sql = yes ? "SELECT true" : "SELECT false"};
}

using Rows = std::vector<Row>;

#define CASE(name) TEST_CASE_TEMPLATE("contract: " name, World, FakeWorld, PgWorld)

}  // namespace

CASE("a new database has no history") {
  World world;
  typename World::Session session(world);
  const core::Snapshot snapshot = session.database().read();
  CHECK_FALSE(snapshot.history.exists);
  CHECK(snapshot.history.rows.empty());
  CHECK(snapshot.server.version_number >= 130000);
  CHECK_FALSE(snapshot.server.database.empty());
  CHECK_FALSE(snapshot.server.pooled);
}

CASE("preparing the history makes it exist, and doing so again changes nothing") {
  World world;
  typename World::Session session(world);
  const core::LockAttempt attempt = session.database().try_lock();
  CHECK(attempt.acquired);
  CHECK_FALSE(attempt.history.exists);
  session.database().prepare_history();
  session.database().prepare_history();
  const core::History history = session.database().read().history;
  CHECK(history.exists);
  CHECK(history.layout == 1);
  CHECK(history.rows.empty());
}

CASE("the lock excludes a second session until it is given back") {
  World world;
  typename World::Session first(world);
  typename World::Session second(world);
  CHECK(first.database().try_lock().acquired);
  for (int i = 0; i < 3; ++i) {
    const core::LockAttempt attempt = second.database().try_lock();
    CHECK_FALSE(attempt.acquired);
    REQUIRE(attempt.holder);
    CHECK(attempt.holder->pid > 0);
  }
  first.database().unlock();
  CHECK(second.database().try_lock().acquired);
  CHECK_FALSE(first.database().try_lock().acquired);
}

CASE("a session that ends gives its lock back") {
  World world;
  auto first = std::make_unique<typename World::Session>(world);
  typename World::Session second(world);
  CHECK(first->database().try_lock().acquired);
  first.reset();
  bool acquired = false;
  for (int i = 0; i < 100 && !acquired; ++i) {  // a real server notices a moment later
    acquired = second.database().try_lock().acquired;
    ::usleep(acquired ? 0 : 20'000);
  }
  CHECK(acquired);
}

CASE("a transaction that commits shows in the history with its effects") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  Migration migration = sql_migration("007", effect("a") + effect("b"));
  migration.expect = {expect(true)};
  CHECK(session.database().apply_transaction({.migration = &migration}).applied());
  CHECK(world.done("a") == 1);
  CHECK(world.done("b") == 1);
  CHECK(world.rows() == Rows{{"007", "up", "applied", "2"}});

  typename World::Session other(world);
  const core::History history = other.database().read().history;
  REQUIRE(history.rows.size() == 1);
  const core::HistoryRow& row = history.rows[0];
  CHECK(row.version.str() == "007");
  CHECK(row.name == "m007");
  CHECK(row.direction == Direction::up);
  CHECK(row.checksum == migration.up.checksum);
  CHECK(row.outcome == AttemptOutcome::applied);
  CHECK(row.statements_done == 2);
  CHECK(row.statements_total == 2);
}

CASE("a transaction whose statement fails leaves nothing, and a failed row only when that is asked for") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  const Migration migration = sql_migration("1", effect("a") + "SELECT 1/0;\n" + effect("b"));
  const core::Attempt attempt{.migration = &migration};
  const core::AttemptResult result = session.database().apply_transaction(attempt);
  REQUIRE(result.failure);
  CHECK(result.failure->error.outcome == Outcome::sql);
  CHECK(result.failure->error.sqlstate == "22012");
  CHECK_FALSE(result.failure->worth_retrying);
  CHECK(world.rows().empty());
  session.database().record_failed(attempt, std::nullopt, true, result.failure->error);
  CHECK(world.done("a") == 0);
  CHECK(world.done("b") == 0);
  CHECK(world.rows() == Rows{{"1", "up", "failed", "0"}});
  CHECK(session.database().read().history.rows.empty());  // failed attempts decide nothing

  const Migration corrected = sql_migration("1", effect("a"));
  CHECK(session.database().apply_transaction({.migration = &corrected}).applied());
  CHECK(world.rows() == Rows{{"1", "up", "failed", "0"}, {"1", "up", "applied", "1"}});
}

CASE("a transaction whose expectation does not hold leaves nothing") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  Migration migration = sql_migration("1", effect("a"));
  migration.expect = {expect(true), expect(false)};
  const core::AttemptResult result = session.database().apply_transaction({.migration = &migration});
  CHECK_FALSE(result.applied());
  CHECK_FALSE(result.failure);
  REQUIRE(result.broken.size() == 1);
  CHECK(result.broken[0].expectation.sql == "SELECT false");
  CHECK(result.broken[0].found == "false");
  CHECK(world.done("a") == 0);
  CHECK(world.rows().empty());
}

CASE("a script without a transaction shows how far it is after every statement") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  const Migration migration = sql_migration("1", effect("a") + effect("b"), false);
  const core::Attempt attempt{.migration = &migration};
  const std::int64_t row = session.database().record_started(attempt);
  CHECK(world.rows() == Rows{{"1", "up", "started", "0"}});
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK_FALSE(session.database().run_statement(attempt, row, i));
    CHECK(world.rows() == Rows{{"1", "up", "started", std::to_string(i + 1)}});
    const core::History history = session.database().read().history;
    REQUIRE(history.rows.size() == 1);
    CHECK(history.rows[0].prefix_checksum == migration.up.statements[i].prefix_checksum);
    CHECK(world.done("a") == 1);
    CHECK(world.done("b") == (i == 0 ? 0 : 1));
  }
  CHECK(session.database().record_finished(attempt, row).applied());
  CHECK(world.rows() == Rows{{"1", "up", "applied", "2"}});
}

CASE("a statement that fails without a transaction changes nothing, and its attempt is failed or goes on") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  const Migration migration = sql_migration("1", effect("a") + "SELECT 1/0;\n", false);
  const core::Attempt attempt{.migration = &migration};
  const std::int64_t row = session.database().record_started(attempt);
  CHECK_FALSE(session.database().run_statement(attempt, row, 0));
  const auto failure = session.database().run_statement(attempt, row, 1);
  REQUIRE(failure);
  CHECK(failure->error.sqlstate == "22012");
  session.database().record_failed(attempt, row, false, failure->error);
  CHECK(world.rows() == Rows{{"1", "up", "started", "1"}});

  const Migration other = sql_migration("2", "SELECT 1/0;\n", false);
  const core::Attempt second{.migration = &other};
  const std::int64_t second_row = session.database().record_started(second);
  CHECK(session.database().run_statement(second, second_row, 0));
  session.database().record_failed(second, second_row, true, failure->error);
  CHECK(world.rows() == Rows{{"1", "up", "started", "1"}, {"2", "up", "failed", "0"}});
}

CASE("a resumed attempt starts where it is told to") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  const Migration migration = sql_migration("1", effect("a") + effect("b"), false);
  const core::Attempt attempt{.migration = &migration, .first_statement = 1, .resumed = true};
  const std::int64_t row = session.database().record_started(attempt);
  CHECK(world.rows() == Rows{{"1", "up", "started", "1"}});
  CHECK(session.database().read().history.rows[0].prefix_checksum == migration.up.statements[0].prefix_checksum);
  CHECK_FALSE(session.database().run_statement(attempt, row, 1));
  CHECK(session.database().record_finished(attempt, row).applied());
  CHECK(world.done("a") == 0);
  CHECK(world.rows() == Rows{{"1", "up", "applied", "2"}});
}

CASE("an expectation that does not hold leaves a script without a transaction unfinished") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  Migration migration = sql_migration("1", effect("a"), false);
  migration.expect = {expect(false)};
  const core::Attempt attempt{.migration = &migration};
  const std::int64_t row = session.database().record_started(attempt);
  session.database().run_statement(attempt, row, 0);
  const core::AttemptResult result = session.database().record_finished(attempt, row);
  CHECK(result.broken.size() == 1);
  CHECK(world.rows() == Rows{{"1", "up", "started", "1"}});
}

CASE("without the lock nothing is done") {
  World world;
  typename World::Session holder(world);
  holder.database().try_lock();
  holder.database().prepare_history();
  typename World::Session session(world);
  session.database().read();
  const Migration migration = sql_migration("1", effect("a"));
  const Migration alone = sql_migration("2", effect("b"), false);
  const core::Attempt attempt{.migration = &migration};
  const core::Attempt alone_attempt{.migration = &alone};
  CHECK(error_of([&] { session.database().apply_transaction(attempt); }).outcome == Outcome::connection_lost);
  CHECK(error_of([&] { session.database().record_started(alone_attempt); }).outcome == Outcome::connection_lost);
  CHECK(error_of([&] { session.database().record({.migration = &migration}); }).outcome == Outcome::connection_lost);
  const std::int64_t row = holder.database().record_started(alone_attempt);
  CHECK(error_of([&] { session.database().run_statement(alone_attempt, row, 0); }).outcome == Outcome::connection_lost);
  CHECK(error_of([&] { session.database().record_finished(alone_attempt, row); }).outcome == Outcome::connection_lost);
  CHECK(world.done("a") == 0);
  CHECK(world.done("b") == 0);
  CHECK(world.rows() == Rows{{"2", "up", "started", "0"}});
}

CASE("a roll-back runs the down script, and expects nothing of what up.sql promised") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  Migration migration = sql_migration("1", effect("a"));
  migration.expect = {expect(false)};
  migration.down = test::sql_script("down.sql", effect("undo a"));
  const core::Attempt attempt{.migration = &migration, .direction = Direction::down, .guard_data_loss = true};
  CHECK(session.database().count_losses(attempt).empty());
  CHECK(world.done("undo a") == 0);
  CHECK(session.database().apply_transaction(attempt).applied());
  CHECK(world.done("undo a") == 1);
  CHECK(world.done("a") == 0);
  CHECK(world.rows() == Rows{{"1", "down", "applied", "1"}});
}

CASE("baseline and repair write a row and run nothing") {
  World world;
  typename World::Session session(world);
  session.database().try_lock();
  session.database().prepare_history();
  const Migration migration = sql_migration("1", effect("a"));
  session.database().record({.migration = &migration, .direction = Direction::baseline});
  session.database().record({.migration = &migration, .direction = Direction::repair, .old_checksum = "old"});
  CHECK(world.done("a") == 0);
  CHECK(world.rows() == Rows{{"1", "baseline", "applied", "1"}, {"1", "repair", "applied", "1"}});
  CHECK(session.database().read().history.rows[1].checksum == migration.up.checksum);
}

CASE("every expectation is looked at, also after one that does not hold") {
  World world;
  typename World::Session session(world);
  session.database().read();
  const std::vector<core::ExpectationResult> results =
      session.database().check({expect(true), expect(false), expect(true)});
  REQUIRE(results.size() == 3);
  CHECK(results[0].holds);
  CHECK_FALSE(results[1].holds);
  CHECK(results[2].holds);
  CHECK(session.database().check({}).empty());
}
