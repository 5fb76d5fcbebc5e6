// Receivers other than a Pushgateway: VictoriaMetrics, and OTLP over HTTP. Needs victoria-metrics, python3 and openssl;
// without them these tests fail, they do not skip.
#include <chrono>
#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "observe/metrics.hpp"
#include "observe/otlp.hpp"
#include "observe/push.hpp"
#include "observe/trace_context.hpp"
#include "observe_push/servers.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;
using test::CannedServer;
using test::Certificates;
using test::has;
using test::OtlpReceiver;
using test::report;
using test::VictoriaMetrics;

PushTarget target_for(const std::string& url) {
  ::setenv("no_proxy", "*", 1);  // a developer's proxy is no part of these tests
  PushTarget target;
  target.url = url;
  target.job = "lockkeeper";
  return target;
}

std::string otlp_body() {
  return otlp_metrics(families(report()), {{"namespace", "shop"}, {"database", "app"}, {"environment", ""}},
                      {.service_name = "lockkeeper", .version = "0.1.0", .attributes = {}},
                      util::WallTime(1795356000123ms));
}

std::string trace_body() {
  const TraceContext context = new_trace();
  const auto start = util::WallTime(1795356000043ms);
  const Span root{.trace_id = context.trace_id,
                  .span_id = new_span_id(),
                  .name = "lockkeeper up",
                  .start = start,
                  .end = start + 80ms,
                  .attributes = {{"db.system.name", "postgresql"},
                                 {"lockkeeper.exit_code", std::int64_t{12}},
                                 {"lockkeeper.seconds", 0.08},
                                 {"lockkeeper.dry_run", false}},
                  .events = {{.name = "retry", .at = start + 5ms, .attributes = {{"attempt", std::int64_t{2}}}}},
                  .error = true,
                  .error_message = "column \"seat\" does not exist",
                  .trace_state = "vendor=1"};
  const Span child{.trace_id = context.trace_id,
                   .span_id = new_span_id(),
                   .parent = root.span_id,
                   .name = "apply",
                   .kind = SpanKind::client,
                   .start = start + 1ms,
                   .end = start + 70ms};
  return otlp_traces({root, child}, {.service_name = "lockkeeper",
                                     .version = "0.1.0",
                                     .attributes = {{"service.namespace", "shop"}, {"k8s.pod.name", "job-1"}}});
}

/// The labels of a series in what VictoriaMetrics exports: a line of JSON for each, in any order.
nlohmann::json labels_of(const std::string& name, const std::string& exported) {
  std::istringstream lines(exported);
  for (std::string line; std::getline(lines, line);) {
    const auto series = nlohmann::json::parse(line, nullptr, false);
    if (series.is_object() && series["metric"]["__name__"] == name) {
      return series["metric"];
    }
  }
  return {};
}

/// As otlp_settings() makes them of these variables.
OtlpSettings settings_from(const std::map<std::string, std::string, std::less<>>& variables) {
  return otlp_settings([&](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

}  // namespace

TEST_CASE("VictoriaMetrics takes the text format with the labels on each sample") {
  const VictoriaMetrics server;
  const MetricLabels labels = {{"job", "lockkeeper"}, {"namespace", "shop"}, {"database", "app"}, {"environment", ""}};
  core::Report now = report();
  now.started = std::chrono::system_clock::now();  // it drops what is older than its retention
  const std::string body = serialize(now, labels);
  CHECK(push(target_for(server.url() + "/api/v1/import/prometheus"), PushMode::replace, body) == std::nullopt);
  CHECK(push(target_for(server.url() + "/api/v1/import/prometheus/"), PushMode::merge, body) == std::nullopt);
  const std::string samples = server.exported_with("lockkeeper_schema_version_info");
  CAPTURE(samples);
  CHECK(labels_of("lockkeeper_last_run_exit_code", samples) ==
        nlohmann::json{{"__name__", "lockkeeper_last_run_exit_code"},
                       {"job", "lockkeeper"},
                       {"namespace", "shop"},
                       {"database", "app"}});
  CHECK(labels_of("lockkeeper_schema_version_info", samples)["version"] == "20250520000000");
}

TEST_CASE("a VictoriaMetrics that wants a password says so") {
  CannedServer server("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
  PushTarget target = target_for(server.url() + "/insert/0/prometheus/api/v1/import/prometheus");
  target.username = "me";
  target.password = util::Secret("geheim");
  const std::string warning = push(target, PushMode::replace, "x 1\n").value_or("");
  CHECK(warning ==
        fmt::format("metrics not pushed to {}: HTTP 401 (check user name, password or token): no", server.address()));
  const std::string request = server.requests();
  CHECK(request.starts_with("POST /insert/0/prometheus/api/v1/import/prometheus HTTP/1.1\r\n"));
  CHECK(has(request, "\r\nAuthorization: Basic bWU6Z2VoZWlt\r\n"));
  CHECK(has(request, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
}

TEST_CASE("an OTLP receiver takes the metrics") {
  const OtlpReceiver receiver;
  CHECK(push(target_for(receiver.url() + "/api/v1/otlp/v1/metrics"), PushMode::replace, otlp_body()) == std::nullopt);
  CHECK(receiver.kept("refused-1").empty());
  CHECK(has(receiver.kept("metrics-1.headers"), "POST /api/v1/otlp/v1/metrics HTTP/1.1\n"));
  CHECK(nlohmann::json::parse(receiver.kept("metrics-1.json")) == nlohmann::json::parse(otlp_body()));
}

TEST_CASE("the strict receiver refuses what is not OTLP, with the reason in the warning") {
  const OtlpReceiver receiver;
  std::string wrong = otlp_body();
  wrong.replace(wrong.find("asDouble"), 8, "as_double");
  const std::string warning = push(target_for(receiver.url() + "/v1/metrics"), PushMode::merge, wrong).value_or("");
  CAPTURE(warning);
  CHECK(warning.starts_with(fmt::format("metrics not pushed to {}: HTTP 400: ", receiver.address())));
  CHECK(has(warning, "as_double: NumberDataPoint has no such field here"));
}

TEST_CASE("what a receiver took in part only is a warning with its words") {
  const std::string body = R"({"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"out of order\nsample"}})";
  const CannedServer server(fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  CHECK(push(target_for(server.url() + "/v1/metrics"), PushMode::merge, otlp_body()) ==
        fmt::format("metrics not taken in full by {}: 2 data points rejected: out of order sample", server.address()));
}

TEST_CASE("an OTLP receiver takes a trace, with the headers that the environment asks for") {
  const OtlpReceiver receiver;
  const OtlpSettings settings =
      settings_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url() + "/otlp/"},
                     {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20bWU6Z2VoZWlt,x-tenant=shop"}});
  CHECK(send_traces(settings, trace_body()) == std::nullopt);
  CHECK(receiver.kept("refused-1").empty());
  const std::string headers = receiver.kept("traces-1.headers");
  CAPTURE(headers);
  CHECK(has(headers, "POST /otlp/v1/traces HTTP/1.1\n"));
  CHECK(has(headers, "\nauthorization: Basic bWU6Z2VoZWlt\n"));
  CHECK(has(headers, "\nx-tenant: shop\n"));
  const auto spans =
      nlohmann::json::parse(receiver.kept("traces-1.json"))["resourceSpans"][0]["scopeSpans"][0]["spans"];
  CHECK(spans.size() == 2);
  CHECK(spans[1]["parentSpanId"] == spans[0]["spanId"]);
}

TEST_CASE("a trace goes over https to a receiver that wants a client certificate") {
  const Certificates certificates;
  const OtlpReceiver receiver(
      {"--certificate", certificates.path("server-both.pem"), "--client-ca", certificates.path("ca.pem")});
  std::map<std::string, std::string, std::less<>> variables = {
      {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", receiver.url() + "/v1/traces"},
      {"OTEL_EXPORTER_OTLP_CERTIFICATE", certificates.path("ca.pem")},
      {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificates.path("client.pem")},
      {"OTEL_EXPORTER_OTLP_CLIENT_KEY", certificates.path("client-key.pem")}};
  CHECK(send_traces(settings_from(variables), trace_body()) == std::nullopt);
  CHECK_FALSE(receiver.kept("traces-1.json").empty());
  variables.erase("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE");
  variables.erase("OTEL_EXPORTER_OTLP_CLIENT_KEY");
  const std::string warning = send_traces(settings_from(variables), trace_body()).value_or("");
  CHECK(warning.starts_with("trace not sent to " + receiver.address() + ": "));
  CHECK(receiver.kept("traces-2.json").empty());
}

TEST_CASE("a trace that is refused is a warning without the token") {
  const CannedServer server("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
  const OtlpSettings settings = settings_from(
      {{"OTEL_EXPORTER_OTLP_ENDPOINT", server.url()}, {"OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer geheim"}});
  CHECK(send_traces(settings, trace_body()) ==
        fmt::format("trace not sent to {}: HTTP 401 (check user name, password or token)", server.address()));
}

TEST_CASE("an endpoint that is no URL is a warning that does not repeat it") {
  const OtlpSettings settings = settings_from({{"OTEL_EXPORTER_OTLP_ENDPOINT", "me:geheim@collector:4318"}});
  const std::string warning = send_traces(settings, trace_body()).value_or("");
  CHECK(warning.starts_with("trace not sent: the endpoint cannot be used: "));
  CHECK_FALSE(has(warning, "geheim"));
}

TEST_CASE("without an endpoint nothing is sent and nothing is said") {
  CHECK(send_traces(settings_from({}), trace_body()) == std::nullopt);
}

}  // namespace lockkeeper::observe
