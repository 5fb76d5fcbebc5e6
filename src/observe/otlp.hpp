/// \file
/// OTLP over HTTP with JSON bodies: metrics (sent by push.hpp), traces, and the environment variables of OpenTelemetry.
///
/// Why JSON and no library: docs/decisions/0009-otlp.md. Sources: https://opentelemetry.io/docs/specs/otlp/,
/// https://opentelemetry.io/docs/specs/otel/protocol/exporter/,
/// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/,
/// https://github.com/open-telemetry/opentelemetry-proto
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "observe/family.hpp"
#include "util/clock.hpp"
#include "util/secret.hpp"

namespace lockkeeper::observe {

/// Who sends.
struct OtlpResource {
  std::string service_name;  ///< metrics: the job, because Prometheus makes `job` from it
  std::string version;       ///< service.version, unless the attributes have one
  MetricLabels attributes;   ///< more of them; empty values and service.name are left out. None for metrics: Prometheus
                             ///< makes `job` and `instance` from some
};

/// ExportMetricsServiceRequest: each family a gauge of its own name, without a unit (a receiver may append the unit to
/// the name); \p labels and the family's own label are attributes of each data point, empty values left out. Put
/// `namespace` among the labels and nothing into service.namespace: Prometheus would make it part of `job`.
std::string otlp_metrics(const std::vector<Family>& families, const MetricLabels& labels, const OtlpResource& resource,
                         util::WallTime now);

using AttributeValue = std::variant<std::string, std::int64_t, double, bool>;
using Attributes = std::vector<std::pair<std::string, AttributeValue>>;

struct SpanEvent {
  std::string name;
  util::WallTime at;
  Attributes attributes;
};

enum class SpanKind { internal = 1, client = 3 };

struct Span {
  std::string trace_id;  ///< 32 lower-case hexadecimal digits (trace_context.hpp)
  std::string span_id;   ///< 16
  std::string parent;    ///< span id; empty = the root of the trace
  std::string name;
  SpanKind kind = SpanKind::internal;
  util::WallTime start;
  util::WallTime end;
  Attributes attributes;
  std::vector<SpanEvent> events;
  bool error = false;
  std::string error_message;
  std::string trace_state;  ///< TraceContext::state
};

/// ExportTraceServiceRequest.
std::string otlp_traces(const std::vector<Span>& spans, const OtlpResource& resource);

/// Where traces go, from the variables of OpenTelemetry's specification.
struct OtlpSettings {
  std::string traces_url;                                     ///< empty = no traces
  std::vector<std::pair<std::string, util::Secret>> headers;  ///< often a token
  util::Duration timeout{5000};                               ///< at most 10 s
  std::string ca_file;
  std::string client_certificate;
  std::string client_key;
  std::string service_name = "lockkeeper";
  MetricLabels resource_attributes;   ///< without service.name
  std::vector<std::string> warnings;  ///< one for each value that cannot be used (lower case, no full stop, no secret)
};

/// The value of an environment variable; nullopt when it is not set.
using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

/// Read: OTEL_EXPORTER_OTLP_[TRACES_]{ENDPOINT,HEADERS,TIMEOUT,CERTIFICATE,CLIENT_CERTIFICATE,CLIENT_KEY,PROTOCOL},
/// OTEL_TRACES_EXPORTER, OTEL_SDK_DISABLED, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES. What is empty counts as not
/// set. Without an endpoint nothing is sent: unlike in the specification there is no default, because a Job has no
/// collector beside it. Never throws: a bad value is a warning and the default.
OtlpSettings otlp_settings(const Lookup& variable);

/// Sends an otlp_traces() body to OtlpSettings::traces_url; bounded and retried as http.hpp says.
/// \return a warning (lower case, no full stop) when it was not accepted in full, never with a credential
std::optional<std::string> send_traces(const OtlpSettings& settings, const std::string& body,
                                       const std::atomic<bool>* stop = nullptr);

/// What a receiver that answered 2xx did not take: "2 data points rejected: out of order"; empty = took everything.
/// \p answer is an Export...ServiceResponse; anything else is taken for "everything".
std::string rejected_part(const std::string& answer);

}  // namespace lockkeeper::observe
