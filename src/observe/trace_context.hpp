/// \file
/// Which trace a run belongs to: W3C Trace Context, as a pipeline hands it down in TRACEPARENT and TRACESTATE.
///
/// Sources: https://www.w3.org/TR/trace-context/,
/// https://opentelemetry.io/docs/specs/otel/context/env-carriers/
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lockkeeper::observe {

struct TraceContext {
  std::string trace_id;   ///< 32 lower-case hexadecimal digits, not all zero
  std::string parent_id;  ///< the caller's span: 16 of them, not all zero; empty = this run begins the trace
  bool sampled = true;    ///< false: whoever began the trace does not record it, so nothing is exported
  std::string state;      ///< tracestate, passed on as it is; empty = none
};

/// The caller's context. nullopt when \p traceparent is not valid: a trace of our own is begun then, as the
/// specification asks. Of a version above 00 the four fields that version 00 has are used. \p tracestate is dropped,
/// with nothing else lost, when it is longer than 512 bytes or has characters other than printable ASCII.
std::optional<TraceContext> parse_trace_context(std::string_view traceparent, std::string_view tracestate = {});
/// The beginning of a trace: a random trace id, no parent, sampled.
TraceContext new_trace();

/// Random, never all zero. \throws std::runtime_error when the operating system has no random bytes.
std::string new_trace_id();
std::string new_span_id();

/// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": \p span_id is the sender's own span.
std::string format_traceparent(const TraceContext& context, std::string_view span_id);

}  // namespace lockkeeper::observe
