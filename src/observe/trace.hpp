/// \file
/// A run as a trace: a root span, one for each stage, one for each migration under the stage that applied it.
///
/// Made from the report when the run is over, so that trace, metrics and log say the same. Not for: sending it
/// (otlp.hpp). Names of attributes: https://opentelemetry.io/docs/specs/semconv/database/postgresql/
#pragma once

#include <vector>

#include "core/report.hpp"
#include "observe/otlp.hpp"
#include "observe/trace_context.hpp"

namespace lockkeeper::observe {

/// \param root_span  the run's own span id, which the log names
std::vector<Span> spans(const core::Report& report, const TraceContext& context, const std::string& root_span);

}  // namespace lockkeeper::observe
