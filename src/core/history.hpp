/// \file
/// The history as values: one row per attempt, and what the rows say about each version. docs/history.md has the table.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/migration.hpp"

namespace lockkeeper::core {

enum class Direction { up, down, baseline, repair };
enum class AttemptOutcome { started, applied, failed };
std::string_view to_string(Direction direction);
std::string_view to_string(AttemptOutcome outcome);

struct HistoryRow {
  std::int64_t id = 0;
  Version version;
  std::string name;
  Direction direction = Direction::up;
  std::string checksum;
  AttemptOutcome outcome = AttemptOutcome::applied;
  std::size_t statements_done = 0;
  std::size_t statements_total = 0;
  std::string finished_at;  ///< RFC 3339 UTC; empty while it runs
  std::string applied_by;
  std::string prefix_checksum;  ///< of the statements done (details.prefix): proves that a rerun may go on
  /// Prefix checksum of a statement outside a transaction that was sent and may be done (details.running); or empty.
  std::string running_checksum;
  std::string new_until;  ///< version (details.new_until): the run found a new database, see select_phase; or empty
};

struct History {
  bool exists = false;           ///< the table is there
  int layout = 0;                ///< 0 = not known
  std::vector<HistoryRow> rows;  ///< by id; failed attempts left out
  /// The server compared: exactly the files' versions are applied, with their checksums, and nothing is half done. Then
  /// there are no rows here.
  bool matches_files = false;
};

enum class State { pending, applied, half_done };
std::string_view to_string(State state);

/// What the history says of one version: its newest row that is not `failed` decides.
struct VersionState {
  State state = State::pending;
  const HistoryRow* row = nullptr;  ///< the deciding row; points into the History
};

/// Versions that have a deciding row, in order. A version without an entry is pending.
using States = std::map<Version, VersionState>;
States states_of(const History& history);

/// The newest version that is applied; empty = none.
Version newest_applied(const States& states);

}  // namespace lockkeeper::core
