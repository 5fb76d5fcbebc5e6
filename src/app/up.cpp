/// The life of a deploy, in order.
#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "files/checksum.hpp"
#include "observe/terminal.hpp"

namespace lockkeeper::app {

namespace {

using core::Plan;
using util::Error;
using util::Outcome;

/// Keeps the report's idea of what is pending and where the schema stands, also when a step throws.
class Progress {
 public:
  Progress(core::Report& report, const Plan& plan)
      : m_report(report), m_plan(plan), m_applied_before(report.applied.size()) {}
  ~Progress() {
    const std::size_t applied = m_report.applied.size() - m_applied_before;
    m_report.pending = m_plan.steps.size() - std::min(applied, m_plan.steps.size());
    core::Version newest = m_plan.newest;
    for (std::size_t i = 0; i < applied; ++i) {
      newest = std::max(newest, m_plan.steps[i].migration->version);
    }
    m_report.version_to = newest.str();
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  core::Report& m_report;
  const Plan& m_plan;
  std::size_t m_applied_before;
};

/// Migrations whose COMMIT may have arrived without an answer, oldest first.
using InFlight = std::vector<const core::Migration*>;

bool is_pending(const Plan& plan, const core::Version& version) {
  return std::any_of(plan.steps.begin(), plan.steps.end(),
                     [&](const core::Step& step) { return step.migration->version == version; });
}

/// Tells which of the migrations in flight are applied, as soon as the plan shows it, and which the server has lost.
void resolve_in_flight(Context& context, const Plan& plan, InFlight& in_flight) {
  for (const core::Migration* migration : std::exchange(in_flight, {})) {
    if (is_pending(plan, migration->version)) {
      continue;
    }
    report_arrived(context, *migration, "up", migration->up.statements.size());
    context.observer.on(core::Note{.level = core::Level::info,
                                   .message = fmt::format("{} is applied: its COMMIT had arrived", migration->id())});
  }
  std::erase_if(context.report.applied, [&](const core::AppliedStep& step) {
    const bool lost = is_pending(plan, core::Version(step.version));
    if (lost) {
      context.observer.on(core::Note{
          .level = core::Level::warning,
          .message = fmt::format("the server has lost {}, which was committed but not on its disk yet: it is "
                                 "pending again",
                                 step.version)});
    }
    return lost;
  });
}

/// What had no answer when the connection was lost: it was the steps' turn from \p first on.
InFlight in_flight_of(const Plan& plan, std::size_t first, std::size_t unanswered) {
  InFlight in_flight;
  for (std::size_t i = first; i < std::min(plan.steps.size(), first + unanswered); ++i) {
    in_flight.push_back(plan.steps[i].migration);
  }
  return in_flight;
}

/// How many of the applied migrations are on the server's disk, as far as we know. \p before: as it was known before.
std::size_t count_settled(const Context& context, Session& session, std::size_t before) {
  const std::size_t applied = context.report.applied.size();
  const auto open = session.database().unsettled();
  return open ? applied - std::min(*open, applied) : std::min(before, applied);
}

/// The run ends, and what was committed last may still be lost: it is not reported as applied.
[[noreturn]] void throw_unsettled(Context& context, const Error& error, std::size_t settled) {
  auto& applied = context.report.applied;
  if (applied.size() <= settled) {
    throw Error(error.info());
  }
  util::ErrorInfo info = error.info();
  const std::size_t open = applied.size() - settled;
  info.detail +=
      fmt::format("{}not counted: {}, from {} on, which the server has committed and may not have on its disk",
                  info.detail.empty() ? "" : "\n", observe::counted(open, "migration"), applied[settled].version);
  applied.resize(settled);
  context.report.pending = context.report.pending.value_or(0) + open;
  context.report.version_to = settled > 0 ? applied.back().version : context.report.version_from;
  throw Error(std::move(info));
}

void require_session_for_all(const Context& context, Session& session, const Plan& plan) {
  for (const core::Step& step : plan.steps) {
    require_session(context, session, *step.migration, step.migration->up);
  }
}

/// With the lock: plan again, since another runner may have been faster, and apply. False: one was faster again.
bool migrate_once(Context& context, Session& session, std::vector<core::Migration>& files, InFlight& in_flight) {
  core::Run run = make_run(context, session);
  core::History history;
  {
    const StageTimer timer(context, "lock");
    history = core::acquire_lock(run);
  }
  const Plan plan = plan_run(context, files, history);
  throw_findings(context, plan);
  resolve_in_flight(context, plan, in_flight);
  if (plan.steps.empty()) {
    core::settle(run);
    return true;
  }
  require_session_for_all(context, session, plan);
  const StageTimer timer(context, "apply");
  const Progress progress(context.report, plan);
  const std::size_t before = context.report.applied.size();
  session.database().prepare_history();
  try {
    return core::apply(run, plan.steps);
  } catch (const Error&) {
    in_flight = in_flight_of(plan, context.report.applied.size() - before, session.database().unanswered());
    throw;
  }
}

void migrate(Context& context, Session& session, std::vector<core::Migration>& files, InFlight& in_flight) {
  constexpr util::Duration k_overtaken_pause{100};
  while (!migrate_once(context, session, files, in_flight)) {
    context.clock.sleep(k_overtaken_pause);
  }
  session.database().unlock();
}

void ask(Context& context, Session& session, const Plan& plan) {
  if (!context.interactive || context.settings.yes) {
    return;
  }
  tell(render_plan(plan, context.stderr_colour));
  confirm(context,
          fmt::format("Apply {} to {}?", observe::counted(plan.steps.size(), "migration"), where(context, session)));
}

}  // namespace

Outcome up(Context& context) {
  refuse_if_forbidden(context);
  std::vector<core::Migration> files = scan_files(context);  // every problem of the directory, before connecting
  auto session = std::make_unique<Session>(context, Session::Use::write,
                                           files::history_checksum(files));  // one request: facts and history
  {
    const Plan plan = plan_run(context, files, session->snapshot().history);
    throw_findings(context, plan);
    if (plan.steps.empty()) {
      return Outcome::ok;  // no lock, no write on a deploy that changes nothing
    }
    require_session_for_all(context, *session, plan);
    ask(context, *session, plan);
  }
  InFlight in_flight;
  std::size_t applied = 0;
  std::size_t settled = 0;
  for (int lost = 0;; ++lost) {
    try {
      migrate(context, *session, files, in_flight);
      return Outcome::ok;
    } catch (const Error& error) {
      settled = count_settled(context, *session, settled);
      if (context.report.applied.size() > applied) {  // it got further: only losses in a row count
        applied = context.report.applied.size();
        lost = 0;
      }
      if (error.info().outcome != Outcome::connection_lost || lost == k_reconnects) {
        throw_unsettled(context, error, settled);
      }
      tell_lost(context, error);
    }
    session.reset();  // the old session must be gone before its lock can be waited for
    try {
      session = reconnect(context);
    } catch (const Error& error) {
      throw_unsettled(context, error, settled);
    }
  }
}

}  // namespace lockkeeper::app
