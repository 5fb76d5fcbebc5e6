#include "app/deliver.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "observe/metrics.hpp"
#include "observe/push.hpp"
#include "observe/trace.hpp"
#include "util/interrupt.hpp"
#include "util/text.hpp"

namespace lockkeeper::app {

namespace {

using config::MetricsSettings;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

constexpr util::Duration k_after_signal = std::chrono::seconds(2);  // somebody waits for the end

/// Only a regular file: it is read again for each push, and one that can be read once, or makes its reader wait,
/// cannot.
util::Secret read_secret_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored) && !std::filesystem::is_regular_file(path, ignored)) {
    throw Error(Outcome::config, fmt::format("{} is not a regular file", path));
  }
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  std::string secret(util::trim(text.str()));
  if (!file || secret.empty()) {
    throw Error(Outcome::config, fmt::format("cannot read {}, or it is empty", path));
  }
  return util::Secret(std::move(secret));
}

/// What identifies the series beside `job`.
observe::MetricLabels group_labels(const config::Settings& settings, const std::string& database) {
  return {{"namespace", settings.metrics.name_space}, {"database", database}, {"environment", settings.environment}};
}

observe::MetricLabels all_labels(const config::Settings& settings, const std::string& database) {
  observe::MetricLabels labels = group_labels(settings, database);
  labels.emplace(labels.begin(), "job", settings.metrics.job);
  return labels;
}

observe::PushTarget make_target(const MetricsSettings& metrics, const std::string& url) {
  observe::PushTarget target;
  target.url = url;
  target.job = metrics.job;
  target.username = metrics.username;
  target.ca_file = metrics.ca_file;
  target.client_certificate = metrics.client_certificate;
  target.client_key = metrics.client_key;
  target.connect_timeout = metrics.connect_timeout;
  target.timeout = metrics.timeout;
  if (!metrics.password_file.empty()) {  // read again each time: it may have been rotated
    target.password = read_secret_file(metrics.password_file);
  }
  if (!metrics.bearer_token_file.empty()) {
    target.bearer_token = read_secret_file(metrics.bearer_token_file);
  }
  return target;
}

std::string body_for(observe::TargetKind kind, const std::vector<observe::Family>& families,
                     const config::Settings& settings, const std::string& database, const std::string& version,
                     util::WallTime now) {
  switch (kind) {
    case observe::TargetKind::pushgateway: return observe::serialize(families);
    case observe::TargetKind::victoria_metrics: return observe::serialize(families, all_labels(settings, database));
    case observe::TargetKind::otlp:
      return observe::otlp_metrics(families, group_labels(settings, database),
                                   {.service_name = settings.metrics.job, .version = version, .attributes = {}}, now);
  }
  return {};
}

/// To every URL, each with an equal part of the time that is left. Returns a warning for each that failed.
std::vector<std::string> push_to_all(const config::Settings& settings, const std::vector<observe::Family>& families,
                                     const std::string& database, const std::string& version, util::Clock& clock,
                                     observe::PushMode mode, const std::atomic<bool>* stop) {
  constexpr util::Duration k_least{100};
  const bool hurry = util::pending_interrupt().has_value();
  const util::Deadline limit = util::Deadline::after(
      clock, hurry ? std::min(settings.metrics.timeout, k_after_signal) : settings.metrics.timeout);
  const util::WallTime now = clock.wall();
  std::vector<std::string> warnings;
  int left = static_cast<int>(settings.metrics.urls.size());
  for (const std::string& url : settings.metrics.urls) {
    const auto part = limit.remaining(clock).value_or(settings.metrics.timeout) / left--;
    try {
      observe::PushTarget target = make_target(settings.metrics, url);
      target.timeout = std::max(std::chrono::duration_cast<util::Duration>(part), k_least);
      target.labels = group_labels(settings, database);
      target.stop = stop;
      const std::string body = body_for(observe::kind_of(url), families, settings, database, version, now);
      if (auto warning = observe::push(target, mode, body)) {
        warnings.push_back(std::move(*warning));
      }
    } catch (const Error& error) {
      warnings.push_back("metrics not pushed: " + error.info().message);
    }
  }
  return warnings;
}

std::vector<std::string> deliver_all(const config::Settings& settings, const core::Report& report, util::Clock& clock) {
  const MetricsSettings& metrics = settings.metrics;
  if (report.database.empty()) {
    return {"metrics are not delivered: the database was never reached, so its name is not known"};
  }
  std::vector<std::string> warnings;
  if (!metrics.file.empty()) {
    // A file has no group key: what identifies the run stands on each sample.
    const std::string labelled = observe::serialize(report, group_labels(settings, report.database));
    if (auto warning = observe::write_metrics_file(metrics.file, labelled)) {
      warnings.push_back(std::move(*warning));
    }
  }
  const bool success = report.outcome == Outcome::ok;
  for (std::string& warning :
       push_to_all(settings, observe::families(report), report.database, report.tool_version, clock,
                   success ? observe::PushMode::replace : observe::PushMode::merge, nullptr)) {
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

/// Whether the metrics options are for this command.
bool delivers_metrics(const std::string& command) {
  return command == "up" || command == "down";
}

}  // namespace

std::unique_ptr<observe::Heartbeat> make_heartbeat(const config::Settings& settings, const core::Report& report,
                                                   util::Clock& clock, core::Observer& next) {
  const MetricsSettings& metrics = settings.metrics;
  if (!delivers_metrics(settings.command) || metrics.urls.empty() || metrics.interval <= util::Duration::zero()) {
    return nullptr;
  }
  static_cast<void>(observe::start_http());  // before there is a second thread; a push says what is wrong
  return std::make_unique<observe::Heartbeat>(
      next, report, clock, metrics.interval,
      [&settings, &clock](const observe::Live& live, const observe::Moment& now, const std::atomic<bool>& stop) {
        // What fails here fails at the end too, and is told then.
        push_to_all(settings, observe::families(live, now), live.database, live.tool_version, clock,
                    observe::PushMode::merge, &stop);
      });
}

void deliver_metrics(const config::Settings& settings, core::Report& report, util::Clock& clock,
                     core::Observer& observer) {
  const MetricsSettings& metrics = settings.metrics;
  if (!delivers_metrics(settings.command) || (metrics.urls.empty() && metrics.file.empty())) {
    return;
  }
  const std::vector<std::string> warnings = deliver_all(settings, report, clock);
  for (const std::string& warning : warnings) {
    observer.on(core::Note{.level = core::Level::warning, .message = warning});
  }
  if (!warnings.empty() && metrics.required && report.outcome == Outcome::ok) {
    report.outcome = Outcome::metrics_required;
    report.error = ErrorInfo{.outcome = Outcome::metrics_required,
                             .message = "the metrics were not delivered: " + warnings.front(),
                             .hint = "The migrations are applied. --metrics-required makes this an error."};
  }
}

std::string RunTrace::traceparent() const {
  return context ? observe::format_traceparent(*context, span) : std::string();
}

RunTrace make_trace(const config::Environment& environment) {
  const auto variable = [&](std::string_view name) { return config::find_variable(environment, std::string(name)); };
  RunTrace trace;
  trace.otlp = observe::otlp_settings(variable);
  if (const auto parent = variable("TRACEPARENT")) {
    trace.context = observe::parse_trace_context(*parent, variable("TRACESTATE").value_or(""));
  }
  try {
    if (!trace.context && !trace.otlp.traces_url.empty()) {
      trace.context = observe::new_trace();
    }
    trace.span = trace.context ? observe::new_span_id() : std::string();
  } catch (const std::exception& error) {
    trace.context.reset();
    trace.otlp.warnings.push_back(fmt::format("this run is not traced: {}", error.what()));
  }
  return trace;
}

void deliver_trace(const RunTrace& trace, const core::Report& report, core::Observer& observer) {
  if (!trace.context || !trace.context->sampled || trace.otlp.traces_url.empty()) {
    return;
  }
  const observe::OtlpResource resource{.service_name = trace.otlp.service_name,
                                       .version = report.tool_version,
                                       .attributes = trace.otlp.resource_attributes};
  const std::string body = observe::otlp_traces(observe::spans(report, *trace.context, trace.span), resource);
  observe::OtlpSettings settings = trace.otlp;
  if (util::pending_interrupt()) {
    settings.timeout = std::min(settings.timeout, k_after_signal);
  }
  if (auto warning = observe::send_traces(settings, body)) {
    observer.on(core::Note{.level = core::Level::warning, .message = *warning});
  }
}

}  // namespace lockkeeper::app
