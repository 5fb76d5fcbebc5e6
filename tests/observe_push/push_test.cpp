// observe::push() against a real Pushgateway, and against servers that misbehave. Needs openssl beside what servers.hpp
// needs; without it these tests fail, they do not skip.
#include "observe/push.hpp"

#include <chrono>
#include <cstdlib>
#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "observe/metrics.hpp"
#include "observe_push/servers.hpp"
#include "util/error.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;
using test::CannedServer;
using test::Certificates;
using test::free_address;
using test::has;
using test::Pushgateway;
using test::report;
using test::Socket;

PushTarget target_for(const std::string& url) {
  ::setenv("no_proxy", "*", 1);  // a developer's proxy is no part of these tests
  PushTarget target;
  target.url = url;
  target.job = "lockkeeper";
  target.labels = {{"namespace", "shop"}, {"database", "app"}, {"environment", ""}};
  return target;
}

// "geheim", cost 4. Made with: perl -e 'print crypt("geheim", q($2b$04$abcdefghijklmnopqrstuu))'
constexpr const char* k_basic_auth =
    "basic_auth_users:\n  pusher: '$2b$04$abcdefghijklmnopqrstuuPWRtT5yx7FBi4dcf6ROhboeNunUrLQ.'\n";

}  // namespace

TEST_CASE("a success replaces the group: what an earlier run sent is gone") {
  const Pushgateway gateway;
  const PushTarget target = target_for(gateway.url());
  REQUIRE(push(target, PushMode::replace, "# TYPE lockkeeper_old gauge\nlockkeeper_old 1\n") == std::nullopt);
  REQUIRE(has(gateway.metrics(), R"(lockkeeper_old{database="app",instance="",job="lockkeeper",namespace="shop"} 1)"));
  REQUIRE(push(target, PushMode::replace, serialize(report(util::Outcome::ok))) == std::nullopt);
  const std::string metrics = gateway.metrics();
  CHECK_FALSE(has(metrics, "lockkeeper_old"));
  const std::string group = R"(database="app",instance="",job="lockkeeper",namespace="shop")";
  CHECK(has(metrics, "lockkeeper_last_run_success{" + group + "} 1\n"));
  CHECK(has(metrics, "lockkeeper_last_success_timestamp_seconds{" + group + "} 1.795356000123e+09\n"));
  CHECK(has(metrics, "lockkeeper_migration_duration_seconds{" + group + ",version=\"20250520000000\"} 0.012\n"));
}

TEST_CASE("a failure is merged: the time of the last success survives") {
  const Pushgateway gateway;
  const PushTarget target = target_for(gateway.url());
  REQUIRE(push(target, PushMode::replace, serialize(report(util::Outcome::ok))) == std::nullopt);
  core::Report failed = report(util::Outcome::sql);
  failed.started += 1h;
  REQUIRE(push(target, PushMode::merge, serialize(failed)) == std::nullopt);
  const std::string metrics = gateway.metrics();
  const std::string group = R"({database="app",instance="",job="lockkeeper",namespace="shop"})";
  CHECK(has(metrics, "lockkeeper_last_success_timestamp_seconds" + group + " 1.795356000123e+09\n"));
  CHECK(has(metrics, "lockkeeper_last_run_timestamp_seconds" + group + " 1.795359600123e+09\n"));
  CHECK(has(metrics, "lockkeeper_last_run_success" + group + " 0\n"));
  CHECK(has(metrics, "lockkeeper_last_run_exit_code" + group + " 12\n"));
}

TEST_CASE("group labels with a slash or other characters arrive as they are") {
  const Pushgateway gateway;
  PushTarget target = target_for(gateway.url());
  target.labels = {{"namespace", "team/shop"}, {"database", "Größe 100%"}, {"environment", ".."}};
  REQUIRE(push(target, PushMode::replace, "x 1\n") == std::nullopt);
  CHECK(has(gateway.metrics(),
            R"(x{database="Größe 100%",environment="..",instance="",job="lockkeeper",namespace="team/shop"} 1)"));
}

TEST_CASE("a path in the URL is kept, with or without a slash at its end") {
  const Pushgateway gateway({}, {"--web.route-prefix=/push/gateway"});
  CHECK(push(target_for(gateway.url() + "/push/gateway"), PushMode::replace, "a 1\n") == std::nullopt);
  CHECK(push(target_for(gateway.url() + "/push/gateway//"), PushMode::merge, "b 1\n") == std::nullopt);
  const std::string metrics = gateway.metrics("/push/gateway");
  CHECK(has(metrics, "\na{"));
  CHECK(has(metrics, "\nb{"));
  CHECK(push(target_for(gateway.url()), PushMode::replace, "a 1\n")
            .value()
            .starts_with(
                fmt::format("metrics not pushed to {}: HTTP 404 (check the path in the URL)", gateway.address())));
}

TEST_CASE("a push that the Pushgateway refuses is a warning with its own words") {
  const Pushgateway gateway;
  REQUIRE(push(target_for(gateway.url()), PushMode::replace, "# TYPE x gauge\nx 1\n") == std::nullopt);
  PushTarget other = target_for(gateway.url());
  other.labels = {{"database", "other"}};
  const std::string warning = push(other, PushMode::replace, "# TYPE x counter\nx 1\n").value_or("");
  CAPTURE(warning);
  CHECK(warning.starts_with(fmt::format("metrics not pushed to {}: HTTP 400: ", gateway.address())));
  CHECK(has(warning, "pushed metrics are invalid or inconsistent with existing metrics"));
  CHECK_FALSE(has(warning, "\n"));
}

TEST_CASE("basic authentication comes from the settings or from the URL, and is never shown") {
  const Pushgateway gateway(k_basic_auth, {}, false, "pusher:geheim");
  PushTarget with_settings = target_for(gateway.url());
  with_settings.username = "pusher";
  with_settings.password = util::Secret("geheim");
  CHECK(push(with_settings, PushMode::replace, "a 1\n") == std::nullopt);
  CHECK(push(target_for("http://pusher:%67eheim@" + gateway.address()), PushMode::merge, "b 1\n") == std::nullopt);
  CHECK(has(gateway.metrics(), "\na{"));
  CHECK(has(gateway.metrics(), "\nb{"));

  const std::string refused = fmt::format(
      "metrics not pushed to {}: HTTP 401 (check user name, password or token): Unauthorized", gateway.address());
  CHECK(push(target_for(gateway.url()), PushMode::replace, "a 1\n") == refused);
  CHECK(push(target_for("http://pusher:wrong@" + gateway.address()), PushMode::replace, "a 1\n") == refused);
  with_settings.password = util::Secret("wrong");
  CHECK(push(with_settings, PushMode::replace, "a 1\n") == refused);
}

TEST_CASE("the request is what the Pushgateway's documentation asks for") {
  CannedServer server("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  PushTarget target = target_for(server.url() + "/base?tenant=7");
  target.bearer_token = util::Secret("a-token");
  target.username = "not used";
  REQUIRE(push(target, PushMode::replace, "x 1\n") == std::nullopt);
  const std::string request = server.requests();
  CAPTURE(request);
  CHECK(request.starts_with("PUT /base/metrics/job/lockkeeper/namespace/shop/database/app?tenant=7 HTTP/1.1\r\n"));
  CHECK(has(request, "\r\nAuthorization: Bearer a-token\r\n"));
  CHECK(has(request, "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  CHECK(has(request, "\r\nUser-Agent: lockkeeper/"));
  CHECK(has(request, "\r\nContent-Length: 4\r\n"));
  CHECK_FALSE(has(request, "Expect:"));
  CHECK(request.ends_with("\r\n\r\nx 1\n"));
}

TEST_CASE("a large body is sent at once, without waiting for 100 Continue") {
  CannedServer server("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
  const std::string body = std::string(2'000'000, '#') + "\n";
  REQUIRE(push(target_for(server.url()), PushMode::merge, body) == std::nullopt);
  CHECK(server.requests().starts_with("POST /metrics/job/lockkeeper/namespace/shop/database/app HTTP/1.1\r\n"));
  CHECK(server.requests().size() > body.size());
}

TEST_CASE("a server that takes the request and never answers costs no more than the time limit") {
  CannedServer server("");
  PushTarget target = target_for(server.url());
  target.timeout = 300ms;
  const auto begin = std::chrono::steady_clock::now();
  const std::string warning = push(target, PushMode::replace, "x 1\n").value_or("");
  const auto took = std::chrono::steady_clock::now() - begin;
  CAPTURE(warning);
  CHECK(warning.starts_with(fmt::format("metrics not pushed to {}: Operation timed out", server.address())));
  CHECK(took >= 250ms);
  CHECK(took < 2s);
}

TEST_CASE("a port where nobody accepts costs no more than the time limit") {
  const Socket listening;  // the kernel completes the connection, nobody reads
  PushTarget target = target_for("http://" + listening.address());
  target.timeout = 300ms;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(push(target, PushMode::replace, "x 1\n").has_value());
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
}

TEST_CASE("a refused connection is a warning that names host and port and no credentials") {
  const std::string address = free_address();
  const std::string warning =
      push(target_for("http://pusher:geheim@" + address), PushMode::replace, "x 1\n").value_or("");
  CAPTURE(warning);
  CHECK(warning.starts_with("metrics not pushed to " + address + ": "));
  CHECK(has(warning, "connect"));
  CHECK_FALSE(has(warning, "geheim"));
  CHECK_FALSE(has(warning, "pusher"));
}

TEST_CASE("a host that does not exist is a warning") {
  const std::string warning =
      push(target_for("http://pushgateway.invalid:9091"), PushMode::replace, "x 1\n").value_or("");
  CHECK(warning.starts_with("metrics not pushed to pushgateway.invalid:9091: "));
}

TEST_CASE("a redirect is not followed, so that credentials go nowhere else") {
  CannedServer elsewhere("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  CannedServer server("HTTP/1.1 307 Temporary Redirect\r\nLocation: " + elsewhere.url() +
                      "/\r\nContent-Length: 0\r\n\r\n");
  PushTarget target = target_for(server.url());
  target.bearer_token = util::Secret("a-token");
  CHECK(push(target, PushMode::replace, "x 1\n") ==
        fmt::format("metrics not pushed to {}: HTTP 307 (redirects are not followed: give the final URL)",
                    server.address()));
  CHECK(elsewhere.connections() == 0);
  CHECK(server.connections() == 1);
}

TEST_CASE("a server error is tried once, and only the first line of its answer is shown, without control characters") {
  const std::string body = "\r\n  disk \x1b[31mfull\t!  \r\nsecond line";
  CannedServer server(fmt::format("HTTP/1.1 500 Oops\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  CHECK(push(target_for(server.url()), PushMode::replace, "x 1\n") ==
        fmt::format("metrics not pushed to {}: HTTP 500: disk  [31mfull !", server.address()));
  CHECK(server.connections() == 1);
}

TEST_CASE("of a very long answer only the beginning is kept") {
  const std::string body(3'000'000, 'x');
  const CannedServer server(fmt::format("HTTP/1.1 500 Oops\r\nContent-Length: {}\r\n\r\n{}", body.size(), body));
  const std::string warning = push(target_for(server.url()), PushMode::replace, "x 1\n").value_or("");
  CHECK(warning.ends_with("xxx..."));
  CHECK(warning.size() < 400);
}

TEST_CASE("a server that does not speak HTTP is a warning") {
  const CannedServer server("SSH-2.0-OpenSSH_9.2\r\n");
  CHECK(push(target_for(server.url()), PushMode::replace, "x 1\n").has_value());
  const CannedServer closed("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort");
  CHECK(push(target_for(closed.url()), PushMode::replace, "x 1\n").has_value());
}

TEST_CASE("https needs a certificate that the CA file vouches for") {
  const Certificates certificates;
  Pushgateway gateway(fmt::format("tls_server_config:\n  cert_file: {}\n  key_file: {}\n", certificates.path("ca.pem"),
                                  certificates.path("key.pem")),
                      {}, true);
  gateway.trust(certificates.path("ca.pem"));
  PushTarget target = target_for(gateway.url());
  const std::string untrusted = push(target, PushMode::replace, "x 1\n").value_or("");
  CHECK(untrusted.starts_with("metrics not pushed to " + gateway.address() + ": SSL certificate problem"));
  target.ca_file = certificates.path("ca.pem");
  CHECK(push(target, PushMode::replace, "x 1\n") == std::nullopt);
  CHECK(has(gateway.metrics(), "\nx{"));
  target.ca_file = certificates.path("missing.pem");
  CHECK(push(target, PushMode::replace, "x 1\n").has_value());
}

TEST_CASE("a proxy is taken from the environment, as curl does it") {
  CannedServer proxy("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  const PushTarget target = target_for("http://pushgateway.example:9091");
  ::unsetenv("no_proxy");
  ::setenv("http_proxy", proxy.url().c_str(), 1);
  CHECK(push(target, PushMode::replace, "x 1\n") == std::nullopt);
  ::unsetenv("http_proxy");
  CHECK(proxy.requests().starts_with("PUT http://pushgateway.example:9091/metrics/job/lockkeeper/"));
}

TEST_CASE("two runs one after the other may both push") {
  const Pushgateway gateway;
  for (int i = 0; i < 3; ++i) {
    CHECK(push(target_for(gateway.url()), PushMode::replace, fmt::format("x {}\n", i)) == std::nullopt);
  }
  CHECK(has(gateway.metrics(), "} 2\n"));
}

}  // namespace lockkeeper::observe
