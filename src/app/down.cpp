#include <algorithm>
#include <ranges>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "files/directory.hpp"
#include "observe/terminal.hpp"

namespace lockkeeper::app {

namespace {

using util::Error;
using util::ErrorInfo;
using util::Outcome;

struct RollBack {
  core::Migration* migration = nullptr;
  const core::HistoryRow* resume = nullptr;
};

/// Newest first: the newest applied migration, or everything that is newer than --to.
std::vector<RollBack> choose(const Context& context, std::vector<core::Migration>& files,
                             const core::History& history) {
  const core::States states = core::states_of(history);
  const std::string& to = context.settings.to;
  std::vector<RollBack> chosen;
  for (const auto& [version, at] : std::views::reverse(states)) {
    if (at.state == core::State::pending) {
      continue;
    }
    if (!to.empty() ? !(version > core::Version(to)) : !chosen.empty()) {
      break;
    }
    const auto file =
        std::find_if(files.begin(), files.end(), [&](const core::Migration& m) { return m.version == version; });
    if (file == files.end()) {
      throw Error(Outcome::history_conflict, fmt::format("{} is applied, but its files are not here", version.str()),
                  "Roll back with the release that brought it: only its files know how.");
    }
    if (at.state == core::State::half_done && at.row->direction != core::Direction::down) {
      throw Error(Outcome::half_done, fmt::format("{} is half applied", file->id()),
                  "Finish it with `lockkeeper up` first; then it can be rolled back.");
    }
    chosen.push_back({.migration = &*file, .resume = at.state == core::State::half_done ? at.row : nullptr});
  }
  return chosen;
}

void parse(const std::vector<RollBack>& chosen) {
  std::vector<core::Migration*> migrations;
  migrations.reserve(chosen.size());
  for (const RollBack& one : chosen) {
    migrations.push_back(one.migration);
  }
  files::parse(migrations);
  for (const RollBack& one : chosen) {
    if (!one.migration->down) {
      throw Error(ErrorInfo{.outcome = Outcome::migration_files,
                            .message = "there is no down.sql, so this migration cannot be rolled back",
                            .hint = "Write a new migration that undoes it, or add down.sql.",
                            .where = util::SourcePosition{.file = one.migration->directory}});
    }
    const auto& statements = one.migration->down->statements;
    if (one.resume != nullptr && one.resume->statements_done > 0 &&
        (one.resume->statements_done > statements.size() ||
         statements[one.resume->statements_done - 1].prefix_checksum != one.resume->prefix_checksum)) {
      throw Error(
          ErrorInfo{.outcome = Outcome::half_done,
                    .message = "half rolled back, and the statements that are done were changed in the file",
                    .hint = "Restore the first statements of down.sql as they were and run `lockkeeper down` again.",
                    .where = util::SourcePosition{.file = one.migration->down->path}});
    }
  }
}

void show(const Context& context, const std::vector<RollBack>& chosen) {
  for (const RollBack& one : chosen) {
    tell(observe::paint(one.migration->id(), observe::Colour::bold, context.stderr_colour) + "\n");
    for (const core::Statement& statement : one.migration->down->statements) {
      tell("  " + observe::printable(one.migration->down->statement_text(statement)) + "\n");
    }
  }
}

}  // namespace

Outcome down(Context& context) {
  refuse_if_forbidden(context);
  if (!context.interactive && !context.settings.yes) {
    throw Error(Outcome::policy, "`down` needs --yes where there is no terminal to ask on",
                "A roll-back is a decision of a person: add --yes if it is one.");
  }
  std::vector<core::Migration> files = scan_files(context);
  Session session(context, Session::Use::write);
  {
    const std::vector<RollBack> chosen = choose(context, files, session.snapshot().history);
    parse(chosen);
    if (chosen.empty()) {
      context.observer.on(core::Note{.level = core::Level::info, .message = "nothing to roll back"});
      return Outcome::ok;
    }
    if (context.interactive && !context.settings.yes) {
      show(context, chosen);
      confirm(context, fmt::format("Roll back {} in {}?", observe::counted(chosen.size(), "migration"),
                                   where(context, session)));
    }
  }
  core::Run run = make_run(context, session);
  core::History history;
  {
    const StageTimer timer(context, "lock");
    history = core::acquire_lock(run);
  }
  const std::vector<RollBack> chosen = choose(context, files, history);
  parse(chosen);
  const core::States states = core::states_of(history);
  context.report.version_from = core::newest_applied(states).str();
  context.report.version_to = context.report.version_from;
  {
    const StageTimer timer(context, "apply");
    for (const RollBack& one : chosen) {
      core::roll_back(run, *one.migration, one.resume, context.settings.allow_data_loss);
      core::Version newest;
      for (const auto& [version, state] : states) {
        if (version < one.migration->version && state.state == core::State::applied) {
          newest = version;
        }
      }
      context.report.version_to = newest.str();
    }
  }
  session.database().unlock();
  return Outcome::ok;
}

}  // namespace lockkeeper::app
