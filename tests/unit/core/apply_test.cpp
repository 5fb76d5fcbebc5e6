#include "core/apply.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/deploy.hpp"
#include "support/errors.hpp"
#include "support/fake_database.hpp"
#include "support/manual_clock.hpp"
#include "support/migrations.hpp"
#include "support/recording_observer.hpp"

using namespace lockkeeper;
using core::AttemptOutcome;
using core::Direction;
using core::Migration;
using core::SqlFailure;
using core::Step;
using test::contains;
using test::error_of;
using test::FakeDatabase;
using test::FakeServer;
using test::make_half_done;
using test::make_migration;
using test::make_script;
using util::Duration;
using util::Outcome;
using namespace std::chrono_literals;

namespace {

/// A session with the lock, and what a run needs.
struct World {
  explicit World(bool with_lock = true) {
    if (with_lock) {
      database.try_lock();
    }
  }
  core::Run run() {
    return {.database = database,
            .observer = observer,
            .clock = clock,
            .limits = limits,
            .deadline = deadline,
            .report = report};
  }
  util::ErrorInfo apply(const std::vector<Step>& steps) {
    core::Run now = run();
    return error_of([&] { core::apply(now, steps); });
  }
  std::string outcomes(const std::string& version) const {
    std::string text;
    for (const test::FakeRow* row : server.rows_of(core::Version(version))) {
      text += (text.empty() ? "" : " ") + std::string(to_string(row->outcome));
    }
    return text;
  }

  FakeServer server;
  FakeDatabase database{server};
  test::RecordingObserver observer;
  test::ManualClock clock;
  core::Limits limits;
  util::Deadline deadline;
  core::Report report;
};

SqlFailure refusal(Outcome outcome = Outcome::sql) {
  return {.error = {.outcome = outcome,
                    .message = "no",
                    .hint = "The server's hint.",
                    .sqlstate = outcome == Outcome::sql ? "42703" : "55P03"},
          .worth_retrying = outcome == Outcome::lock_timeout};
}

core::Expectation holds(bool yes) {
  return {.kind = core::Expectation::Kind::sql,
          .member = yes ? "good" : "bad",
          .sql = yes ? "SELECT true" : "SELECT false",
          .where = {.file = "migrations/1_m1/migration.yaml", .line = 3}};
}

core::LockHolder somebody() {
  return {.pid = 4711, .application_name = "lockkeeper/9 up", .session_age = std::chrono::seconds(12)};
}

}  // namespace

// ---- acquire_lock

TEST_CASE("a free lock is taken at once, and the history comes with it") {
  World world(false);
  world.server.history_exists = true;
  core::Run run = world.run();
  CHECK(core::acquire_lock(run).exists);
  CHECK(world.server.lock_owner == &world.database);
  CHECK(world.clock.sleeps.empty());
  CHECK(world.report.lock_wait == 0s);
  CHECK(world.observer.all<core::LockAcquired>().size() == 1);
  CHECK(world.observer.all<core::LockWaiting>().empty());
}

TEST_CASE("a lock that is held is waited for, telling who holds it every ten seconds") {
  World world(false);
  world.server.other_holder = somebody();
  const util::SteadyTime begin = world.clock.now();
  world.clock.after_sleep = [&] {
    if (world.clock.now() - begin >= 25s) {
      world.server.other_holder.reset();
    }
  };
  core::Run run = world.run();
  core::acquire_lock(run);
  CHECK(world.report.lock_wait >= 25s);
  CHECK(world.report.lock_wait <= 25s + 250ms);
  const auto told = world.observer.all<core::LockWaiting>();
  REQUIRE(told.size() == 3);
  for (std::size_t i = 0; i < told.size(); ++i) {
    CHECK(told[i].waited >= i * 10s);
    CHECK(told[i].waited <= i * (10s + 250ms));
    CHECK(told[i].holder->pid == 4711);
    CHECK(told[i].limit == 5min);
  }
  REQUIRE(world.observer.all<core::LockAcquired>().size() == 1);
  CHECK(world.observer.all<core::LockAcquired>()[0].waited == world.report.lock_wait);
}

TEST_CASE("the lock is asked for often at first, then every 250 ms, and not in step with others") {
  std::vector<std::vector<Duration>> runs;
  for (int i = 0; i < 20; ++i) {
    World world(false);
    world.server.other_holder = somebody();
    world.limits.lock_wait = 30s;
    core::Run run = world.run();
    error_of([&] { core::acquire_lock(run); });
    world.clock.sleeps.pop_back();  // what was left of the 30 s
    Duration longest = 20ms;
    for (const Duration pause : world.clock.sleeps) {
      CHECK(pause >= longest / 2 - 1ms);
      CHECK(pause <= longest);
      longest = std::min(longest * 2, Duration(250ms));
    }
    CHECK(world.clock.sleeps.size() >= 30s / 250ms);
    runs.push_back(world.clock.sleeps);
  }
  CHECK(std::adjacent_find(runs.begin(), runs.end()) == runs.end());
}

TEST_CASE("a lock that stays held is given up at lock_wait, naming the holder") {
  for (const Duration wait : {1ms, 249ms, 250ms, 251ms, 3000ms, 30'000ms}) {
    World world(false);
    world.server.other_holder = somebody();
    world.limits.lock_wait = wait;
    core::Run run = world.run();
    const util::SteadyTime begin = world.clock.now();
    const util::ErrorInfo error = error_of([&] { core::acquire_lock(run); });
    CAPTURE(wait.count());
    CHECK(error.outcome == Outcome::lock_busy);
    CHECK(contains(error.message, "pid 4711 (lockkeeper/9 up), connected for 12s"));
    CHECK(world.clock.now() - begin == wait);
    CHECK(world.report.lock_wait == wait);
    CHECK(world.server.tries_at_lock >= 2);  // once more when the time is over
  }
}

TEST_CASE("lock_wait 0 tries once") {
  World world(false);
  world.server.other_holder = somebody();
  world.limits.lock_wait = 0ms;
  core::Run run = world.run();
  CHECK(error_of([&] { core::acquire_lock(run); }).outcome == Outcome::lock_busy);
  CHECK(world.server.tries_at_lock == 1);
  CHECK(world.clock.sleeps.empty());
}

TEST_CASE("no wait for the lock outlasts the deadline, and the exit code says what was waited for") {
  World world(false);
  world.server.other_holder = somebody();
  world.deadline = util::Deadline::after(world.clock, 3s);
  core::Run run = world.run();
  const util::SteadyTime begin = world.clock.now();
  CHECK(error_of([&] { core::acquire_lock(run); }).outcome == Outcome::lock_busy);
  CHECK(world.clock.now() - begin == 3s);
}

TEST_CASE("the history to plan with is the one of the attempt that got the lock") {
  World world(false);
  const Migration migration = make_migration("1", {"a"});
  world.server.other_holder = somebody();
  world.clock.after_sleep = [&] {  // the other runner applies it and goes
    world.server.history_exists = true;
    test::FakeRow row;
    static_cast<core::HistoryRow&>(row) = test::make_row(migration);
    world.server.rows.push_back(row);
    world.server.other_holder.reset();
  };
  core::Run run = world.run();
  CHECK(core::acquire_lock(run).rows.size() == 1);
}

// ---- apply

TEST_CASE("steps are committed in order and told as they happen") {
  World world;
  const Migration one = make_migration("1", {"a", "b"});
  const Migration two = make_migration("2", {"c"});
  CHECK(
      world.apply({{.migration = const_cast<Migration*>(&one)}, {.migration = const_cast<Migration*>(&two)}}).outcome ==
      Outcome::ok);
  CHECK(world.server.effects == std::map<std::string, int>{{"a", 1}, {"b", 1}, {"c", 1}});
  CHECK(test::versions_of(world.report) == std::vector<std::string>{"1", "2"});
  CHECK(world.report.applied[0].direction == "up");
  CHECK(world.report.applied[0].statements == 2);
  CHECK(world.report.applied[0].name == "m1");

  std::vector<std::string> told;
  for (const core::Event& event : world.observer.events) {
    if (const auto* started = std::get_if<core::StepStarted>(&event)) {
      told.push_back("start " + started->version);
      CHECK(started->transactional);
      CHECK(started->first_statement == 0);
    } else if (const auto* statement = std::get_if<core::StatementFinished>(&event)) {
      told.push_back(statement->text);
    } else if (const auto* finished = std::get_if<core::StepFinished>(&event)) {
      told.push_back("end " + finished->step.version);
    }
  }
  CHECK(told == std::vector<std::string>{"start 1", "a", "b", "end 1", "start 2", "c", "end 2"});
}

TEST_CASE("a migration's own time limits win over the run's") {
  World world;
  Migration one = make_migration("1", {"a"});
  Migration two = make_migration("2", {"b"});
  two.lock_timeout = 7s;
  two.statement_timeout = 0s;
  world.limits.lock_timeout = 3s;
  world.limits.statement_timeout = 4s;
  world.apply({{.migration = &one}, {.migration = &two}});
  REQUIRE(world.server.attempts.size() == 2);
  CHECK(world.server.attempts[0].lock_timeout == 3s);
  CHECK(world.server.attempts[0].statement_timeout == 4s);
  CHECK(world.server.attempts[1].lock_timeout == 7s);
  CHECK(world.server.attempts[1].statement_timeout == 0s);
}

TEST_CASE("the first failure stops the run, says what stays, and is recorded") {
  for (std::size_t failing = 0; failing < 3; ++failing) {
    World world;
    std::vector<Migration> files;
    std::vector<Step> steps;
    for (const char* version : {"1", "2", "3"}) {
      files.push_back(make_migration(version, {std::string("a") + version, std::string("b") + version}));
    }
    for (Migration& migration : files) {
      steps.push_back({.migration = &migration});
    }
    world.server.refusals["b" + std::to_string(failing + 1)] = {.failure = refusal()};
    const util::ErrorInfo error = world.apply(steps);
    CAPTURE(failing);
    CHECK(error.outcome == Outcome::sql);
    CHECK(error.sqlstate == "42703");
    CHECK(error.hint == "The server's hint. The migration was rolled back; " +
                            (failing == 0
                                 ? std::string("nothing was changed.")
                                 : "what came before it stays applied, up to " + std::to_string(failing) + "."));
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string version = std::to_string(i + 1);
      CHECK(world.server.done("a" + version) == (i < failing ? 1 : 0));
      CHECK(world.server.done("b" + version) == (i < failing ? 1 : 0));
      CHECK(world.outcomes(version) == (i < failing ? "applied" : i == failing ? "failed" : ""));
    }
    CHECK(world.report.applied.size() == failing);
    CHECK(contains(world.server.rows.back().error, "no (SQLSTATE 42703)"));
    const auto told = world.observer.all<core::StepFailed>();
    REQUIRE(told.size() == 1);
    CHECK(told[0].version == std::to_string(failing + 1));
    CHECK(told[0].error.outcome == Outcome::sql);
  }
}

TEST_CASE("a lock timeout is tried again within the budget, and the retries are counted") {
  World world;
  Migration one = make_migration("1", {"a"});
  world.server.refusals["a"] = {.failure = refusal(Outcome::lock_timeout), .times = 4};
  CHECK(world.apply({{.migration = &one}}).outcome == Outcome::ok);
  CHECK(world.server.done("a") == 1);
  CHECK(world.outcomes("1") == "applied");
  CHECK(world.report.lock_timeout_retries == 4);
  const auto told = world.observer.all<core::StepRetry>();
  REQUIRE(told.size() == 4);
  Duration base = 100ms;
  for (std::size_t i = 0; i < told.size(); ++i) {
    CHECK(told[i].attempt == i + 1);
    CHECK(told[i].reason == "no (SQLSTATE 55P03)");
    CHECK(told[i].wait == world.clock.sleeps[i]);
    CHECK(told[i].wait >= base / 2);
    CHECK(told[i].wait <= base);
    base *= 2;
  }
}

TEST_CASE("a lock timeout that does not go away ends within the budget with exit code 32") {
  for (const Duration budget : {0ms, 10ms, 1000ms, 60'000ms, 600'000ms}) {
    World world;
    Migration one = make_migration("1", {"a"});
    world.server.refusals["a"] = {.failure = refusal(Outcome::lock_timeout)};
    world.limits.lock_retry_budget = budget;
    const util::SteadyTime begin = world.clock.now();
    const util::ErrorInfo error = world.apply({{.migration = &one}});
    CAPTURE(budget.count());
    CHECK(error.outcome == Outcome::lock_timeout);
    const std::size_t tries = world.server.attempts.size();
    CHECK(contains(error.hint, "Gave up after " + std::to_string(tries) + (tries == 1 ? " attempt." : " attempts.")));
    CHECK(tries == world.report.lock_timeout_retries + 1);
    CHECK(world.clock.now() - begin <= budget);
    CHECK((tries == 1) == (budget <= 10ms));
    if (budget >= 60s) {  // the longest wait is 15 s: it does not give up much earlier than it must
      CHECK(world.clock.now() - begin >= budget - 15s);
    }
    CHECK(world.outcomes("1") == "failed");
  }
}

TEST_CASE("no retry outlasts the deadline") {
  World world;
  Migration one = make_migration("1", {"a"});
  world.server.refusals["a"] = {.failure = refusal(Outcome::lock_timeout)};
  world.deadline = util::Deadline::after(world.clock, 2s);
  const util::SteadyTime begin = world.clock.now();
  CHECK(world.apply({{.migration = &one}}).outcome == Outcome::lock_timeout);
  CHECK(world.clock.now() - begin <= 2s);
}

TEST_CASE("an expectation that does not hold rolls the migration back") {
  World world;
  Migration one = make_migration("1", {"a"});
  one.expect = {holds(true), holds(false)};
  const util::ErrorInfo error = world.apply({{.migration = &one}});
  CHECK(error.outcome == Outcome::verification);
  CHECK(error.message == "the database is not as the migration expects");
  CHECK(error.detail == "  sql \"bad\": expected true, found false");
  CHECK(error.hint == "The migration was rolled back; nothing was changed.");
  CHECK(util::to_string(*error.where) == "migrations/1_m1/migration.yaml:3");
  CHECK(world.server.done("a") == 0);
  CHECK(world.outcomes("1") == "failed");
}

TEST_CASE("several expectations that do not hold are all listed") {
  const util::ErrorInfo error =
      core::describe_broken({{.expectation = holds(false), .version = "1", .expected = "x", .found = "y"},
                             {.expectation = holds(true), .version = "1", .expected = "z", .found = "absent"}},
                            "A hint.");
  CHECK(error.message == "the database is not as expected in 2 places");
  CHECK(error.detail == "  sql \"bad\": expected x, found y\n  sql \"good\": expected z, found absent");
  CHECK(error.hint == "A hint.");
}

TEST_CASE("a file without a transaction runs statement by statement, with its progress") {
  World world;
  Migration one = make_migration("1", {"a", "CREATE INDEX CONCURRENTLY i", "c"}, false);
  CHECK(world.apply({{.migration = &one}}).outcome == Outcome::ok);
  CHECK(world.server.effects == std::map<std::string, int>{{"a", 1}, {"CREATE INDEX CONCURRENTLY i", 1}, {"c", 1}});
  REQUIRE(world.server.rows.size() == 1);
  CHECK(world.server.rows[0].outcome == AttemptOutcome::applied);
  CHECK(world.server.rows[0].statements_done == 3);
  CHECK(world.server.rows[0].prefix_checksum == one.up.statements[2].prefix_checksum);
  CHECK(world.server.attempts.empty());
  CHECK_FALSE(world.observer.all<core::StepStarted>()[0].transactional);
  CHECK(world.observer.all<core::StatementFinished>().size() == 3);
}

TEST_CASE("a file without a transaction that fails is 12 while nothing of it is done, then 13") {
  const std::vector<std::string> statements = {"a", "b", "c"};
  for (std::size_t failing = 0; failing < 3; ++failing) {
    World world;
    Migration one = make_migration("1", statements, false);
    world.server.refusals[statements[failing]] = {.failure = refusal()};
    const util::ErrorInfo error = world.apply({{.migration = &one}});
    CAPTURE(failing);
    CHECK(error.outcome == (failing == 0 ? Outcome::sql : Outcome::half_done));
    CHECK(world.outcomes("1") == (failing == 0 ? "failed" : "started"));
    CHECK(world.server.rows[0].statements_done == failing);
    CHECK(contains(world.server.rows[0].error, "no (SQLSTATE 42703)"));
    if (failing == 0) {
      CHECK(contains(error.hint, "No statement of this file is done; nothing was changed."));
    } else {
      CHECK(contains(error.hint, "Statements 1 to " + std::to_string(failing) + " of 3 are done and committed."));
      CHECK(contains(error.hint, "lockkeeper baseline --to 1"));
    }
    CHECK(world.report.applied.empty());
  }
}

TEST_CASE("a lock timeout half way stays retryable: the rerun goes on there") {
  World world;
  Migration one = make_migration("1", {"a", "b"}, false);
  world.server.refusals["b"] = {.failure = refusal(Outcome::lock_timeout)};
  world.limits.lock_retry_budget = 1s;
  CHECK(world.apply({{.migration = &one}}).outcome == Outcome::lock_timeout);
  CHECK(world.outcomes("1") == "started");
  CHECK(world.server.done("a") == 1);  // the retries repeat the statement, not the file
}

TEST_CASE("a half-done file is gone on with after its last done statement") {
  for (std::size_t done = 0; done <= 3; ++done) {
    World world;
    Migration one = make_migration("1", {"a", "b", "c"}, false);
    const core::HistoryRow row = make_half_done(one, done);
    CHECK(world.apply({{.migration = &one, .resume = &row}}).outcome == Outcome::ok);
    CAPTURE(done);
    CHECK(world.server.done("a") == (done < 1 ? 1 : 0));
    CHECK(world.server.done("b") == (done < 2 ? 1 : 0));
    CHECK(world.server.done("c") == (done < 3 ? 1 : 0));
    CHECK(world.observer.all<core::StepStarted>()[0].first_statement == done);
    CHECK(world.server.rows.back().outcome == AttemptOutcome::applied);
    CHECK(world.server.rows.back().statements_done == 3);
  }
}

TEST_CASE("a file without a transaction whose expectation does not hold is done, but not applied") {
  World world;
  Migration one = make_migration("1", {"a"}, false);
  one.expect = {holds(false)};
  const util::ErrorInfo error = world.apply({{.migration = &one}});
  CHECK(error.outcome == Outcome::verification);
  CHECK(contains(error.hint, "run `lockkeeper up` again, which only checks"));
  CHECK(world.outcomes("1") == "started");
  CHECK(world.server.rows[0].statements_done == 1);

  one.expect = {holds(true)};
  const core::HistoryRow row = world.server.rows[0];
  CHECK(world.apply({{.migration = &one, .resume = &row}}).outcome == Outcome::ok);
  CHECK(world.server.done("a") == 1);
}

TEST_CASE("an interruption is recorded, with how far it got") {
  for (const Outcome outcome : {Outcome::terminated, Outcome::interrupted, Outcome::deadline}) {
    for (const bool transactional : {true, false}) {
      World world;
      Migration one = make_migration("1", {"a", "b"}, transactional);
      // In a transaction the first call; else record_started and the first statement go well.
      world.server.fault = {.call = world.server.calls + (transactional ? 1 : 3), .outcome = outcome};
      const util::ErrorInfo error = world.apply({{.migration = &one}});
      CAPTURE(transactional);
      CHECK(error.outcome == outcome);
      CHECK(world.outcomes("1") == (transactional ? "failed" : "started"));
      CHECK(contains(world.server.rows.back().error, "the fault of this test"));
      CHECK(world.server.rows.back().statements_done == (transactional ? 0 : 1));
      CHECK(world.observer.all<core::StepFailed>().size() == 1);
      CHECK(world.report.applied.empty());
    }
  }
}

TEST_CASE("a first statement that may be done although a stop request came is not recorded as undone") {
  World world;
  Migration one = make_migration("1", {"CREATE INDEX CONCURRENTLY i", "b"}, false);
  // try_lock, record_started, run_statement: the index is built, and the signal hides the answer.
  world.server.fault = {.call = 3, .moment = test::Moment::between, .outcome = Outcome::terminated};
  CHECK(world.apply({{.migration = &one}}).outcome == Outcome::terminated);
  REQUIRE(world.server.done("CREATE INDEX CONCURRENTLY i") == 1);
  CHECK(world.outcomes("1") == "started");

  const core::HistoryRow row = world.server.rows[0];
  CHECK(world.apply({{.migration = &one, .resume = &row}}).outcome == Outcome::ok);
  CHECK(world.server.done("CREATE INDEX CONCURRENTLY i") == 1);
  CHECK(world.server.done("b") == 1);
}

// ---- roll_back

TEST_CASE("a roll-back runs the down script and records it") {
  World world;
  Migration one = make_migration("1", {"a"});
  one.down = make_script("migrations/1_m1/down.sql", {"undo a"});
  one.expect = {holds(false)};  // what up.sql promises is not asked of down.sql
  core::Run run = world.run();
  CHECK(error_of([&] { core::roll_back(run, one, nullptr, false); }).outcome == Outcome::ok);
  CHECK(world.server.effects == std::map<std::string, int>{{"undo a", 1}});
  REQUIRE(world.server.rows.size() == 1);
  CHECK(world.server.rows[0].direction == Direction::down);
  CHECK(world.server.rows[0].outcome == AttemptOutcome::applied);
  CHECK(world.server.rows[0].checksum == one.down->checksum);
  CHECK(world.report.applied[0].direction == "down");
  CHECK(world.server.attempts[0].guard_data_loss);
}

TEST_CASE("a roll-back that would lose data is refused with the counts, and is no attempt") {
  for (const bool transactional : {true, false}) {
    World world;
    world.server.losses = {{.what = "Booking.calendlyEventId (values that are not null)", .count = 17},
                           {.what = "line 3: DROP SCHEMA app CASCADE", .count = std::nullopt}};
    Migration one = make_migration("1", {"a"}, transactional);
    one.down = make_script("migrations/1_m1/down.sql", transactional ? std::vector<std::string>{"undo a"}
                                                                     : std::vector<std::string>{"undo a", "VACUUM"});
    core::Run run = world.run();
    const util::ErrorInfo error = error_of([&] { core::roll_back(run, one, nullptr, false); });
    CAPTURE(transactional);
    CHECK(error.outcome == Outcome::data_loss);
    CHECK(error.message == "rolling back 1_m1 would destroy data");
    CHECK(error.detail ==
          "  Booking.calendlyEventId (values that are not null): 17\n"
          "  line 3: DROP SCHEMA app CASCADE: cannot be counted");
    CHECK(contains(error.hint, "--allow-data-loss"));
    CHECK(world.server.effects.empty());
    CHECK(world.server.rows.empty());

    CHECK(error_of([&] { core::roll_back(run, one, nullptr, true); }).outcome == Outcome::ok);
    CHECK(world.server.done("undo a") == 1);
  }
}

TEST_CASE("a down script whose statements can run in a transaction does, whatever the up script needs") {
  World world;
  Migration one = make_migration("1", {"CREATE INDEX CONCURRENTLY i"}, false);
  one.down = make_script("down.sql", {"DROP INDEX i"});
  core::Run run = world.run();
  core::roll_back(run, one, nullptr, false);
  CHECK(world.server.attempts.size() == 1);
  CHECK(world.observer.all<core::StepStarted>()[0].transactional);
}

TEST_CASE("a half-done roll-back is gone on with, after a look at what it would still destroy") {
  World world;
  world.server.losses = {{.what = "t (rows)", .count = 1}};
  Migration one = make_migration("1", {"a"}, false);
  one.down = make_script("down.sql", {"undo a", "VACUUM", "undo b"});
  core::HistoryRow row = test::make_row(one, Direction::down, AttemptOutcome::started);
  row.statements_done = 1;
  core::Run run = world.run();
  CHECK(error_of([&] { core::roll_back(run, one, &row, false); }).outcome == Outcome::data_loss);
  CHECK(world.server.effects.empty());
  CHECK(error_of([&] { core::roll_back(run, one, &row, true); }).outcome == Outcome::ok);
  CHECK(world.server.effects == std::map<std::string, int>{{"VACUUM", 1}, {"undo b", 1}});
}
