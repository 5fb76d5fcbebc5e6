#include "observe/trace.hpp"

#include <utility>

#include <fmt/format.h>

namespace lockkeeper::observe {

namespace {

util::WallTime end_of(util::WallTime began, std::chrono::steady_clock::duration duration) {
  return began + std::chrono::duration_cast<util::WallTime::duration>(duration);
}

bool failed(const core::Report& report) {
  const util::RetryClass retry = util::exit_code(report.outcome).retry;
  return retry == util::RetryClass::fatal || retry == util::RetryClass::retryable;
}

void add(Attributes& attributes, const char* name, const std::string& value) {
  if (!value.empty()) {
    attributes.emplace_back(name, value);
  }
}

template <typename T>
void add(Attributes& attributes, const char* name, const std::optional<T>& value) {
  if (value) {
    attributes.emplace_back(name, static_cast<std::int64_t>(*value));
  }
}

Attributes of_database(const core::Report& report) {
  Attributes attributes;
  add(attributes, "db.system.name", std::string("postgresql"));
  add(attributes, "db.namespace", report.database);
  return attributes;
}

Attributes of_run(const core::Report& report) {
  const util::ExitCode& exit_code = util::exit_code(report.outcome);
  Attributes attributes = of_database(report);
  add(attributes, "lockkeeper.command", report.command);
  attributes.emplace_back("lockkeeper.exit_code", static_cast<std::int64_t>(exit_code.code));
  add(attributes, "lockkeeper.outcome", std::string(exit_code.name));
  add(attributes, "lockkeeper.version_from", report.version_from.value_or(""));
  add(attributes, "lockkeeper.version_to", report.version_to.value_or(""));
  attributes.emplace_back("lockkeeper.migrations.applied", static_cast<std::int64_t>(report.applied.size()));
  add(attributes, "lockkeeper.migrations.pending", report.pending);
  attributes.emplace_back("lockkeeper.lock_timeout_retries", static_cast<std::int64_t>(report.lock_timeout_retries));
  attributes.emplace_back("lockkeeper.blockers_seen", static_cast<std::int64_t>(report.blockers_seen));
  add(attributes, "deployment.environment.name", report.environment);
  if (failed(report)) {
    add(attributes, "error.type", std::string(exit_code.name));
  }
  return attributes;
}

Attributes of_migration(const core::Report& report, const core::AppliedStep& step) {
  Attributes attributes = of_database(report);
  add(attributes, "lockkeeper.migration.version", step.version);
  add(attributes, "lockkeeper.migration.name", step.name);
  add(attributes, "lockkeeper.migration.direction", step.direction);
  attributes.emplace_back("lockkeeper.migration.statements", static_cast<std::int64_t>(step.statements));
  return attributes;
}

class Trace {
 public:
  Trace(const core::Report& report, const TraceContext& context, std::string root_span)
      : m_report(report), m_context(context), m_root(std::move(root_span)) {}

  std::vector<Span> make() {
    add_root();
    for (const core::StageTime& stage : m_report.stages) {
      Span span = child(m_root, stage.stage, stage.began, stage.duration);
      span.kind = stage.stage == "connect" ? SpanKind::client : SpanKind::internal;
      span.attributes = of_database(m_report);
      m_spans.push_back(std::move(span));
    }
    for (const core::AppliedStep& step : m_report.applied) {
      add_migration(step, false);
    }
    if (m_report.failed && failed(m_report)) {  // or else another runner has applied it meanwhile
      add_migration(*m_report.failed, true);
    }
    return std::move(m_spans);
  }

 private:
  Span child(const std::string& parent, const std::string& name, util::WallTime began,
             std::chrono::steady_clock::duration duration) const {
    Span span;
    span.trace_id = m_context.trace_id;
    span.span_id = new_span_id();
    span.parent = parent;
    span.name = name;
    span.start = began;
    span.end = end_of(began, duration);
    span.trace_state = m_context.state;
    return span;
  }

  void add_root() {
    Span root = child(m_context.parent_id, "lockkeeper " + m_report.command, m_report.started, m_report.duration);
    root.span_id = m_root;
    root.attributes = of_run(m_report);
    root.error = failed(m_report);
    if (root.error && m_report.error) {
      root.error_message = m_report.error->message;
    }
    m_spans.push_back(std::move(root));
  }

  /// A migration whose COMMIT was not answered is known to be applied, but not when.
  void add_migration(const core::AppliedStep& step, bool is_failure) {
    if (step.began == util::WallTime()) {
      return;
    }
    const std::string name = step.name.empty() ? step.version : step.version + "_" + step.name;
    Span span = child(stage_around(step.began), fmt::format("{} {}", step.direction, name), step.began, step.duration);
    span.kind = SpanKind::client;
    span.attributes = of_migration(m_report, step);
    span.error = is_failure;
    if (is_failure && m_report.error) {
      add(span.attributes, "error.type", m_report.error->sqlstate);
      span.error_message = m_report.error->message;
    }
    m_spans.push_back(std::move(span));
  }

  /// The root where no stage is known to have been under way.
  [[nodiscard]] std::string stage_around(util::WallTime time) const {
    for (std::size_t i = 0; i < m_report.stages.size(); ++i) {
      const Span& span = m_spans[i + 1];
      if (span.name == "apply" && span.start <= time && time <= span.end) {
        return span.span_id;
      }
    }
    return m_root;
  }

  const core::Report& m_report;
  const TraceContext& m_context;
  std::string m_root;
  std::vector<Span> m_spans;
};

}  // namespace

std::vector<Span> spans(const core::Report& report, const TraceContext& context, const std::string& root_span) {
  return Trace(report, context, root_span).make();
}

}  // namespace lockkeeper::observe
