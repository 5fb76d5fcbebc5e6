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

/// \throws Error{half_done} when the statements of a half rolled back migration were changed since
void check_resumes(const std::vector<RollBack>& chosen) {
  for (const RollBack& one : chosen) {
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
  }
  check_resumes(chosen);
}

void show(const Context& context, const std::vector<RollBack>& chosen) {
  for (const RollBack& one : chosen) {
    tell(observe::paint(one.migration->id(), observe::Colour::bold, context.stderr_colour) + "\n");
    for (const core::Statement& statement : one.migration->down->statements) {
      tell("  " + observe::printable(one.migration->down->statement_text(statement)) + "\n");
    }
  }
}

/// What is left to do of what was chosen, as the history has it now.
/// \throws Error{history_conflict} when that is not what was chosen: without --to, the next one would be rolled back
std::vector<RollBack> still_to_do(const std::vector<core::Migration*>& chosen, const core::States& states,
                                  bool may_be_done) {
  std::vector<RollBack> left;
  for (core::Migration* migration : chosen) {
    const auto at = states.find(migration->version);
    if (at != states.end() && at->second.state != core::State::pending) {
      left.push_back(
          {.migration = migration, .resume = at->second.state == core::State::half_done ? at->second.row : nullptr});
    }
  }
  core::Version newest;
  for (const auto& [version, state] : states) {
    newest = state.state == core::State::pending ? newest : version;
  }
  const bool newer_came = !left.empty() && left.front().migration->version != newest;
  if (newer_came || (!may_be_done && left.size() != chosen.size())) {
    throw Error(Outcome::history_conflict, "the history has changed since the migrations to roll back were chosen",
                "Nothing was rolled back by this run; look at `lockkeeper status` and choose again.");
  }
  return left;
}

/// The connection was lost while it was rolled back, and now it is.
void report_done(Context& context, const core::Migration& migration) {
  report_arrived(context, migration, "down", migration.down->statements.size());
  context.observer.on(core::Note{.level = core::Level::info,
                                 .message = fmt::format("{} is rolled back: its COMMIT had arrived", migration.id())});
}

core::Version newest_applied_before(const core::States& states, const core::Version& limit) {
  core::Version newest;
  for (const auto& [version, state] : states) {
    newest = version < limit && state.state == core::State::applied ? version : newest;
  }
  return newest;
}

/// With the lock. \p chosen: what is not rolled back yet as far as we know; loses what is.
void roll_back_all(Context& context, Session& session, std::vector<core::Migration*>& chosen, bool may_be_done) {
  core::Run run = make_run(context, session);
  core::History history;
  {
    const StageTimer timer(context, "lock");
    history = core::acquire_lock(run);
  }
  const core::States states = core::states_of(history);
  if (!context.report.version_from) {
    context.report.version_from = core::newest_applied(states).str();
  }
  context.report.version_to = core::newest_applied(states).str();
  const std::vector<RollBack> left = still_to_do(chosen, states, may_be_done);
  for (; chosen.size() > left.size(); chosen.erase(chosen.begin())) {
    report_done(context, *chosen.front());
  }
  check_resumes(left);
  const StageTimer timer(context, "apply");
  for (const RollBack& one : left) {
    core::roll_back(run, *one.migration, one.resume, context.settings.allow_data_loss);
    chosen.erase(chosen.begin());
    context.report.version_to = newest_applied_before(states, one.migration->version).str();
  }
  session.database().unlock();
}

}  // namespace

Outcome down(Context& context) {
  refuse_if_forbidden(context);
  if (!context.interactive && !context.settings.yes) {
    throw Error(Outcome::policy, "`down` needs --yes where there is no terminal to ask on",
                "A roll-back is a decision of a person: add --yes if it is one.");
  }
  std::vector<core::Migration> files = scan_files(context);
  auto session = std::make_unique<Session>(context, Session::Use::write);
  std::vector<core::Migration*> chosen;
  {
    const std::vector<RollBack> now = choose(context, files, session->snapshot().history);
    parse(now);
    if (now.empty()) {
      context.observer.on(core::Note{.level = core::Level::info, .message = "nothing to roll back"});
      return Outcome::ok;
    }
    for (const RollBack& one : now) {
      require_session(context, *session, *one.migration, *one.migration->down);
      chosen.push_back(one.migration);
    }
    if (context.interactive && !context.settings.yes) {
      show(context, now);
      confirm(context,
              fmt::format("Roll back {} in {}?", observe::counted(now.size(), "migration"), where(context, *session)));
    }
  }
  std::size_t left = chosen.size();
  for (int lost = 0;; ++lost) {
    try {
      roll_back_all(context, *session, chosen, left != chosen.size() || lost > 0);
      return Outcome::ok;
    } catch (const Error& error) {
      if (chosen.size() < left) {  // it got further: only losses in a row count
        left = chosen.size();
        lost = 0;
      }
      if (error.info().outcome != Outcome::connection_lost || lost == k_reconnects) {
        throw;
      }
      tell_lost(context, error);
    }
    session.reset();  // the old session must be gone before its lock can be waited for
    try {
      session = reconnect(context);
    } catch (const Error& error) {
      ErrorInfo info = error.info();
      info.hint =
          "Look at `lockkeeper status` before you run it again: without --to, `down` takes the newest version "
          "that is applied, and this one may be rolled back already.";
      throw Error(std::move(info));
    }
  }
}

}  // namespace lockkeeper::app
