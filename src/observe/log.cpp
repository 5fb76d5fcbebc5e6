#include "observe/log.hpp"

#include <chrono>
#include <string_view>
#include <variant>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "observe/progress.hpp"
#include "observe/terminal.hpp"
#include "observe/termination.hpp"

namespace lockkeeper::observe {

namespace {

using Json = nlohmann::ordered_json;

std::string id(const std::string& version, const std::string& name) {
  return name.empty() ? version : version + "_" + name;
}

std::string_view done(const std::string& direction) {
  if (direction == "down") {
    return "rolled back";
  }
  if (direction == "baseline") {
    return "recorded as applied";
  }
  return direction == "repair" ? "repaired" : "applied";
}

/// What an error says, in one line: the excerpt with its caret needs a terminal.
std::string one_line(util::ErrorInfo error) {
  error.excerpt.clear();
  std::string line;
  for (const char c : util::to_string(error)) {
    line += c == '\n' ? std::string("; ") : std::string(1, c);
  }
  return line;
}

struct Level {
  core::Level operator()(const core::RunStarted&) const { return core::Level::info; }
  core::Level operator()(const core::Note& event) const { return event.level; }
  core::Level operator()(const core::ConnectRetry&) const { return core::Level::warning; }
  core::Level operator()(const core::Connected&) const { return core::Level::info; }
  core::Level operator()(const core::PlanMade&) const { return core::Level::info; }
  core::Level operator()(const core::LockWaiting&) const { return core::Level::info; }
  core::Level operator()(const core::LockAcquired&) const { return core::Level::info; }
  core::Level operator()(const core::StepStarted&) const { return core::Level::info; }
  core::Level operator()(const core::StatementFinished&) const { return core::Level::debug; }
  core::Level operator()(const core::StepBlocked&) const { return core::Level::warning; }
  core::Level operator()(const core::StepProgress&) const { return core::Level::info; }
  core::Level operator()(const core::StepRetry&) const { return core::Level::warning; }
  core::Level operator()(const core::WaitsSeen&) const { return core::Level::debug; }
  core::Level operator()(const core::IndexRepaired&) const { return core::Level::warning; }
  core::Level operator()(const core::StepFinished&) const { return core::Level::info; }
  core::Level operator()(const core::StepFailed&) const { return core::Level::error; }
  core::Level operator()(const core::RunFinished& event) const {
    switch (util::exit_code(event.report.outcome).retry) {
      case util::RetryClass::success: return core::Level::info;
      case util::RetryClass::answer: return core::Level::warning;
      case util::RetryClass::fatal:
      case util::RetryClass::retryable: return core::Level::error;
    }
    return core::Level::error;
  }
};

struct Name {
  std::string_view operator()(const core::RunStarted&) const { return "run_started"; }
  std::string_view operator()(const core::Note&) const { return "note"; }
  std::string_view operator()(const core::ConnectRetry&) const { return "connect_retry"; }
  std::string_view operator()(const core::Connected&) const { return "connected"; }
  std::string_view operator()(const core::PlanMade&) const { return "plan_made"; }
  std::string_view operator()(const core::LockWaiting&) const { return "lock_waiting"; }
  std::string_view operator()(const core::LockAcquired&) const { return "lock_acquired"; }
  std::string_view operator()(const core::StepStarted&) const { return "step_started"; }
  std::string_view operator()(const core::StatementFinished&) const { return "statement_finished"; }
  std::string_view operator()(const core::StepBlocked&) const { return "step_blocked"; }
  std::string_view operator()(const core::StepProgress&) const { return "step_progress"; }
  std::string_view operator()(const core::StepRetry&) const { return "step_retry"; }
  std::string_view operator()(const core::WaitsSeen&) const { return "waits_seen"; }
  std::string_view operator()(const core::IndexRepaired&) const { return "index_repaired"; }
  std::string_view operator()(const core::StepFinished&) const { return "step_finished"; }
  std::string_view operator()(const core::StepFailed&) const { return "step_failed"; }
  std::string_view operator()(const core::RunFinished&) const { return "run_finished"; }
};

struct Message {
  std::string operator()(const core::RunStarted& event) const {
    std::string text = fmt::format("lockkeeper {} {}", event.tool_version, event.command);
    if (!event.environment.empty()) {
      text += ", environment " + event.environment;
    }
    if (!event.url_source.empty()) {
      text += ", database from " + event.url_source;
    }
    return text;
  }
  std::string operator()(const core::Note& event) const { return event.message; }
  std::string operator()(const core::ConnectRetry& event) const {
    return fmt::format("no connection to {}: {}; next attempt in {}", event.target, event.reason, human(event.wait));
  }
  std::string operator()(const core::Connected& event) const {
    return fmt::format("connected to database {} at {} as {} (PostgreSQL {}) in {}", event.database, event.target,
                       event.user, event.server_version, human(event.duration));
  }
  std::string operator()(const core::PlanMade& event) const {
    return fmt::format("{} known, {} applied, {} pending{}{}", counted(event.known, "migration"), event.applied,
                       event.pending, event.version.empty() ? "" : ", database is at " + event.version,
                       event.ahead ? ", ahead of these files" : "");
  }
  std::string operator()(const core::LockWaiting& event) const {
    return fmt::format("waiting for the lock, {}; {} of {}",
                       event.holder ? "held by " + core::to_string(*event.holder) : "just released",
                       human(event.waited), human(event.limit));
  }
  std::string operator()(const core::LockAcquired& event) const { return "got the lock after " + human(event.waited); }
  std::string operator()(const core::StepStarted& event) const {
    std::string text = fmt::format("{} {}, {}", event.direction, id(event.version, event.name),
                                   counted(event.statements, "statement"));
    if (!event.transactional) {
      text += ", without a transaction";
    }
    if (event.first_statement > 0) {
      text += fmt::format(", resumed at statement {}", event.first_statement + 1);
    }
    return text;
  }
  std::string operator()(const core::StatementFinished& event) const {
    return fmt::format("statement {} of {} of {}: {}", event.index + 1, event.total, event.version, event.kind);
  }
  std::string operator()(const core::StepBlocked& event) const { return blocked_text(event); }
  std::string operator()(const core::StepProgress& event) const { return progress_text(event); }
  std::string operator()(const core::StepRetry& event) const {
    return fmt::format("{}: {}; attempt {} failed, next in {}{}", id(event.version, event.name), event.reason,
                       event.attempt, human(event.wait), retry_text(event));
  }
  std::string operator()(const core::WaitsSeen& event) const { return waits_text(event); }
  std::string operator()(const core::IndexRepaired& event) const { return event.message; }
  std::string operator()(const core::StepFinished& event) const {
    const core::AppliedStep& step = event.step;
    return fmt::format("{} {} in {}", done(step.direction), id(step.version, step.name), human(step.duration));
  }
  std::string operator()(const core::StepFailed& event) const {
    return fmt::format("{} failed: {}", id(event.version, event.name), one_line(event.error));
  }
  std::string operator()(const core::RunFinished& event) const {
    const core::Report& report = event.report;
    return report.error ? headline(report) + ": " + one_line(*report.error) : headline(report);
  }
};

void put(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) {
    json[key] = value;
  }
}

void put_holder(Json& json, const core::LockHolder& holder) {
  json["holder_pid"] = holder.pid;
  put(json, "holder_application", holder.application_name);
  put(json, "holder_client", holder.client.value_or(""));
  put(json, "holder_user", holder.user.value_or(""));
  if (holder.session_age) {
    json["holder_session_seconds"] = holder.session_age->count();
  }
}

Json blocker_fields(const core::Blocker& blocker) {
  Json json = {{"pid", blocker.pid}};
  put(json, "application_name", blocker.application_name);
  put(json, "backend_type", blocker.backend_type);
  put(json, "client", blocker.client.value_or(""));
  put(json, "user", blocker.user.value_or(""));
  put(json, "state", blocker.state.value_or(""));
  if (blocker.transaction_age) {
    json["transaction_age_seconds"] = blocker.transaction_age->count();
  }
  put(json, "query", blocker.query.value_or(""));
  return json;
}

void put(Json& json, const char* key, const std::vector<core::Blocker>& blockers) {
  for (const core::Blocker& blocker : blockers) {
    json[key].push_back(blocker_fields(blocker));
  }
}

struct Fields {
  Json operator()(const core::RunStarted& event) const {
    Json json = {{"command", event.command}, {"tool_version", event.tool_version}};
    put(json, "environment", event.environment);
    put(json, "url_source", event.url_source);
    return json;
  }
  Json operator()(const core::Note&) const { return Json::object(); }
  Json operator()(const core::ConnectRetry& event) const {
    return {{"target", event.target}, {"reason", event.reason}, {"wait_seconds", report_seconds(event.wait)}};
  }
  Json operator()(const core::Connected& event) const {
    return {{"target", event.target},
            {"database", event.database},
            {"user", event.user},
            {"server_version", event.server_version},
            {"duration_seconds", report_seconds(event.duration)}};
  }
  Json operator()(const core::PlanMade& event) const {
    return {{"known", event.known},
            {"already_applied", event.applied},
            {"pending", event.pending},
            {"ahead", event.ahead},
            {"version_from", event.version}};
  }
  Json operator()(const core::LockWaiting& event) const {
    Json json = {{"waited_seconds", report_seconds(event.waited)}, {"limit_seconds", report_seconds(event.limit)}};
    if (event.holder) {
      put_holder(json, *event.holder);
    }
    return json;
  }
  Json operator()(const core::LockAcquired& event) const { return {{"waited_seconds", report_seconds(event.waited)}}; }
  Json operator()(const core::StepStarted& event) const {
    Json json = {{"version", event.version},
                 {"name", event.name},
                 {"direction", event.direction},
                 {"statements", event.statements},
                 {"transactional", event.transactional}};
    if (event.first_statement > 0) {
      json["first_statement"] = event.first_statement + 1;
    }
    return json;
  }
  Json operator()(const core::StatementFinished& event) const {
    return {{"version", event.version},
            {"statement", event.index + 1},
            {"statements", event.total},
            {"kind", event.kind},
            {"sql", event.text}};
  }
  Json operator()(const core::StepBlocked& event) const {
    Json json = {{"version", event.version}, {"name", event.name}};
    if (event.index) {
      json["statement"] = *event.index + 1;
    }
    json["waited_seconds"] = report_seconds(event.waited);
    json["queued"] = event.queued;
    put(json, "blockers", event.blockers);
    return json;
  }
  Json operator()(const core::StepProgress& event) const {
    Json json = {{"version", event.version}, {"name", event.name}};
    if (event.index) {
      json["statement"] = *event.index + 1;
    }
    json["statements"] = event.total;
    put(json, "kind", event.kind);
    json["running_seconds"] = report_seconds(event.running);
    put(json, "phase", event.phase);
    if (event.fraction) {
      json["percent"] = percent(*event.fraction);
    }
    if (event.left) {
      json["left_seconds"] = report_seconds(*event.left);
    }
    if (event.queued > 0) {
      json["queued"] = event.queued;
    }
    put(json, "waiting_for", event.waiting_for);
    return json;
  }
  Json operator()(const core::StepRetry& event) const {
    Json json = {{"version", event.version},
                 {"name", event.name},
                 {"reason", event.reason},
                 {"attempt", event.attempt},
                 {"wait_seconds", report_seconds(event.wait)},
                 {"queued", event.queued}};
    put(json, "blockers", event.blockers);
    return json;
  }
  Json operator()(const core::WaitsSeen& event) const {
    return {{"version", event.version},
            {"name", event.name},
            {"blocker_pids", event.blockers},
            {"queued", event.queued},
            {"queue_longest_seconds", report_seconds(event.queued_longest)}};
  }
  Json operator()(const core::IndexRepaired& event) const { return {{"index", event.index}}; }
  Json operator()(const core::StepFinished& event) const {
    const core::AppliedStep& step = event.step;
    return {{"version", step.version},
            {"name", step.name},
            {"direction", step.direction},
            {"statements", step.statements},
            {"duration_seconds", report_seconds(step.duration)}};
  }
  Json operator()(const core::StepFailed& event) const {
    Json json = {{"version", event.version}, {"name", event.name}};
    json["outcome"] = std::string(util::exit_code(event.error.outcome).name);
    json["error"] = error_fields(event.error);
    return json;
  }
  Json operator()(const core::RunFinished& event) const { return summary(event.report); }
};

std::string json_record(const std::string& time, const core::Event& event, const LogTrace& trace) {
  Json record = {{"ts", time},
                 {"level", std::string(level_name(level(event)))},
                 {"event", std::string(event_name(event))},
                 {"msg", message(event)}};
  record.update(fields(event));
  put(record, "trace_id", trace.trace_id);
  put(record, "span_id", trace.span_id);
  return record.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string text_record(const std::string& time, const core::Event& event) {
  std::string line = message(event);
  if (const auto* statement = std::get_if<core::StatementFinished>(&event)) {
    line += ": " + statement->text;
  }
  return fmt::format("{} {:<5} {}\n", time, level_name(level(event)), printable(line));
}

}  // namespace

std::string_view level_name(core::Level level) {
  switch (level) {
    case core::Level::debug: return "debug";
    case core::Level::info: return "info";
    case core::Level::warning: return "warn";
    case core::Level::error: return "error";
  }
  return "";
}

core::Level level(const core::Event& event) {
  return std::visit(Level{}, event);
}
std::string_view event_name(const core::Event& event) {
  return std::visit(Name{}, event);
}
std::string message(const core::Event& event) {
  return std::visit(Message{}, event);
}
Json fields(const core::Event& event) {
  return std::visit(Fields{}, event);
}

std::string rfc3339(util::WallTime time) {
  const auto moment = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{moment - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count(), clock.subseconds().count());
}

LogObserver::LogObserver(const util::Clock& clock, LogStyle style, core::Level minimum, std::FILE* out, LogTrace trace)
    : m_clock(clock), m_style(style), m_minimum(minimum), m_out(out), m_trace(std::move(trace)) {}

/// Whether a record would say more than the one before.
bool LogObserver::due(const core::Event& event) {
  const util::SteadyTime now = m_clock.now();
  if (const auto* progress = std::get_if<core::StepProgress>(&event)) {
    return m_progress.due(progress_key(*progress), now);
  }
  if (m_minimum == core::Level::debug) {
    return true;
  }
  if (const auto* retry = std::get_if<core::ConnectRetry>(&event)) {
    return m_retries.due(retry->target + ": " + retry->reason, now);
  }
  const auto* blocked = std::get_if<core::StepBlocked>(&event);
  return blocked == nullptr || m_blocked.due(blocked_key(*blocked), now);
}

void LogObserver::on(const core::Event& event) {
  if (level(event) < m_minimum || !due(event)) {
    return;
  }
  const std::string time = rfc3339(m_clock.wall());
  const std::string record = m_style == LogStyle::json ? json_record(time, event, m_trace) : text_record(time, event);
  static_cast<void>(std::fwrite(record.data(), 1, record.size(), m_out));
  static_cast<void>(std::fflush(m_out));
}

}  // namespace lockkeeper::observe
