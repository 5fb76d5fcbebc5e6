// The anomaly loop (SQLite's, leveldb's): the n-th call of a run fails, for every n, in every way, and the same
// invariants hold each time. Failure points that are added later are in it by themselves.
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "core/apply.hpp"
#include "support/deploy.hpp"
#include "support/errors.hpp"
#include "support/fake_database.hpp"
#include "support/manual_clock.hpp"
#include "support/migrations.hpp"
#include "support/recording_observer.hpp"

using namespace lockkeeper;
using core::AttemptOutcome;
using core::Migration;
using test::FakeDatabase;
using test::FakeServer;
using test::Moment;
using util::Outcome;

namespace {

std::vector<Migration> make_files() {
  return {test::make_migration("1", {"1a", "1b"}),
          test::make_migration("2", {"2a", "CREATE INDEX CONCURRENTLY 2b", "2c"}, false),
          test::make_migration("3", {"CREATE INDEX CONCURRENTLY 3a", "3b"}, false),
          test::make_migration("4", {"4a", "4b"})};
}

/// How a deploy on a new session ended.
struct Ending {
  Outcome outcome = Outcome::ok;
  core::Report report;
};

Ending deploy_once(FakeServer& server, std::vector<Migration>& files) {
  FakeDatabase database(server);
  test::RecordingObserver observer;
  test::ManualClock clock;
  const core::Limits limits;
  Ending ending;
  core::Run run{.database = database,
                .observer = observer,
                .clock = clock,
                .limits = limits,
                .deadline = {},
                .report = ending.report};
  ending.outcome = test::error_of([&] { test::deploy(run, files); }).outcome;
  return ending;
}

int done(const FakeServer& server, const Migration& migration, std::size_t statement) {
  return server.done(std::string(migration.up.statement_text(migration.up.statements[statement])));
}

void check_invariants(const FakeServer& server, const std::vector<Migration>& files, const core::Report& report) {
  const core::History history = server.history();
  const core::States states = core::states_of(history);
  std::vector<std::string> truth;
  for (const Migration& migration : files) {
    CAPTURE(migration.version.str());
    const auto found = states.find(migration.version);
    const core::State state = found == states.end() ? core::State::pending : found->second.state;
    if (state == core::State::applied) {
      truth.push_back(migration.version.str());
    }
    for (std::size_t i = 0; i < migration.up.statements.size(); ++i) {
      CAPTURE(i);
      const int times = done(server, migration, i);
      CHECK(times <= 1);
      if (migration.transactional) {
        CHECK(state != core::State::half_done);
        CHECK(times == (state == core::State::applied ? 1 : 0));  // exactly what was done
      } else {
        const std::size_t claimed = found == states.end() ? 0 : found->second.row->statements_done;
        CHECK((times == 1 || i >= claimed));  // never more than was done
        CHECK((times == 0 || i <= claimed));  // and at most one statement less
        CHECK((times == 0 || state != core::State::pending));
      }
    }
  }
  // What is reported as applied is a prefix of what is.
  const std::vector<std::string> reported = test::versions_of(report);
  REQUIRE(reported.size() <= truth.size());
  CHECK(std::equal(reported.begin(), reported.end(), truth.begin()));
}

}  // namespace

TEST_CASE("whichever call of a deploy fails, the history is true and running again converges") {
  std::size_t runs = 0;
  for (const Outcome outcome : {Outcome::connection_lost, Outcome::terminated, Outcome::deadline}) {
    for (const Moment moment : {Moment::before, Moment::between, Moment::after}) {
      for (std::size_t n = 1;; ++n) {
        CAPTURE(n);
        CAPTURE(static_cast<int>(moment));
        CAPTURE(static_cast<int>(outcome));
        FakeServer server;
        std::vector<Migration> files = make_files();
        server.fault = {.call = n, .moment = moment, .outcome = outcome};
        const Ending first = deploy_once(server, files);
        const bool struck = server.fault_struck;
        server.fault = {};
        ++runs;
        check_invariants(server, files, first.report);
        CHECK(server.lock_owner == nullptr);
        CHECK((first.outcome == Outcome::ok || first.outcome == outcome));

        const Ending second = deploy_once(server, files);
        CHECK(second.outcome == Outcome::ok);
        check_invariants(server, files, {});
        const core::History history = server.history();
        const core::States states = core::states_of(history);
        for (const Migration& migration : files) {
          CHECK(states.at(migration.version).state == core::State::applied);
          for (std::size_t i = 0; i < migration.up.statements.size(); ++i) {
            CHECK(done(server, migration, i) == 1);
          }
        }
        if (!struck) {
          REQUIRE(n > 10);  // there was something to cut
          CHECK(first.outcome == Outcome::ok);
          CHECK(first.report.applied.size() == files.size());
          break;
        }
      }
    }
  }
  CHECK(runs > 100);
}

TEST_CASE("whichever two calls fail, one after the other, running again converges") {
  for (const Moment moment : {Moment::before, Moment::between, Moment::after}) {
    for (std::size_t first = 1; first <= 16; ++first) {
      for (std::size_t second = 1; second <= 16; ++second) {
        CAPTURE(first);
        CAPTURE(second);
        FakeServer server;
        std::vector<Migration> files = make_files();
        for (const std::size_t n : {first, second}) {
          server.fault = {.call = server.calls + n, .moment = moment, .outcome = Outcome::connection_lost};
          const Ending ending = deploy_once(server, files);
          check_invariants(server, files, {});
        }
        server.fault = {};
        CHECK(deploy_once(server, files).outcome == Outcome::ok);
        for (const Migration& migration : files) {
          for (std::size_t i = 0; i < migration.up.statements.size(); ++i) {
            CHECK(done(server, migration, i) == 1);
          }
        }
      }
    }
  }
}
