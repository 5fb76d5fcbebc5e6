/// \file
/// Files and history compared: what is to be done, and what is wrong. Pure; no database, no files.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/history.hpp"
#include "core/migration.hpp"
#include "core/policy.hpp"
#include "util/error.hpp"

namespace lockkeeper::core {

/// Something that the comparison noticed. An error stops `up` with its outcome; a warning is only told.
struct Finding {
  bool is_error = true;
  util::ErrorInfo info;
  Version version;
};

/// One migration to apply.
struct Step {
  Migration* migration = nullptr;      ///< points into the files; parsed later
  const HistoryRow* resume = nullptr;  ///< the half-done attempt that is gone on with; points into the history
  std::string new_until;               ///< to be kept in the history, see select_phase; or empty
};

struct Plan {
  std::vector<Step> steps;  ///< pending or half done, in order of version
  std::vector<Finding> findings;
  std::size_t known = 0;
  std::size_t applied = 0;  ///< versions that the history has as applied, with or without a file
  std::size_t half_done = 0;
  std::size_t checksum_mismatches = 0;
  std::size_t out_of_order = 0;  ///< pending, but held back by a finding: older than an applied one
  bool ahead = false;            ///< the history has applied versions newer than every file
  Version newest;                ///< newest applied; empty = none
  Version new_until;             ///< what the newest applied one has kept of a new database; empty = nothing

  /// The first finding that is an error; nullptr = none.
  [[nodiscard]] const Finding* first_error() const;
};

/// Compares \p files (ordered by version) with \p history. Findings come in the order in which they stop a run:
/// changed files (14), then conflicts of files and history (15), then half-done rows that cannot be gone on with (13).
/// All pending migrations are steps, whatever their phase: that is only known once they are parsed.
Plan make_plan(std::span<Migration> files, const History& history, const Policy& policy);

/// Keeps the steps of one phase, and stops (15) where the order of versions would be broken: the `post` of an earlier
/// version that has not run stops a later `pre`, and the other way round. The steps must be parsed.
/// A new database (nothing applied) has no old release that a `post` could hurt: there, `pre` takes along every `post`
/// that stands before the last `pre`. The rows keep up to where, so that a run that was cut goes on in the same way.
void select_phase(Plan& plan, PhaseFilter filter);

/// Adds a finding (13) for each half-done step whose done statements are no longer those of the file. The steps must be
/// parsed.
void check_resume(Plan& plan);

/// What `status` shows: every version that the files or the history know, in order.
struct StatusRow {
  Version version;
  std::string name;
  State state = State::pending;
  bool has_file = true;
  bool changed = false;       ///< applied with another checksum
  bool out_of_order = false;  ///< pending, but older than an applied one
  Phase phase = Phase::pre;
  const HistoryRow* row = nullptr;
};
std::vector<StatusRow> make_status(std::span<const Migration> files, const History& history);

}  // namespace lockkeeper::core
