#include "core/history.hpp"

namespace lockkeeper::core {

namespace {

State state_after(const HistoryRow& row) {
  if (row.outcome == AttemptOutcome::started) {
    return State::half_done;
  }
  return row.direction == Direction::down ? State::pending : State::applied;
}

}  // namespace

std::string_view to_string(Direction direction) {
  switch (direction) {
    case Direction::up: return "up";
    case Direction::down: return "down";
    case Direction::baseline: return "baseline";
    case Direction::repair: return "repair";
  }
  return "";
}

std::string_view to_string(AttemptOutcome outcome) {
  switch (outcome) {
    case AttemptOutcome::started: return "started";
    case AttemptOutcome::applied: return "applied";
    case AttemptOutcome::failed: return "failed";
  }
  return "";
}

std::string_view to_string(State state) {
  switch (state) {
    case State::pending: return "pending";
    case State::applied: return "applied";
    case State::half_done: return "half done";
  }
  return "";
}

States states_of(const History& history) {
  States states;
  for (const HistoryRow& row : history.rows) {
    if (row.outcome != AttemptOutcome::failed) {
      // Rows mostly come in the order of versions: at the end first.
      states.insert_or_assign(states.end(), row.version, VersionState{.state = state_after(row), .row = &row});
    }
  }
  return states;
}

Version newest_applied(const States& states) {
  Version newest;
  for (const auto& [version, state] : states) {
    if (state.state == State::applied) {
      newest = version;
    }
  }
  return newest;
}

}  // namespace lockkeeper::core
