/// `check` and `wait`: is the database at the level that these files need?
#include <algorithm>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "files/checksum.hpp"
#include "files/directory.hpp"
#include "observe/terminal.hpp"
#include "util/duration.hpp"

namespace lockkeeper::app {

namespace {

using util::Duration;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

constexpr Duration k_first_look{250};
constexpr Duration k_longest_look = std::chrono::seconds(5);

std::string list(const core::Plan& plan) {
  std::string text;
  for (const core::Step& step : plan.steps) {
    text += (text.empty() ? "  " : "\n  ") + step.migration->id() + (step.resume != nullptr ? " (half done)" : "");
  }
  return text;
}

/// pending, half done, or out of order: whatever keeps the files from being what the database has.
[[noreturn]] void throw_pending(const core::Plan& plan, std::size_t pending) {
  throw Error(ErrorInfo{.outcome = Outcome::pending,
                        .message = pending == 0 ? "a migration is half done"
                                                : fmt::format("{} pending", observe::counted(pending, "migration")),
                        .hint = "Run `lockkeeper up`; `lockkeeper plan` shows what it would do.",
                        .detail = list(plan)});
}

bool up_to_date(const Context& context) {
  return context.report.pending == 0 && context.report.half_done == 0;
}

/// --on-ahead fail holds here too: the files must be what the database has.
void refuse_ahead(const Context& context, const core::Plan& plan) {
  if (!plan.ahead || context.settings.policy.on_ahead != core::OnAhead::fail) {
    return;
  }
  for (const core::Finding& finding : plan.findings) {
    if (finding.is_error && finding.info.outcome == Outcome::history_conflict) {
      throw Error(finding.info);
    }
  }
}

void warn(Context& context, const core::Plan& plan) {
  for (const core::Finding& finding : plan.findings) {
    context.observer.on(core::Note{.level = core::Level::warning, .message = to_string(finding.info)});
  }
}

}  // namespace

Outcome check(Context& context) {
  std::vector<core::Migration> files = scan_files(context);
  Session session(context, Session::Use::read, files::history_checksum(files));
  const core::Plan plan = plan_run(context, files, session.snapshot().history);
  warn(context, plan);
  if (!up_to_date(context)) {
    throw_pending(plan, *context.report.pending);
  }
  refuse_ahead(context, plan);
  if (context.settings.strict && plan.ahead) {
    throw Error(Outcome::ahead, fmt::format("the database is ahead of the files: it is at {}", plan.newest.str()),
                "Deploy the release that brought the newer migrations.");
  }
  return Outcome::ok;
}

Outcome wait(Context& context) {
  std::vector<core::Migration> files = scan_files(context);
  context.deadline =  // of connecting and asking, too
      util::Deadline::earlier(util::Deadline::after(context.clock, context.settings.wait_timeout), context.deadline);
  std::unique_ptr<Session> session;
  std::optional<std::size_t> told;
  core::Plan plan;
  for (Duration pause = k_first_look;; pause = std::min(pause * 2, k_longest_look)) {
    try {
      if (!session) {
        session = std::make_unique<Session>(context, Session::Use::read, files::history_checksum(files));
        plan = plan_run(context, files, session->snapshot().history);
      } else {
        plan = plan_run(context, files, session->database().read().history);
      }
      if (up_to_date(context)) {
        refuse_ahead(context, plan);
        return Outcome::ok;
      }
    } catch (const Error& error) {
      if (error.info().outcome == Outcome::deadline) {
        throw_pending(plan, context.report.pending.value_or(0));
      }
      if (error.info().outcome != Outcome::connection_lost) {
        throw;
      }
      session.reset();  // restarted or failed over: look again
    }
    if (told != context.report.pending) {
      told = context.report.pending;
      context.observer.on(core::Note{
          .level = core::Level::info,
          .message = fmt::format("waiting for {}", observe::counted(told.value_or(0), "pending migration"))});
    }
    context.clock.sleep(context.deadline.cap(context.clock, pause));
  }
}

}  // namespace lockkeeper::app
