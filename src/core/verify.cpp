#include "core/verify.hpp"

#include <algorithm>

namespace lockkeeper::core {

namespace {

/// True when \p later says something about what \p earlier is about.
bool supersedes(const Expectation& later, const Expectation& earlier) {
  if (later.kind == earlier.kind && later.object == earlier.object && later.member == earlier.member) {
    return true;
  }
  const bool table_gone = later.kind == Expectation::Kind::table && later.absent;
  const bool on_that_table = earlier.object == later.object && (earlier.kind == Expectation::Kind::column ||
                                                                earlier.kind == Expectation::Kind::constraint);
  const bool index_of_it = earlier.kind == Expectation::Kind::index && earlier.table == later.object;
  return table_gone && (on_that_table || index_of_it);
}

}  // namespace

std::vector<InForce> expectations_in_force(std::span<const Migration> files, const History& history) {
  const States states = states_of(history);
  std::vector<InForce> in_force;
  for (const Migration& migration : files) {
    const auto state = states.find(migration.version);
    if (state == states.end() || state->second.state != State::applied) {
      continue;
    }
    for (const Expectation& expectation : migration.expect) {
      std::erase_if(in_force, [&](const InForce& e) { return supersedes(expectation, e.expectation); });
      in_force.push_back({.expectation = expectation, .version = migration.version});
    }
  }
  // `sql: {absent: true}` only ends an earlier statement; there is nothing to look at.
  std::erase_if(in_force,
                [](const InForce& e) { return e.expectation.kind == Expectation::Kind::sql && e.expectation.absent; });
  return in_force;
}

}  // namespace lockkeeper::core
