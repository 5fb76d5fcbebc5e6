#include "core/plan.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace lockkeeper::core {

namespace {

using util::Outcome;

bool wanted(Phase phase, PhaseFilter filter) {
  return filter == PhaseFilter::all || (filter == PhaseFilter::pre) == (phase == Phase::pre);
}

Finding conflict(const Version& version, std::string message, std::string hint, bool is_error = true) {
  return {.is_error = is_error,
          .info = {.outcome = Outcome::history_conflict, .message = std::move(message), .hint = std::move(hint)},
          .version = version};
}

std::string row_id(const HistoryRow& row) {
  return row.name.empty() ? row.version.str() : row.version.str() + "_" + row.name;
}

/// Holds what make_plan() builds up, so that each question is a function of its own.
class Planner {
 public:
  Planner(std::span<Migration> files, const History& history, const Policy& policy)
      : m_files(files), m_history(history), m_policy(policy), m_states(states_of(history)) {}

  Plan make() {
    m_plan.known = m_files.size();
    if (m_history.matches_files && !m_files.empty()) {
      m_plan.applied = m_files.size();
      m_plan.newest = m_files.back().version;
      return std::move(m_plan);
    }
    m_plan.newest = newest_applied(m_states);
    for (const auto& [version, state] : m_states) {
      m_plan.applied += state.state == State::applied ? 1 : 0;
      m_plan.half_done += state.state == State::half_done ? 1 : 0;
    }
    if (!m_plan.newest.empty()) {
      m_plan.new_until = Version(state_of(m_plan.newest)->row->new_until);
    }
    for (Migration& migration : m_files) {
      check_checksum(migration);
    }
    for (const auto& [version, state] : m_states) {
      check_has_file(version, state);
    }
    for (Migration& migration : m_files) {
      add_if_pending(migration);
    }
    return std::move(m_plan);
  }

 private:
  [[nodiscard]] const VersionState* state_of(const Version& version) const {
    const auto found = m_states.find(version);
    return found == m_states.end() ? nullptr : &found->second;
  }

  void check_checksum(const Migration& migration) {
    const VersionState* state = state_of(migration.version);
    if (state == nullptr || state->state != State::applied || state->row->checksum == migration.up.checksum) {
      return;
    }
    ++m_plan.checksum_mismatches;
    m_plan.findings.push_back(
        {.info = {.outcome = Outcome::checksum,
                  .message = "the file was changed after it was applied",
                  .hint =
                      fmt::format("Restore the file and put the change into a new migration. If the change is meant, "
                                  "run `lockkeeper repair {} --accept-checksum`.",
                                  migration.version.str()),
                  .detail = fmt::format("  applied with sha256 {}\n  the file has    {}", state->row->checksum,
                                        migration.up.checksum),
                  .where = util::SourcePosition{.file = migration.up.path}},
         .version = migration.version});
  }

  void check_has_file(const Version& version, const VersionState& state) {
    if (state.state == State::pending) {
      return;
    }
    const auto by_version = [](const Migration& m, const Version& v) { return m.version < v; };
    const auto found = std::lower_bound(m_files.begin(), m_files.end(), version, by_version);
    if (found != m_files.end() && found->version == version) {
      return;
    }
    if (state.state == State::half_done) {
      add_half_done(*state.row, "its files are not here");
    } else if (m_files.empty() || version > m_files.back().version) {
      add_ahead(*state.row);
    } else if (m_policy.on_missing == OnMissing::fail) {
      m_plan.findings.push_back(
          conflict(version, fmt::format("{} is applied, but its files are missing", row_id(*state.row)),
                   "Restore the directory: a file that was applied belongs to the history of every database. If it was "
                   "removed on purpose, use --on-missing ignore."));
    }
  }

  void add_ahead(const HistoryRow& row) {
    const bool first = !m_plan.ahead;
    m_plan.ahead = true;
    if (first && m_policy.on_ahead != OnAhead::ok) {
      m_plan.findings.push_back(
          conflict(row.version,
                   fmt::format("the database is ahead of the files: {} is applied, the newest file is {}", row_id(row),
                               m_files.empty() ? "none" : m_files.back().id()),
                   "A newer release has migrated this database. Deploy that release, or allow it with --on-ahead ok.",
                   m_policy.on_ahead == OnAhead::fail));
    }
  }

  void add_half_done(const HistoryRow& row, std::string_view why) {
    m_plan.findings.push_back(
        {.info = {.outcome = Outcome::half_done,
                  .message = fmt::format("{} is half done ({} of {} statements, {}), and it cannot be gone on with: {}",
                                         row_id(row), row.statements_done, row.statements_total,
                                         to_string(row.direction), why),
                  .hint =
                      fmt::format("Restore the first {} statements of the file as they were and run `lockkeeper {}` "
                                  "again, which goes on with the next one; or finish the change by hand and run "
                                  "`lockkeeper baseline --to {}`, which checks its expectations and records it.",
                                  row.statements_done, to_string(row.direction), row.version.str())},
         .version = row.version});
  }

  void add_if_pending(Migration& migration) {
    const VersionState* state = state_of(migration.version);
    if (state != nullptr && state->state == State::applied) {
      return;
    }
    if (state != nullptr && state->state == State::half_done) {
      if (state->row->direction != Direction::up) {
        add_half_done(*state->row, "it is a roll-back; `lockkeeper down` goes on with it");
        return;
      }
      m_plan.steps.push_back({.migration = &migration, .resume = state->row});
      return;
    }
    if (!m_plan.newest.empty() && migration.version < m_plan.newest && m_policy.on_out_of_order == OnOutOfOrder::fail) {
      ++m_plan.out_of_order;
      m_plan.findings.push_back(conflict(
          migration.version,
          fmt::format("{} is pending, but the newer {} is applied already", migration.id(), m_plan.newest.str()),
          "Give the new migration a version later than every applied one, or apply it where it stands with "
          "--on-out-of-order apply."));
      return;
    }
    m_plan.steps.push_back({.migration = &migration});
  }

  std::span<Migration> m_files;
  const History& m_history;
  const Policy& m_policy;
  States m_states;
  Plan m_plan;
};

}  // namespace

const Finding* Plan::first_error() const {
  const auto found = std::find_if(findings.begin(), findings.end(), [](const Finding& f) { return f.is_error; });
  return found == findings.end() ? nullptr : &*found;
}

Plan make_plan(std::span<Migration> files, const History& history, const Policy& policy) {
  return Planner(files, history, policy).make();
}

namespace {

Version last_pre(const Plan& plan) {
  const auto found = std::find_if(plan.steps.rbegin(), plan.steps.rend(),
                                  [](const Step& step) { return step.migration->phase == Phase::pre; });
  return found == plan.steps.rend() ? Version{} : found->migration->version;
}

}  // namespace

void select_phase(Plan& plan, PhaseFilter filter) {
  Version new_until;
  if (filter == PhaseFilter::pre) {
    new_until = plan.newest.empty() ? last_pre(plan) : plan.new_until;
  }
  const Migration* blocked_by = nullptr;
  std::vector<Step> selected;
  for (Step& step : plan.steps) {
    if (!new_until.empty() && step.migration->version < new_until) {
      step.new_until = new_until.str();
      selected.push_back(step);
      continue;
    }
    if (!wanted(step.migration->phase, filter)) {
      blocked_by = blocked_by == nullptr ? step.migration : blocked_by;
      continue;
    }
    if (blocked_by != nullptr) {
      const bool post_first = blocked_by->phase == Phase::post;
      plan.findings.push_back(conflict(
          step.migration->version,
          fmt::format("{} (phase {}) cannot run before {} (phase {}) has", step.migration->id(),
                      post_first ? "pre" : "post", blocked_by->id(), post_first ? "post" : "pre"),
          fmt::format(
              "Run `lockkeeper up --phase {}` first; where no old release is running, `--phase all` applies everything "
              "in order.",
              post_first ? "post" : "pre")));
      break;
    }
    selected.push_back(step);
  }
  plan.steps = std::move(selected);
}

void check_resume(Plan& plan) {
  for (const Step& step : plan.steps) {
    if (step.resume == nullptr || step.resume->statements_done == 0) {
      continue;
    }
    const auto& statements = step.migration->up.statements;
    const std::size_t done = step.resume->statements_done;
    std::string why;
    if (done > statements.size()) {
      why = fmt::format("the file has only {} statements", statements.size());
    } else if (statements[done - 1].prefix_checksum != step.resume->prefix_checksum) {
      why = "the statements that are done were changed in the file";
    } else if (step.migration->transactional) {
      why = "the file now runs in one transaction, which would repeat what is done";
    }
    if (!why.empty()) {
      plan.findings.push_back(
          {.info = {.outcome = Outcome::half_done,
                    .message = fmt::format("half done ({} of {} statements), and it cannot be gone on with: {}", done,
                                           step.resume->statements_total, why),
                    .hint =
                        fmt::format("Restore the first {} statements as they were and run `lockkeeper up` again, which "
                                    "goes on with the next one; or finish the change by hand and run `lockkeeper "
                                    "baseline --to {}`, which checks its expectations and records it.",
                                    done, step.migration->version.str()),
                    .where = util::SourcePosition{.file = step.migration->up.path}},
           .version = step.migration->version});
    }
  }
}

std::vector<StatusRow> make_status(std::span<const Migration> files, const History& history) {
  const States states = states_of(history);
  const Version newest = newest_applied(states);
  std::map<Version, StatusRow> rows;
  for (const auto& [version, state] : states) {
    if (state.state != State::pending) {
      rows[version] = {
          .version = version, .name = state.row->name, .state = state.state, .has_file = false, .row = state.row};
    }
  }
  for (const Migration& migration : files) {
    StatusRow& row = rows[migration.version];
    row.version = migration.version;
    row.name = migration.name;
    row.has_file = true;
    row.phase = migration.phase;
    row.changed = row.state == State::applied && row.row->checksum != migration.up.checksum;
    row.out_of_order = row.state == State::pending && !newest.empty() && migration.version < newest;
  }
  std::vector<StatusRow> ordered;
  ordered.reserve(rows.size());
  for (auto& [version, row] : rows) {
    ordered.push_back(std::move(row));
  }
  return ordered;
}

}  // namespace lockkeeper::core
