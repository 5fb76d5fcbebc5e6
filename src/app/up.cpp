/// The life of a deploy, in order.
#include <algorithm>

#include <fmt/format.h>

#include "app/commands.hpp"
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

/// Tells whether the migration whose COMMIT was not answered is applied, as soon as the plan shows it.
void resolve_in_flight(Context& context, const Plan& plan, const core::Migration** in_flight) {
  const auto pending = [&](const core::Step& step) { return step.migration == *in_flight; };
  if (*in_flight == nullptr || std::any_of(plan.steps.begin(), plan.steps.end(), pending)) {
    return;
  }
  report_arrived(context, **in_flight, "up", (*in_flight)->up.statements.size());
  context.observer.on(core::Note{.level = core::Level::info,
                                 .message = fmt::format("{} is applied: its COMMIT had arrived", (*in_flight)->id())});
  *in_flight = nullptr;
}

void require_session_for_all(const Context& context, Session& session, const Plan& plan) {
  for (const core::Step& step : plan.steps) {
    require_session(context, session, *step.migration, step.migration->up);
  }
}

/// With the lock: plan again, since another runner may have been faster, and apply. False: one was faster again.
bool migrate_once(Context& context, Session& session, std::vector<core::Migration>& files,
                  const core::Migration** in_flight) {
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
    *in_flight = plan.steps[std::min(context.report.applied.size() - before, plan.steps.size() - 1)].migration;
    throw;
  }
}

void migrate(Context& context, Session& session, std::vector<core::Migration>& files,
             const core::Migration** in_flight) {
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
  auto session = std::make_unique<Session>(context, Session::Use::write);  // one request: facts and history
  {
    const Plan plan = plan_run(context, files, session->snapshot().history);
    throw_findings(context, plan);
    if (plan.steps.empty()) {
      return Outcome::ok;  // no lock, no write on a deploy that changes nothing
    }
    require_session_for_all(context, *session, plan);
    ask(context, *session, plan);
  }
  const core::Migration* in_flight = nullptr;
  std::size_t applied = 0;
  for (int lost = 0;; ++lost) {
    try {
      migrate(context, *session, files, &in_flight);
      return Outcome::ok;
    } catch (const Error& error) {
      if (context.report.applied.size() > applied) {  // it got further: only losses in a row count
        applied = context.report.applied.size();
        lost = 0;
      }
      if (error.info().outcome != Outcome::connection_lost || lost == k_reconnects) {
        throw;
      }
      tell_lost(context, error);
    }
    session.reset();  // the old session must be gone before its lock can be waited for
    session = reconnect(context);
  }
}

}  // namespace lockkeeper::app
