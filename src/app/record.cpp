/// `baseline` and `repair`: they write history, never schema.
#include <algorithm>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "files/directory.hpp"

namespace lockkeeper::app {

namespace {

using util::Error;
using util::Outcome;

void add_step(Context& context, const core::Migration& migration, core::Direction direction) {
  context.report.applied.push_back({.version = migration.version.str(),
                                    .name = migration.name,
                                    .direction = std::string(to_string(direction)),
                                    .statements = migration.up.statements.size()});
  context.observer.on(core::StepFinished{context.report.applied.back()});
}

/// What the history does not have as applied, up to --to.
std::vector<core::Migration*> to_record(const Context& context, std::vector<core::Migration>& files,
                                        const core::History& history) {
  const core::States states = core::states_of(history);
  const std::string& to = context.settings.to;
  std::vector<core::Migration*> chosen;
  bool found_target = to.empty();
  for (core::Migration& migration : files) {
    if (!to.empty() && migration.version > core::Version(to)) {
      break;
    }
    found_target = found_target || migration.version == core::Version(to);
    const auto state = states.find(migration.version);
    if (state != states.end() && state->second.state == core::State::half_done &&
        state->second.row->direction == core::Direction::down) {
      throw Error(Outcome::half_done, fmt::format("{} is half rolled back", migration.id()),
                  "Finish it with `lockkeeper down` first; baseline would record it as applied.");
    }
    if (state == states.end() || state->second.state != core::State::applied) {
      chosen.push_back(&migration);
    }
  }
  if (!found_target) {
    throw Error(Outcome::usage,
                fmt::format("there is no migration with the version {} in {}", to, context.settings.migrations),
                "`lockkeeper status` lists the versions.");
  }
  return chosen;
}

/// A migration is only recorded as applied when what it expects holds.
void require_expectations(Session& session, const core::Migration& migration) {
  std::vector<core::Expectation> expectations = migration.expect;
  std::erase_if(expectations,
                [](const core::Expectation& e) { return e.kind == core::Expectation::Kind::sql && e.absent; });
  std::vector<core::ExpectationResult> broken = session.database().check(expectations);
  std::erase_if(broken, [](const core::ExpectationResult& result) { return result.holds; });
  if (!broken.empty()) {
    throw Error(
        core::describe_broken(broken, fmt::format("{} is not recorded: the database does not have what it brings. "
                                                  "Run `lockkeeper up`, or finish it by hand first.",
                                                  migration.id())));
  }
}

}  // namespace

Outcome baseline(Context& context) {
  refuse_if_forbidden(context);
  std::vector<core::Migration> files = scan_files(context);
  Session session(context, Session::Use::write);
  core::Run run = make_run(context, session);
  core::History history;
  {
    const StageTimer timer(context, "lock");
    history = core::acquire_lock(run);
  }
  const std::vector<core::Migration*> chosen = to_record(context, files, history);
  files::parse(chosen);
  for (const core::Migration* migration : chosen) {
    require_expectations(session, *migration);
  }
  if (!chosen.empty()) {
    session.database().prepare_history();
  }
  context.report.version_from = core::newest_applied(core::states_of(history)).str();
  context.report.version_to = context.report.version_from;
  for (const core::Migration* migration : chosen) {
    session.database().record({.migration = migration, .direction = core::Direction::baseline, .old_checksum = {}});
    add_step(context, *migration, core::Direction::baseline);
    context.report.version_to = std::max(core::Version(*context.report.version_to), migration->version).str();
  }
  session.database().unlock();
  return Outcome::ok;
}

Outcome repair(Context& context) {
  refuse_if_forbidden(context);
  const core::Version version(context.settings.arguments.at(0));
  if (!context.settings.accept_checksum) {
    throw Error(Outcome::usage, "repair needs --accept-checksum: it says that the changed file is meant",
                "Compare the file with what was applied first; `lockkeeper verify` shows both checksums.");
  }
  std::vector<core::Migration> files = scan_files(context);
  const auto file =
      std::find_if(files.begin(), files.end(), [&](const core::Migration& m) { return m.version == version; });
  if (file == files.end()) {
    throw Error(
        Outcome::usage,
        fmt::format("there is no migration with the version {} in {}", version.str(), context.settings.migrations),
        "`lockkeeper status` lists the versions.");
  }
  Session session(context, Session::Use::write);
  core::Run run = make_run(context, session);
  core::History history;
  {
    const StageTimer timer(context, "lock");
    history = core::acquire_lock(run);
  }
  const core::States states = core::states_of(history);
  const auto state = states.find(version);
  if (state == states.end() || state->second.state != core::State::applied) {
    throw Error(Outcome::history_conflict,
                fmt::format("{} is not applied, so there is no checksum to repair", file->id()),
                "`lockkeeper status` shows the state of each version.");
  }
  context.report.version_from = context.report.version_to = core::newest_applied(states).str();
  const std::string old_checksum = state->second.row->checksum;
  if (old_checksum == file->up.checksum) {
    context.observer.on(
        core::Note{.level = core::Level::info, .message = "the file is as it was applied: nothing to repair"});
    return Outcome::ok;
  }
  files::parse(std::vector<core::Migration*>{&*file});
  session.database().record({.migration = &*file, .direction = core::Direction::repair, .old_checksum = old_checksum});
  add_step(context, *file, core::Direction::repair);
  session.database().unlock();
  return Outcome::ok;
}

}  // namespace lockkeeper::app
