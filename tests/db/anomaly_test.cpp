// The anomaly loop on a real server: the session's backend is terminated before or after the n-th step, for every n.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/deploy.hpp"
#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::Migration;
using test::Admin;
using test::sql_migration;
using test::TempDatabase;
using util::Error;
using util::Outcome;

namespace {

enum class Moment { before, after };

/// Lets every step through to a real database, and ends its backend around the n-th.
class KillingDatabase final : public core::Database {
 public:
  KillingDatabase(test::PgSession& session, Admin& admin, std::size_t& calls, std::size_t kill_at, Moment moment)
      : m_session(session), m_admin(admin), m_calls(calls), m_kill_at(kill_at), m_moment(moment) {}

  core::Snapshot read() override {
    return step([&](auto& inner) { return inner.read(); });
  }
  core::LockAttempt try_lock() override {
    return step([&](auto& inner) { return inner.try_lock(); });
  }
  void unlock() noexcept override {
    quietly([&](auto& inner) { inner.unlock(); });
  }
  void prepare_history() override {
    step([&](auto& inner) {
      inner.prepare_history();
      return true;
    });
  }
  void announce(std::vector<core::Attempt> attempts) override { m_session.database().announce(std::move(attempts)); }
  [[nodiscard]] std::size_t unanswered() const override { return m_session.database().unanswered(); }
  void settle() override {
    step([&](auto& inner) {
      inner.settle();
      return true;
    });
  }
  core::AttemptResult apply_transaction(const core::Attempt& attempt) override {
    return step([&](auto& inner) { return inner.apply_transaction(attempt); });
  }
  std::vector<core::Loss> count_losses(const core::Attempt& attempt) override {
    return step([&](auto& inner) { return inner.count_losses(attempt); });
  }
  std::int64_t record_started(const core::Attempt& attempt) override {
    return step([&](auto& inner) { return inner.record_started(attempt); });
  }
  std::optional<core::SqlFailure> run_statement(const core::Attempt& attempt, std::int64_t row,
                                                std::size_t index) override {
    return step([&](auto& inner) { return inner.run_statement(attempt, row, index); });
  }
  core::AttemptResult record_finished(const core::Attempt& attempt, std::int64_t row) override {
    return step([&](auto& inner) { return inner.record_finished(attempt, row); });
  }
  void record_failed(const core::Attempt& attempt, std::optional<std::int64_t> row, bool nothing_done,
                     const util::ErrorInfo& error) noexcept override {
    quietly([&](auto& inner) { inner.record_failed(attempt, row, nothing_done, error); });
  }
  void record(const core::Record& record) override {
    step([&](auto& inner) {
      inner.record(record);
      return true;
    });
  }
  std::vector<core::ExpectationResult> check(const std::vector<core::Expectation>& expectations) override {
    return step([&](auto& inner) { return inner.check(expectations); });
  }

 private:
  bool strikes(Moment moment) const { return m_calls == m_kill_at && m_moment == moment; }
  void kill() { m_admin.terminate(m_session.connection().backend_pid()); }

  template <typename Call>
  auto step(const Call& call) -> decltype(call(std::declval<pg::Database&>())) {
    ++m_calls;
    if (strikes(Moment::before)) {
      kill();
    }
    auto result = call(m_session.database());
    if (strikes(Moment::after)) {  // the answer got lost on its way
      kill();
      throw Error(Outcome::connection_lost, "the answer was lost");
    }
    return result;
  }

  template <typename Call>
  void quietly(const Call& call) {
    ++m_calls;
    if (strikes(Moment::before)) {
      kill();
    }
    call(m_session.database());
  }

  test::PgSession& m_session;
  Admin& m_admin;
  std::size_t& m_calls;
  std::size_t m_kill_at;
  Moment m_moment;
};

std::string count(const std::string& name) {
  return "INSERT INTO counters VALUES ('" + name + "', 1) ON CONFLICT (name) DO UPDATE SET n = counters.n + 1;\n";
}

std::vector<Migration> make_files() {
  std::vector<Migration> files = {
      sql_migration("1", count("1") + "ALTER TABLE orders ADD COLUMN one text;\n" + count("1b")),
      sql_migration("2",
                    count("2a") + "CREATE INDEX CONCURRENTLY orders_id ON orders (id);\n" +
                        "COPY copied FROM STDIN;\none\n\\.\n" + count("2b"),
                    false),
      sql_migration("3", "CREATE INDEX CONCURRENTLY orders_one ON orders (one);\n" + count("3"), false),
      sql_migration("4", "ALTER TABLE orders ADD COLUMN four text;\n" + count("4")),
      sql_migration("5", count("5")),
      sql_migration("6", count("6") + "ALTER TABLE orders ADD COLUMN six text;\n"),
      sql_migration("7", count("7"))};
  files[3].expect = {
      {.kind = core::Expectation::Kind::column, .object = {.name = "orders"}, .member = "four", .type = "text"}};
  return files;
}

int value(TempDatabase& database, const std::string& sql) {
  return std::stoi(database.admin().value(sql));
}

int counted(TempDatabase& database, const std::string& name) {
  return value(database, "SELECT coalesce((SELECT n FROM counters WHERE name = '" + name + "'), 0)");
}

bool has_column(TempDatabase& database, const std::string& name) {
  return value(database, "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = '" +
                             name + "'") == 1;
}

struct Claim {
  core::State state = core::State::pending;
  std::size_t done = 0;
};

std::vector<Claim> claims(TempDatabase& database, const std::vector<Migration>& files) {
  test::PgSession session(database);
  const core::States states = core::states_of(session.snapshot().history);
  std::vector<Claim> all;
  for (const Migration& migration : files) {
    const auto found = states.find(migration.version);
    all.push_back(found == states.end()
                      ? Claim{}
                      : Claim{.state = found->second.state, .done = found->second.row->statements_done});
  }
  return all;
}

void check_invariants(TempDatabase& database, const std::vector<Migration>& files, const core::Report& report) {
  const std::vector<Claim> claimed = claims(database, files);
  // In one transaction: all of it and the history row, or nothing.
  const int first = claimed[0].state == core::State::applied ? 1 : 0;
  CHECK(counted(database, "1") == first);
  CHECK(counted(database, "1b") == first);
  CHECK(has_column(database, "one") == (first == 1));
  const int fourth = claimed[3].state == core::State::applied ? 1 : 0;
  CHECK(counted(database, "4") == fourth);
  CHECK(has_column(database, "four") == (fourth == 1));
  CHECK(claimed[0].state != core::State::half_done);
  CHECK(claimed[3].state != core::State::half_done);
  // Statement by statement: what can run in a transaction is done exactly when it is claimed.
  const auto is_done = [&](std::size_t file, std::size_t index) {
    return claimed[file].state != core::State::pending && claimed[file].done > index ? 1 : 0;
  };
  CHECK(counted(database, "2a") == is_done(1, 0));
  CHECK(value(database, "SELECT count(*) FROM copied") == is_done(1, 2));
  CHECK(counted(database, "2b") == is_done(1, 3));
  CHECK(counted(database, "3") == is_done(2, 1));
  // What cannot is never claimed without being there.
  for (const auto& [file, index, name] : {std::tuple(1, 1, "orders_id"), std::tuple(2, 0, "orders_one")}) {
    if (is_done(static_cast<std::size_t>(file), static_cast<std::size_t>(index)) == 1) {
      CHECK(database.admin().value("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('" +
                                   std::string(name) + "')") == "t");
    }
  }
  std::vector<std::string> truth;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (claimed[i].state == core::State::applied) {
      truth.push_back(files[i].version.str());
    }
  }
  const std::vector<std::string> reported = test::versions_of(report);
  REQUIRE(reported.size() <= truth.size());
  CHECK(std::equal(reported.begin(), reported.end(), truth.begin()));
}

void make_tables(TempDatabase& database) {
  database.admin().run("CREATE TABLE counters (name text PRIMARY KEY, n int NOT NULL)");
  database.admin().run("CREATE TABLE copied (line text)");
  database.admin().run("CREATE TABLE orders (id int)");
  database.admin().run("INSERT INTO orders SELECT generate_series(1, 100)");
}

void check_all_done(TempDatabase& database, const std::vector<Migration>& files) {
  for (const Claim& claim : claims(database, files)) {
    CHECK(claim.state == core::State::applied);
  }
  for (const char* name : {"1", "1b", "2a", "2b", "3", "4", "5", "6", "7"}) {
    CAPTURE(name);
    CHECK(counted(database, name) == 1);
  }
  CHECK(value(database, "SELECT count(*) FROM copied") == 1);
  CHECK(value(database, "SELECT count(*) FROM pg_index WHERE NOT indisvalid") == 0);
  CHECK(value(database,
              "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM "
              "pg_database WHERE datname = current_database())") == 0);
}

}  // namespace

TEST_CASE("wherever the server ends our session, the history is true and running again converges") {
  for (const Moment moment : {Moment::before, Moment::after}) {
    for (std::size_t n = 1;; ++n) {
      CAPTURE(n);
      CAPTURE(static_cast<int>(moment));
      TempDatabase database;
      make_tables(database);
      std::vector<Migration> files = make_files();
      std::size_t calls = 0;
      core::Report report;
      Outcome outcome = Outcome::ok;
      {
        test::PgSession session(database);
        KillingDatabase killing(session, database.admin(), calls, n, moment);
        core::Run run{.database = killing,
                      .observer = session.observer,
                      .clock = session.clock(),
                      .limits = session.limits,
                      .deadline = {},
                      .report = report};
        outcome = test::error_of([&] { test::deploy(run, files); }).outcome;
      }
      check_invariants(database, files, report);
      const bool struck = calls >= n;
      CHECK((outcome == Outcome::connection_lost || outcome == Outcome::ok));
      if (!struck) {
        REQUIRE(n > 10);
        CHECK(outcome == Outcome::ok);
        CHECK(report.applied.size() == files.size());
        check_all_done(database, files);
        break;
      }
      test::PgSession again(database);
      core::Run run = again.run();
      const util::ErrorInfo error = test::error_of([&] { test::deploy(run, files); });
      CAPTURE(util::to_string(error));
      CHECK(error.outcome == Outcome::ok);
      check_invariants(database, files, {});
      check_all_done(database, files);
    }
  }
}

TEST_CASE("a session that dies in the middle of a transaction leaves nothing of it") {
  TempDatabase database;
  make_tables(database);
  database.admin().run("CREATE TABLE fuse AS SELECT 1 AS one");
  const Migration migration =
      sql_migration("1", count("1") + "SELECT pg_terminate_backend(pg_backend_pid()) FROM fuse;\n" + count("1b"));
  {
    test::PgSession session(database);
    session.prepare();
    const util::ErrorInfo error = test::error_of([&] { session.apply(migration); });
    CHECK(error.outcome == Outcome::connection_lost);
    CHECK_FALSE(session.connection().usable());
    session.database().record_failed({.migration = &migration}, std::nullopt, true, error);  // cannot, and says nothing
    session.database().unlock();
  }
  CHECK(value(database, "SELECT count(*) FROM counters") == 0);
  CHECK(value(database, "SELECT count(*) FROM lockkeeper.history") == 0);
  database.admin().run("TRUNCATE fuse");
  test::PgSession session(database);
  session.prepare();
  CHECK(session.apply(migration).applied());
  CHECK(counted(database, "1b") == 1);
}
