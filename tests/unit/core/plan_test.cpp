#include "core/plan.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/migrations.hpp"

using namespace lockkeeper;
using core::AttemptOutcome;
using core::Direction;
using core::Migration;
using core::OnAhead;
using core::OnMissing;
using core::OnOutOfOrder;
using core::Phase;
using core::PhaseFilter;
using core::Plan;
using core::Policy;
using core::State;
using test::contains;
using test::make_half_done;
using test::make_history;
using test::make_migration;
using test::make_row;
using util::Outcome;

namespace {

std::vector<Migration> make_files(const std::vector<std::string>& versions) {
  std::vector<Migration> files;
  for (const std::string& version : versions) {
    files.push_back(make_migration(version, {"first of " + version, "second of " + version}));
  }
  return files;
}

std::vector<std::string> steps(const Plan& plan) {
  std::vector<std::string> versions;
  for (const core::Step& step : plan.steps) {
    versions.push_back(step.migration->version.str());
  }
  return versions;
}

using Versions = std::vector<std::string>;

}  // namespace

TEST_CASE("a history that the server found to be the files' leaves nothing to do and nothing to say") {
  std::vector<Migration> files = make_files({"1", "2", "10"});
  const core::History same{.exists = true, .layout = 1, .rows = {}, .matches_files = true};
  const Plan plan = make_plan(files, same, {});
  CHECK(plan.steps.empty());
  CHECK(plan.findings.empty());
  CHECK(plan.known == 3);
  CHECK(plan.applied == 3);
  CHECK(plan.newest.str() == "10");
}

TEST_CASE("everything is pending on a new database, in order") {
  std::vector<Migration> files = make_files({"1", "2", "10"});
  const core::History none;
  const Plan plan = make_plan(files, none, {});
  CHECK(steps(plan) == Versions{"1", "2", "10"});
  CHECK(plan.steps[0].migration == files.data());  // not a copy: it is parsed later
  CHECK(plan.steps[0].resume == nullptr);
  CHECK(plan.findings.empty());
  CHECK(plan.first_error() == nullptr);
  CHECK(plan.known == 3);
  CHECK(plan.applied == 0);
  CHECK_FALSE(plan.ahead);
  CHECK(plan.newest.empty());
}

TEST_CASE("what is applied is not done again, however it came to be applied") {
  std::vector<Migration> files = make_files({"1", "2", "3", "4"});
  const core::History history = make_history({make_row(files[0]), make_row(files[1], Direction::baseline),
                                              make_row(files[2]), make_row(files[2], Direction::repair)});
  const Plan plan = make_plan(files, history, {});
  CHECK(steps(plan) == Versions{"4"});
  CHECK(plan.findings.empty());
  CHECK(plan.applied == 3);
  CHECK(plan.newest.str() == "3");
}

TEST_CASE("what was rolled back is pending again") {
  std::vector<Migration> files = make_files({"1", "2"});
  const core::History history =
      make_history({make_row(files[0]), make_row(files[1]), make_row(files[1], Direction::down)});
  CHECK(steps(make_plan(files, history, {})) == Versions{"2"});
}

TEST_CASE("a database ahead of the files is fine, told or refused, as the policy says") {
  std::vector<Migration> known = make_files({"1", "2", "3"});
  std::vector<Migration> files = make_files({"1"});
  const core::History history = make_history({make_row(known[0]), make_row(known[1]), make_row(known[2])});
  for (const OnAhead policy : {OnAhead::ok, OnAhead::warn, OnAhead::fail}) {
    const Plan plan = make_plan(files, history, {.on_ahead = policy});
    CHECK(plan.ahead);
    CHECK(plan.steps.empty());
    CHECK(plan.newest.str() == "3");
    if (policy == OnAhead::ok) {
      CHECK(plan.findings.empty());
      continue;
    }
    REQUIRE(plan.findings.size() == 1);  // once, not for each version
    CHECK(plan.findings[0].is_error == (policy == OnAhead::fail));
    CHECK(plan.findings[0].info.outcome == Outcome::history_conflict);
    CHECK(plan.findings[0].info.message ==
          "the database is ahead of the files: 2_m2 is applied, the newest file is 1_m1");
    CHECK((plan.first_error() != nullptr) == (policy == OnAhead::fail));
  }
}

TEST_CASE("an applied version without a file that is not the newest is missing, unless that is ignored") {
  std::vector<Migration> known = make_files({"1", "2", "3"});
  std::vector<Migration> files = make_files({"1", "3"});
  const core::History history = make_history({make_row(known[0]), make_row(known[1]), make_row(known[2])});
  const Plan refused = make_plan(files, history, {.on_missing = OnMissing::fail});
  REQUIRE(refused.first_error() != nullptr);
  CHECK(refused.first_error()->info.outcome == Outcome::history_conflict);
  CHECK(refused.first_error()->info.message == "2_m2 is applied, but its files are missing");
  CHECK(refused.first_error()->version.str() == "2");
  CHECK_FALSE(refused.ahead);
  CHECK(make_plan(files, history, {.on_missing = OnMissing::ignore}).findings.empty());
}

TEST_CASE("a version that was rolled back may lose its file") {
  std::vector<Migration> known = make_files({"1", "2", "3"});
  std::vector<Migration> files = make_files({"1", "3"});
  const core::History history =
      make_history({make_row(known[0]), make_row(known[1]), make_row(known[1], Direction::down), make_row(known[2])});
  CHECK(make_plan(files, history, {}).findings.empty());
}

TEST_CASE("a pending migration older than an applied one is refused, or applied where it stands") {
  std::vector<Migration> files = make_files({"1", "2", "3", "4"});
  const core::History history = make_history({make_row(files[0]), make_row(files[2])});
  const Plan refused = make_plan(files, history, {.on_out_of_order = OnOutOfOrder::fail});
  REQUIRE(refused.findings.size() == 1);
  CHECK(refused.findings[0].is_error);
  CHECK(refused.findings[0].info.outcome == Outcome::history_conflict);
  CHECK(refused.findings[0].info.message == "2_m2 is pending, but the newer 3 is applied already");
  CHECK(refused.out_of_order == 1);
  CHECK(steps(refused) == Versions{"4"});

  const Plan applied = make_plan(files, history, {.on_out_of_order = OnOutOfOrder::apply});
  CHECK(applied.findings.empty());
  CHECK(applied.out_of_order == 0);
  CHECK(steps(applied) == Versions{"2", "4"});
}

TEST_CASE("a file that was changed after it was applied is drift, not a pending migration") {
  std::vector<Migration> files = make_files({"1", "2"});
  core::History history = make_history({make_row(files[0]), make_row(files[1])});
  history.rows[0].checksum = "what it was";
  const Plan plan = make_plan(files, history, {});
  CHECK(plan.steps.empty());
  CHECK(plan.checksum_mismatches == 1);
  REQUIRE(plan.first_error() != nullptr);
  const util::ErrorInfo& info = plan.first_error()->info;
  CHECK(info.outcome == Outcome::checksum);
  CHECK(util::to_string(*info.where) == "migrations/1_m1/up.sql");
  CHECK(contains(info.detail, "what it was"));
  CHECK(contains(info.detail, files[0].up.checksum));
  CHECK(contains(info.hint, "lockkeeper repair 1 --accept-checksum"));
}

TEST_CASE("a repaired checksum is no drift, and a file changed before it is applied again is none either") {
  std::vector<Migration> files = make_files({"1", "2", "3"});
  core::History history = make_history({make_row(files[0]), make_row(files[0], Direction::repair), make_row(files[1]),
                                        make_row(files[1], Direction::down)});
  history.rows[0].checksum = "old";
  history.rows[2].checksum = "old";
  const Plan plan = make_plan(files, history, {});
  CHECK(plan.findings.empty());
  CHECK(steps(plan) == Versions{"2", "3"});
}

TEST_CASE("findings come in the order in which they stop a run: 14, 15, 13") {
  std::vector<Migration> files = make_files({"2", "3", "5"});
  std::vector<Migration> gone = make_files({"1", "4"});
  core::History history =
      make_history({make_row(gone[0]), make_row(files[1]), make_half_done(gone[1], 1), make_row(files[2])});
  history.rows[1].checksum = "old";
  const Plan plan = make_plan(files, history, {});
  std::vector<Outcome> outcomes;
  for (const core::Finding& finding : plan.findings) {
    outcomes.push_back(finding.info.outcome);
  }
  CHECK(outcomes.front() == Outcome::checksum);
  REQUIRE(plan.first_error() != nullptr);
  CHECK(plan.first_error()->info.outcome == Outcome::checksum);
  CHECK(plan.half_done == 1);
}

TEST_CASE("a half-done migration with its file is gone on with") {
  std::vector<Migration> files = make_files({"1", "2"});
  files[0].transactional = false;
  const core::History history = make_history({make_half_done(files[0], 1)});
  Plan plan = make_plan(files, history, {});
  CHECK(plan.findings.empty());
  CHECK(steps(plan) == Versions{"1", "2"});
  CHECK(plan.steps[0].resume == history.rows.data());
  CHECK(plan.steps[1].resume == nullptr);
  CHECK(plan.half_done == 1);
  CHECK(plan.applied == 0);
  check_resume(plan);
  CHECK(plan.findings.empty());
}

TEST_CASE("a half-done migration older than an applied one is gone on with all the same") {
  std::vector<Migration> files = make_files({"1", "2"});
  const core::History history = make_history({make_half_done(files[0], 1), make_row(files[1])});
  const Plan plan = make_plan(files, history, {.on_out_of_order = OnOutOfOrder::fail});
  CHECK(plan.findings.empty());
  CHECK(steps(plan) == Versions{"1"});
}

TEST_CASE("a half-done migration without its file needs a person") {
  std::vector<Migration> known = make_files({"1", "2"});
  for (const Versions& left : {Versions{"1"}, Versions{"2"}, Versions{}}) {
    std::vector<Migration> files = make_files(left);
    std::vector<core::HistoryRow> rows;
    const std::size_t gone = left == Versions{"2"} ? 0 : 1;
    rows.push_back(make_half_done(known[gone], 1));
    const core::History history = make_history(rows);
    const Plan plan = make_plan(files, history, {});
    REQUIRE(plan.first_error() != nullptr);
    CHECK(plan.first_error()->info.outcome == Outcome::half_done);
    CHECK(contains(plan.first_error()->info.message, "1 of 2 statements, up"));
    CHECK_FALSE(plan.ahead);
  }
}

TEST_CASE("a half-done roll-back stops `up`: only `down` goes on with it") {
  std::vector<Migration> files = make_files({"1"});
  core::HistoryRow row = make_row(files[0], Direction::down, AttemptOutcome::started);
  row.statements_done = 1;
  const core::History history = make_history({make_row(files[0]), row});
  const Plan plan = make_plan(files, history, {});
  CHECK(plan.steps.empty());
  REQUIRE(plan.first_error() != nullptr);
  CHECK(plan.first_error()->info.outcome == Outcome::half_done);
  CHECK(contains(plan.first_error()->info.message, "`lockkeeper down` goes on with it"));
}

TEST_CASE("a half-done migration is only gone on with when what is done is still in the file") {
  const Migration before = make_migration("1", {"a", "b", "c"}, false);
  struct Case {
    const char* what;
    std::vector<std::string> statements;
    bool transactional;
    std::size_t done;
    std::string message;  ///< empty: goes on
  };
  const std::vector<Case> cases = {
      {"unchanged", {"a", "b", "c"}, false, 2, ""},
      {"nothing was done", {"x", "y"}, false, 0, ""},
      {"nothing was done, now in a transaction", {"x", "y"}, true, 0, ""},
      {"the rest was changed", {"a", "b", "corrected"}, false, 2, ""},
      {"the rest was removed", {"a", "b"}, false, 2, ""},
      {"something was added", {"a", "b", "c", "d"}, false, 2, ""},
      {"the last done one was changed",
       {"a", "B", "c"},
       false,
       2,
       "the statements that are done were changed in the file"},
      {"the first was changed", {"A", "b", "c"}, false, 2, "the statements that are done were changed in the file"},
      {"they changed places", {"b", "a", "c"}, false, 2, "the statements that are done were changed in the file"},
      {"one was put before", {"x", "a", "b", "c"}, false, 2, "the statements that are done were changed in the file"},
      {"a done one was lost", {"a"}, false, 2, "the file has only 1 statements"},
      {"all done, one was lost", {"a", "b"}, false, 3, "the file has only 2 statements"},
      {"now in one transaction",
       {"a", "b", "c"},
       true,
       2,
       "the file now runs in one transaction, which would repeat what is done"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.what);
    std::vector<Migration> files = {make_migration("1", test.statements, test.transactional)};
    const core::History history = make_history({make_half_done(before, test.done)});
    Plan plan = make_plan(files, history, {});
    REQUIRE(plan.findings.empty());
    check_resume(plan);
    if (test.message.empty()) {
      CHECK(plan.findings.empty());
      continue;
    }
    REQUIRE(plan.findings.size() == 1);
    CHECK(plan.findings[0].is_error);
    CHECK(plan.findings[0].info.outcome == Outcome::half_done);
    CHECK(contains(plan.findings[0].info.message, test.message));
    CHECK(util::to_string(*plan.findings[0].info.where) == "migrations/1_m1/up.sql");
  }
}

TEST_CASE("the phase selects the steps, and a migration of the other phase that comes earlier stops them") {
  // Every file is pre or post; all combinations of three, after one that is applied.
  for (unsigned phases = 0; phases < 8; ++phases) {
    for (const PhaseFilter filter : {PhaseFilter::pre, PhaseFilter::post, PhaseFilter::all}) {
      std::vector<Migration> files = make_files({"1", "2", "3", "0"});
      Versions expected;
      bool passed_over = false;
      bool blocked = false;
      for (unsigned i = 0; i < 3; ++i) {
        const bool post = ((phases >> i) & 1U) != 0;
        files[i].phase = post ? Phase::post : Phase::pre;
        const bool wanted = filter == PhaseFilter::all || post == (filter == PhaseFilter::post);
        if (wanted && passed_over) {
          blocked = true;
        }
        if (wanted && !blocked) {
          expected.push_back(files[i].version.str());
        }
        passed_over = passed_over || !wanted;
      }
      const core::History history = make_history({make_row(files[3])});
      std::rotate(files.begin(), files.begin() + 3, files.end());
      Plan plan = make_plan(files, history, {});
      select_phase(plan, filter);
      CAPTURE(phases);
      CAPTURE(static_cast<int>(filter));
      CHECK(steps(plan) == expected);
      REQUIRE(plan.findings.size() == (blocked ? 1 : 0));
      if (blocked) {
        CHECK(plan.findings[0].is_error);
        CHECK(plan.findings[0].info.outcome == Outcome::history_conflict);
      }
    }
  }
}

TEST_CASE("a new database takes each post along that stands before the last pre, also when the run is cut") {
  constexpr unsigned k_count = 4;
  for (unsigned phases = 0; phases < (1U << k_count); ++phases) {
    std::vector<Migration> files = make_files({"1", "2", "3", "4"});
    std::size_t last_pre = 0;  // how many there are up to the last pre
    for (unsigned i = 0; i < k_count; ++i) {
      files[i].phase = ((phases >> i) & 1U) != 0 ? Phase::post : Phase::pre;
      last_pre = files[i].phase == Phase::pre ? i + 1 : last_pre;
    }
    const Versions all{"1", "2", "3", "4"};
    for (std::size_t cut = 0; cut <= last_pre; ++cut) {
      CAPTURE(phases);
      CAPTURE(cut);
      const core::History none;
      Plan plan = make_plan(files, none, {});
      select_phase(plan, PhaseFilter::pre);
      REQUIRE(steps(plan) == Versions(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(last_pre)));
      std::vector<core::HistoryRow> rows;
      for (std::size_t i = 0; i < cut; ++i) {
        rows.push_back(make_row(files[i]));
        rows.back().new_until = plan.steps[i].new_until;
      }
      const core::History history = make_history(std::move(rows));
      Plan rest = make_plan(files, history, {});
      select_phase(rest, PhaseFilter::pre);
      CHECK(rest.findings.empty());
      CHECK(steps(rest) == Versions(all.begin() + static_cast<std::ptrdiff_t>(cut),
                                    all.begin() + static_cast<std::ptrdiff_t>(last_pre)));
    }
  }
}

TEST_CASE("a database is new only once: the next release's pre waits for the post before it") {
  std::vector<Migration> first = make_files({"1", "2", "3", "4"});
  first[1].phase = Phase::post;
  first[3].phase = Phase::post;
  const core::History none;
  Plan plan = make_plan(first, none, {});
  select_phase(plan, PhaseFilter::pre);
  REQUIRE(steps(plan) == Versions{"1", "2", "3"});
  std::vector<core::HistoryRow> rows;
  for (std::size_t i = 0; i < 3; ++i) {
    rows.push_back(make_row(first[i]));
    rows.back().new_until = plan.steps[i].new_until;
  }
  const core::History history = make_history(std::move(rows));
  std::vector<Migration> next = make_files({"1", "2", "3", "4", "5"});
  next[1].phase = Phase::post;
  next[3].phase = Phase::post;
  plan = make_plan(next, history, {});
  select_phase(plan, PhaseFilter::pre);
  REQUIRE(plan.first_error() != nullptr);
  CHECK(plan.first_error()->info.message == "5_m5 (phase pre) cannot run before 4_m4 (phase post) has");
}

TEST_CASE("the message of a phase conflict names both migrations and what to run first") {
  std::vector<Migration> applied = make_files({"0"});
  std::vector<Migration> files = make_files({"0", "1", "2"});
  const core::History history = make_history({make_row(applied[0])});
  files[1].phase = Phase::post;
  Plan plan = make_plan(files, history, {});
  select_phase(plan, PhaseFilter::pre);
  REQUIRE(plan.first_error() != nullptr);
  CHECK(plan.first_error()->info.message == "2_m2 (phase pre) cannot run before 1_m1 (phase post) has");
  CHECK(contains(plan.first_error()->info.hint, "lockkeeper up --phase post"));

  files[1].phase = Phase::pre;
  files[2].phase = Phase::post;
  plan = make_plan(files, history, {});
  select_phase(plan, PhaseFilter::post);
  REQUIRE(plan.first_error() != nullptr);
  CHECK(plan.first_error()->info.message == "2_m2 (phase post) cannot run before 1_m1 (phase pre) has");
  CHECK(contains(plan.first_error()->info.hint, "lockkeeper up --phase pre"));
}

TEST_CASE("a post migration that has run does not stop a later pre") {
  std::vector<Migration> files = make_files({"1", "2"});
  files[0].phase = Phase::post;
  const core::History history = make_history({make_row(files[0])});
  Plan plan = make_plan(files, history, {});
  select_phase(plan, PhaseFilter::pre);
  CHECK(plan.findings.empty());
  CHECK(steps(plan) == Versions{"2"});
}

TEST_CASE("the status joins files and history, in order of version") {
  std::vector<Migration> known = make_files({"1", "2", "3", "4", "5", "6"});
  std::vector<Migration> files = make_files({"1", "2", "4", "5", "10"});
  files[3].phase = Phase::post;
  core::History history = make_history({make_row(known[0]), make_half_done(known[1], 1), make_row(known[2]),
                                        make_row(known[5]), make_row(known[4]), make_row(known[4], Direction::down)});
  history.rows[0].checksum = "old";
  const std::vector<core::StatusRow> rows = make_status(files, history);
  struct Expected {
    std::string version;
    State state;
    bool has_file;
    bool changed;
    bool out_of_order;
  };
  const std::vector<Expected> expected = {
      {"1", State::applied, true, true, false},   {"2", State::half_done, true, false, false},
      {"3", State::applied, false, false, false}, {"4", State::pending, true, false, true},
      {"5", State::pending, true, false, true},   {"6", State::applied, false, false, false},
      {"10", State::pending, true, false, false},
  };
  REQUIRE(rows.size() == expected.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(expected[i].version);
    CHECK(rows[i].version.str() == expected[i].version);
    CHECK(rows[i].name == "m" + expected[i].version);
    CHECK(rows[i].state == expected[i].state);
    CHECK(rows[i].has_file == expected[i].has_file);
    CHECK(rows[i].changed == expected[i].changed);
    CHECK(rows[i].out_of_order == expected[i].out_of_order);
    CHECK((rows[i].row == nullptr) == (expected[i].state == State::pending));
  }
  CHECK(rows[4].phase == Phase::post);
}
