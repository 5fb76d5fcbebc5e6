#include "core/history.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/migrations.hpp"

using namespace lockkeeper;
using core::AttemptOutcome;
using core::Direction;
using core::History;
using core::HistoryRow;
using core::State;

namespace {

constexpr std::array k_directions = {Direction::up, Direction::down, Direction::baseline, Direction::repair};
constexpr std::array k_outcomes = {AttemptOutcome::started, AttemptOutcome::applied, AttemptOutcome::failed};

HistoryRow row(const std::string& version, Direction direction, AttemptOutcome outcome) {
  return {.version = core::Version(version), .direction = direction, .outcome = outcome};
}

/// What one row alone says; nullopt: nothing.
std::optional<State> meaning(Direction direction, AttemptOutcome outcome) {
  switch (outcome) {
    case AttemptOutcome::failed: return std::nullopt;
    case AttemptOutcome::started: return State::half_done;
    case AttemptOutcome::applied: return direction == Direction::down ? State::pending : State::applied;
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("the newest row that is not failed decides a version's state") {
  for (const Direction d1 : k_directions) {
    for (const AttemptOutcome o1 : k_outcomes) {
      for (const Direction d2 : k_directions) {
        for (const AttemptOutcome o2 : k_outcomes) {
          CAPTURE(to_string(d1));
          CAPTURE(to_string(o1));
          CAPTURE(to_string(d2));
          CAPTURE(to_string(o2));
          const History history = test::make_history(
              {row("1", d1, o1), row("2", Direction::up, AttemptOutcome::applied), row("1", d2, o2)});
          const core::States states = core::states_of(history);
          const bool second_decides = meaning(d2, o2).has_value();
          const std::optional<State> expected = second_decides ? meaning(d2, o2) : meaning(d1, o1);
          const auto found = states.find(core::Version("1"));
          REQUIRE((found != states.end()) == expected.has_value());
          if (expected) {
            CHECK(found->second.state == *expected);
            CHECK(found->second.row == &history.rows[second_decides ? 2 : 0]);
          }
          CHECK(states.at(core::Version("2")).state == State::applied);
        }
      }
    }
  }
}

TEST_CASE("each direction and outcome on its own means what the contract says") {
  const auto state = [](Direction direction, AttemptOutcome outcome) {
    const History history = test::make_history({row("1", direction, outcome)});
    const core::States states = core::states_of(history);
    return states.empty() ? "none" : std::string(to_string(states.begin()->second.state));
  };
  CHECK(state(Direction::up, AttemptOutcome::applied) == "applied");
  CHECK(state(Direction::baseline, AttemptOutcome::applied) == "applied");
  CHECK(state(Direction::repair, AttemptOutcome::applied) == "applied");
  CHECK(state(Direction::down, AttemptOutcome::applied) == "pending");
  CHECK(state(Direction::up, AttemptOutcome::started) == "half done");
  CHECK(state(Direction::down, AttemptOutcome::started) == "half done");
  CHECK(state(Direction::up, AttemptOutcome::failed) == "none");
  CHECK(state(Direction::down, AttemptOutcome::failed) == "none");
}

TEST_CASE("rows of one version written in two ways belong together") {
  const History history = test::make_history(
      {row("007", Direction::up, AttemptOutcome::applied), row("7", Direction::down, AttemptOutcome::applied)});
  const core::States states = core::states_of(history);
  REQUIRE(states.size() == 1);
  CHECK(states.begin()->second.state == State::pending);
}

TEST_CASE("the newest applied version is the highest number, not the last row") {
  CHECK(core::newest_applied({}).empty());
  const History history = test::make_history({
      row("10", Direction::up, AttemptOutcome::applied),
      row("9", Direction::baseline, AttemptOutcome::applied),
      row("11", Direction::up, AttemptOutcome::started),
      row("12", Direction::up, AttemptOutcome::applied),
      row("12", Direction::down, AttemptOutcome::applied),
  });
  CHECK(core::newest_applied(core::states_of(history)).str() == "10");
}

TEST_CASE("directions, outcomes and states have the names of the history table") {
  CHECK(to_string(Direction::up) == "up");
  CHECK(to_string(Direction::down) == "down");
  CHECK(to_string(Direction::baseline) == "baseline");
  CHECK(to_string(Direction::repair) == "repair");
  CHECK(to_string(AttemptOutcome::started) == "started");
  CHECK(to_string(AttemptOutcome::applied) == "applied");
  CHECK(to_string(AttemptOutcome::failed) == "failed");
  CHECK(to_string(State::pending) == "pending");
  CHECK(to_string(State::half_done) == "half done");
}
