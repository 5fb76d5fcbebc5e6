/// \file
/// Hands a run's numbers and its trace to whoever wants them: while it goes on, and at its end.
///
/// A receiver that fails is a warning and never changes how the run went, unless --metrics-required says so.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "config/environment.hpp"
#include "config/settings.hpp"
#include "core/events.hpp"
#include "core/report.hpp"
#include "observe/heartbeat.hpp"
#include "observe/otlp.hpp"
#include "observe/trace_context.hpp"

namespace lockkeeper::app {

/// The observer that also tells receivers that the run is alive; nullptr when nobody wants to know.
std::unique_ptr<observe::Heartbeat> make_heartbeat(const config::Settings& settings, const core::Report& report,
                                                   util::Clock& clock, core::Observer& next);

/// At the end: to every URL and into the file. Each failure is told as a warning; with --metrics-required it becomes
/// the outcome of a run that went well.
void deliver_metrics(const config::Settings& settings, core::Report& report, util::Clock& clock,
                     core::Observer& observer);

/// Which trace the run belongs to, from TRACEPARENT and the OTEL_ variables.
struct RunTrace {
  std::optional<observe::TraceContext> context;  ///< nullopt: not traced
  std::string span;                              ///< of the run
  observe::OtlpSettings otlp;

  /// W3C traceparent of the run for what it calls; empty = not traced.
  [[nodiscard]] std::string traceparent() const;
};
RunTrace make_trace(const config::Environment& environment);

/// Sends the trace where OTEL_EXPORTER_OTLP_ENDPOINT says. A failure is told as a warning.
void deliver_trace(const RunTrace& trace, const core::Report& report, core::Observer& observer);

}  // namespace lockkeeper::app
