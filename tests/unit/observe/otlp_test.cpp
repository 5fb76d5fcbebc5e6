#include "observe/otlp.hpp"

#include <map>
#include <string>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

// The bodies as JSON, and the environment. What a receiver says to them: tests/observe_push/.
namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using Variables = std::map<std::string, std::string, std::less<>>;

constexpr util::WallTime k_now{1795356000123ms};

OtlpSettings settings_from(const Variables& variables) {
  return otlp_settings([&](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

/// With an endpoint beside \p variables.
OtlpSettings settings_with(Variables variables) {
  variables.emplace("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
  return settings_from(variables);
}

Span span() {
  Span span;
  span.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
  span.span_id = "00f067aa0ba902b7";
  span.name = "lockkeeper up";
  span.start = util::WallTime(1795356000043ms);
  span.end = k_now;
  return span;
}

Json sent(const Span& span) {
  const Json body = Json::parse(otlp_traces({span}, {.service_name = "x", .version = "1", .attributes = {}}));
  return body["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
}

/// The resource of a body, as key -> AnyValue.
std::map<std::string, Json> resource_of(const OtlpResource& resource) {
  const Json body = Json::parse(otlp_metrics({}, {}, resource, k_now));
  std::map<std::string, Json> attributes;
  for (const Json& attribute : body["resourceMetrics"][0]["resource"]["attributes"]) {
    CHECK(attributes.emplace(attribute["key"], attribute["value"]).second);
  }
  return attributes;
}

std::string only_warning(const OtlpSettings& settings) {
  CHECK(settings.warnings.size() == 1);
  return settings.warnings.empty() ? "" : settings.warnings.front();
}

}  // namespace

// What the schema and the JSON mapping ask for: names in camelCase; timeUnixNano is fixed64, so it is a string;
// asDouble is a number; no unit, which Prometheus would append to the name; the labels on every data point;
// service.name is the job, and there is no service.namespace, because Prometheus' `job` is
// "service.namespace/service.name".
TEST_CASE("metrics are gauges with their labels on each data point") {
  const std::vector<Family> families = {
      {.name = "lockkeeper_last_run_exit_code",
       .label = "",
       .help = "Exit code.",
       .samples = {{.label_value = "", .value = 12}}},
      {.name = "lockkeeper_stage_duration_seconds",
       .label = "stage",
       .help = "How long.",
       .samples = {{.label_value = "connect", .value = 0.25}, {.label_value = "apply", .value = 1.5}}},
      {.name = "lockkeeper_not_known", .label = "", .help = "Left out.", .samples = {}}};
  const std::string body = otlp_metrics(families, {{"namespace", "shop"}, {"database", "app"}, {"environment", ""}},
                                        {.service_name = "lockkeeper", .version = "0.1.0", .attributes = {}}, k_now);
  const char* expected = R"({"resourceMetrics": [{
    "resource": {"attributes": [
      {"key": "service.name", "value": {"stringValue": "lockkeeper"}},
      {"key": "service.version", "value": {"stringValue": "0.1.0"}}]},
    "scopeMetrics": [{
      "scope": {"name": "lockkeeper", "version": "0.1.0"},
      "metrics": [
        {"name": "lockkeeper_last_run_exit_code", "description": "Exit code.", "gauge": {"dataPoints": [
          {"attributes": [{"key": "namespace", "value": {"stringValue": "shop"}},
                          {"key": "database", "value": {"stringValue": "app"}}],
           "timeUnixNano": "1795356000123000000", "asDouble": 12.0}]}},
        {"name": "lockkeeper_stage_duration_seconds", "description": "How long.", "gauge": {"dataPoints": [
          {"attributes": [{"key": "namespace", "value": {"stringValue": "shop"}},
                          {"key": "database", "value": {"stringValue": "app"}},
                          {"key": "stage", "value": {"stringValue": "connect"}}],
           "timeUnixNano": "1795356000123000000", "asDouble": 0.25},
          {"attributes": [{"key": "namespace", "value": {"stringValue": "shop"}},
                          {"key": "database", "value": {"stringValue": "app"}},
                          {"key": "stage", "value": {"stringValue": "apply"}}],
           "timeUnixNano": "1795356000123000000", "asDouble": 1.5}]}}]}]}]})";
  CHECK(Json::parse(body) == Json::parse(expected));
}

TEST_CASE("a Unix time keeps its milliseconds") {
  const std::string body =
      otlp_metrics({{.name = "t", .label = "", .help = "", .samples = {{.label_value = "", .value = 1795356000.123}}}},
                   {}, {}, k_now);
  CHECK(body.find("\"asDouble\":1795356000.123}") != std::string::npos);
}

TEST_CASE("the resource says who sends; an attribute is never there twice") {
  const auto attributes =
      resource_of({.service_name = "lockkeeper",
                   .version = "0.1.0",
                   .attributes = {{"service.name", "other"}, {"service.version", "7"}, {"empty", ""}, {"a", "b"}}});
  CHECK(attributes.size() == 3);
  CHECK(attributes.at("service.name") == Json{{"stringValue", "lockkeeper"}});
  CHECK(attributes.at("service.version") == Json{{"stringValue", "7"}});
  CHECK(attributes.at("a") == Json{{"stringValue", "b"}});
}

// traceId and spanId in hexadecimal, not base64 as other bytes; kind and code are the enums' numbers; a 64-bit integer
// is a string, a double and a bool are not.
TEST_CASE("a span is as the schema says") {
  Span all = span();
  all.parent = "b7ad6b7169203331";
  all.kind = SpanKind::client;
  all.attributes = {{"db.system.name", "postgresql"}, {"n", std::int64_t{-7}}, {"d", 0.5}, {"b", true}};
  all.events = {{.name = "retry", .at = k_now, .attributes = {{"attempt", std::int64_t{2}}}}};
  all.error = true;
  all.error_message = "no such column";
  all.trace_state = "rojo=1";
  CHECK(sent(all) == Json::parse(R"({
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "traceState": "rojo=1",
    "parentSpanId": "b7ad6b7169203331", "name": "lockkeeper up", "kind": 3,
    "startTimeUnixNano": "1795356000043000000", "endTimeUnixNano": "1795356000123000000",
    "attributes": [{"key": "db.system.name", "value": {"stringValue": "postgresql"}},
                   {"key": "n", "value": {"intValue": "-7"}}, {"key": "d", "value": {"doubleValue": 0.5}},
                   {"key": "b", "value": {"boolValue": true}}],
    "events": [{"timeUnixNano": "1795356000123000000", "name": "retry",
                "attributes": [{"key": "attempt", "value": {"intValue": "2"}}]}],
    "status": {"message": "no such column", "code": 2}})"));
}

TEST_CASE("what a span does not have is left out: no parent, no state, no events, no status") {
  CHECK(sent(span()) == Json::parse(R"({
    "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7", "name": "lockkeeper up", "kind": 1,
    "startTimeUnixNano": "1795356000043000000", "endTimeUnixNano": "1795356000123000000", "attributes": []})"));
}

TEST_CASE("text that is not UTF-8 does not break the body") {
  Span broken = span();
  broken.error = true;
  broken.error_message = "a\xFFz\n\"";
  CHECK(sent(broken)["status"]["message"] == "a\xEF\xBF\xBDz\n\"");
}

TEST_CASE("without an endpoint there are no traces, and nothing is said about the rest") {
  const OtlpSettings settings =
      settings_from({{"OTEL_EXPORTER_OTLP_TIMEOUT", "soon"}, {"OTEL_SERVICE_NAME", "shop-db"}});
  CHECK(settings.traces_url.empty());
  CHECK(settings.warnings.empty());
  CHECK(settings.service_name == "shop-db");
  CHECK(settings_from({}).service_name == "lockkeeper");
}

TEST_CASE("the common endpoint gets the signal's path, the signal's own is used as it is") {
  const auto url = [](const Variables& variables) { return settings_from(variables).traces_url; };
  CHECK(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318"}}) == "http://c:4318/v1/traces");
  CHECK(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", " http://c:4318/base/ "}}) == "http://c:4318/base/v1/traces");
  CHECK(url({{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318/other/"}}) == "http://c:4318/other/");
  CHECK(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://b:2"}}) ==
        "http://b:2");
  CHECK(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:1"}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", ""}}) ==
        "http://a:1/v1/traces");
}

TEST_CASE("the SDK's switches turn traces off") {
  CHECK(settings_with({{"OTEL_SDK_DISABLED", "TRUE"}}).traces_url.empty());
  CHECK(settings_with({{"OTEL_TRACES_EXPORTER", "none"}}).traces_url.empty());
  CHECK(settings_with({{"OTEL_TRACES_EXPORTER", "none"}}).warnings.empty());
  CHECK_FALSE(settings_with({{"OTEL_SDK_DISABLED", "false"}}).traces_url.empty());
  CHECK_FALSE(settings_with({{"OTEL_TRACES_EXPORTER", "console, otlp"}}).traces_url.empty());
  const OtlpSettings zipkin = settings_with({{"OTEL_TRACES_EXPORTER", "zipkin"}});
  CHECK(zipkin.traces_url.empty());
  CHECK(only_warning(zipkin) == "OTEL_TRACES_EXPORTER is zipkin: only otlp is known here, so no trace is sent");
  const OtlpSettings odd = settings_with({{"OTEL_SDK_DISABLED", "yes"}});
  CHECK_FALSE(odd.traces_url.empty());
  CHECK(only_warning(odd) == "OTEL_SDK_DISABLED is neither true nor false: taken for false");
}

TEST_CASE("gRPC is not spoken: one clear warning, and nothing is sent") {
  CHECK_FALSE(settings_with({{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"}}).traces_url.empty());
  CHECK_FALSE(settings_with({{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}}).traces_url.empty());
  const OtlpSettings grpc = settings_with({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}});
  CHECK(grpc.traces_url.empty());
  CHECK(only_warning(grpc) ==
        "OTEL_EXPORTER_OTLP_PROTOCOL is grpc: only OTLP over HTTP is spoken here: no trace is sent; give http/json and "
        "the receiver's HTTP port, which often is 4318");
  const OtlpSettings own =
      settings_with({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"}});
  CHECK_FALSE(own.traces_url.empty());
  CHECK(own.warnings.empty());
}

TEST_CASE("headers are percent-decoded; the signal's own replace the common ones") {
  const auto headers = [](const Variables& variables) {
    std::vector<std::pair<std::string, std::string>> list;
    for (const auto& [name, value] : settings_with(variables).headers) {
      list.emplace_back(name, value.reveal());
    }
    return list;
  };
  using List = std::vector<std::pair<std::string, std::string>>;
  CHECK(headers({{"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20bWU6eA==, x-tenant = a%2Cb ,"}}) ==
        List{{"authorization", "Basic bWU6eA=="}, {"x-tenant", "a,b"}});
  CHECK(headers({{"OTEL_EXPORTER_OTLP_HEADERS", "a=1"}, {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"}}) ==
        List{{"b", "2"}});
}

TEST_CASE("an entry that would be no header is left out, and the warning does not show it") {
  for (const char* entry : {"geheim", "=geheim", "a b=geheim", "a=geheim%0d%0aHost: evil", "a=geheim%", "a=geheim%4",
                            "a=geheim%zz", "a%3A=geheim", "a=", "a=geheim%00"}) {
    CAPTURE(entry);
    const OtlpSettings settings = settings_with({{"OTEL_EXPORTER_OTLP_HEADERS", "x=1," + std::string(entry) + ",y=2"}});
    CHECK(settings.headers.size() == 2);
    CHECK(only_warning(settings) == "OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not name=value of a header: not sent");
  }
}

TEST_CASE("the time limit is in milliseconds, and never longer than 10 s") {
  const auto timeout = [](const char* text) { return settings_with({{"OTEL_EXPORTER_OTLP_TIMEOUT", text}}); };
  CHECK(settings_with({}).timeout == 5s);
  CHECK(timeout("1500").timeout == 1500ms);
  CHECK(timeout("10000").timeout == 10s);
  CHECK(timeout("10000").warnings.empty());
  CHECK(timeout("60000").timeout == 10s);
  CHECK(only_warning(timeout("60000")) ==
        "OTEL_EXPORTER_OTLP_TIMEOUT is longer than a run waits for its trace: 10000 ms are used");
  for (const char* text : {"5s", "0", "-1", "1.5", "99999999999999999999", "0x10"}) {
    CAPTURE(text);
    CHECK(timeout(text).timeout == 5s);
    CHECK(only_warning(timeout(text)) == "OTEL_EXPORTER_OTLP_TIMEOUT is not a number of milliseconds: 5000 is used");
  }
}

TEST_CASE("certificates are files, the signal's own go before the common ones") {
  const OtlpSettings settings = settings_with({{"OTEL_EXPORTER_OTLP_CERTIFICATE", "/tls/ca.pem"},
                                               {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/tls/common.pem"},
                                               {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/tls/traces.pem"},
                                               {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/tls/key.pem"}});
  CHECK(settings.ca_file == "/tls/ca.pem");
  CHECK(settings.client_certificate == "/tls/traces.pem");
  CHECK(settings.client_key == "/tls/key.pem");
}

TEST_CASE("resource attributes are percent-decoded, and service.name is the service's name") {
  const OtlpSettings settings =
      settings_with({{"OTEL_RESOURCE_ATTRIBUTES", "service.name=shop-db,k8s.pod.name=job%2D1,team=a%2Cb"}});
  CHECK(settings.service_name == "shop-db");
  CHECK(settings.resource_attributes == MetricLabels{{"k8s.pod.name", "job-1"}, {"team", "a,b"}});
  CHECK(settings_with({{"OTEL_RESOURCE_ATTRIBUTES", "service.name=a"}, {"OTEL_SERVICE_NAME", "b"}}).service_name ==
        "b");
}

TEST_CASE("resource attributes with a mistake are dropped as a whole, as the specification asks") {
  const OtlpSettings settings = settings_with({{"OTEL_RESOURCE_ATTRIBUTES", "service.name=shop-db,team"}});
  CHECK(settings.resource_attributes.empty());
  CHECK(settings.service_name == "lockkeeper");
  CHECK(only_warning(settings) ==
        "OTEL_RESOURCE_ATTRIBUTES is not a list of name=value, with % for special characters: not used");
}

TEST_CASE("what a receiver did not take is told with its words") {
  CHECK(rejected_part("").empty());
  CHECK(rejected_part("{}").empty());
  CHECK(rejected_part("[1]").empty());
  CHECK(rejected_part("no JSON").empty());
  CHECK(rejected_part(R"({"partialSuccess":{}})").empty());
  CHECK(rejected_part(R"({"partialSuccess":null})").empty());
  CHECK(rejected_part(R"({"partialSuccess":{"rejectedSpans":"0","errorMessage":"a hint"}})").empty());
  CHECK(rejected_part(R"({"partialSuccess":{"rejectedSpans":1}})") == "1 span rejected");
  CHECK(rejected_part(R"({"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old\u001b[31m"}})") ==
        "3 data points rejected: too old [31m");
  CHECK(rejected_part(R"({"partialSuccess":{"rejectedSpans":[7]}})").empty());
}

}  // namespace lockkeeper::observe
