// One bounded request: how often it is tried, when it is given up, who it proves to be. Needs openssl beside what
// servers.hpp needs; without it these tests fail, they do not skip.
#include "observe/http.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "observe/push.hpp"
#include "observe_push/servers.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;
using test::CannedServer;
using test::Certificates;
using test::has;
using test::Pushgateway;

using Answers = std::vector<std::string>;
constexpr const char* k_ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

std::string status(std::string_view line, std::string_view headers = "") {
  return fmt::format("HTTP/1.1 {}\r\n{}Content-Length: 4\r\n\r\nbusy", line, headers);
}

HttpRequest request_to(const std::string& url) {
  ::setenv("no_proxy", "*", 1);  // a developer's proxy is no part of these tests
  HttpRequest request;
  request.url = url;
  request.content_type = "text/plain";
  request.body = "x 1\n";
  return request;
}

/// How long \p work took.
template <typename Work>
std::chrono::steady_clock::duration time_of(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - begin;
}

}  // namespace

TEST_CASE("a receiver that is busy for a moment gets a second attempt") {
  for (const char* line :
       {"429 Too Many Requests", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"}) {
    CAPTURE(line);
    CannedServer server(Answers{status(line), k_ok});
    CHECK(send_request(request_to(server.url())).delivered);
    CHECK(server.connections() == 2);
  }
}

TEST_CASE("a connection that breaks in the middle of the answer gets a second attempt") {
  CannedServer server(Answers{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", k_ok});
  CHECK(send_request(request_to(server.url())).delivered);
  CHECK(server.connections() == 2);
}

TEST_CASE("there is one second attempt, not a third, and the warning says so") {
  CannedServer server(Answers{status("503 Service Unavailable"), status("503 Service Unavailable"), k_ok});
  const HttpAnswer answer = send_request(request_to(server.url()));
  CHECK_FALSE(answer.delivered);
  CHECK(answer.problem == "HTTP 503: busy (tried twice)");
  CHECK(server.connections() == 2);
}

TEST_CASE("an answer that would be the same again is not asked for again") {
  for (const char* line : {"307 Temporary Redirect", "400 Bad Request", "401 Unauthorized", "403 Forbidden",
                           "404 Not Found", "413 Too Large", "500 Oops", "501 Not Implemented"}) {
    CAPTURE(line);
    CannedServer server(Answers{status(line), k_ok});
    const HttpAnswer answer = send_request(request_to(server.url()));
    CHECK_FALSE(answer.delivered);
    CHECK_FALSE(has(answer.problem, "twice"));
    CHECK(server.connections() == 1);
  }
}

TEST_CASE("a caller that comes again anyway can do without the second attempt") {
  CannedServer server(Answers{status("503 Service Unavailable"), k_ok});
  HttpRequest request = request_to(server.url());
  request.retry = false;
  CHECK_FALSE(send_request(request).delivered);
  CHECK(server.connections() == 1);
}

TEST_CASE("Retry-After is waited for when the time limit leaves room for it") {
  CannedServer server(Answers{status("503 Service Unavailable", "Retry-After: 1\r\n"), k_ok});
  HttpAnswer answer;
  const auto took = time_of([&] { answer = send_request(request_to(server.url())); });
  CHECK(answer.delivered);
  CHECK(took >= 1s);
  CHECK(took < 3s);
}

TEST_CASE("a Retry-After that does not fit into the time limit ends the request at once") {
  CannedServer server(Answers{status("429 Too Many Requests", "Retry-After: 30\r\n"), k_ok});
  HttpAnswer answer;
  const auto took = time_of([&] { answer = send_request(request_to(server.url())); });
  CHECK(answer.problem == "HTTP 429: busy");
  CHECK(took < 2s);
  CHECK(server.connections() == 1);
}

TEST_CASE("both attempts together stay within the time limit") {
  const CannedServer server(Answers{status("503 Service Unavailable"), ""});
  HttpRequest request = request_to(server.url());
  request.timeout = 600ms;
  HttpAnswer answer;
  const auto took = time_of([&] { answer = send_request(request); });
  CHECK(has(answer.problem, "timed out"));
  CHECK(took >= 550ms);
  CHECK(took < 1500ms);
}

TEST_CASE("a stop flag ends a request that waits for its answer, within 50 ms") {
  const CannedServer server("");
  std::atomic<bool> stop = false;
  HttpRequest request = request_to(server.url());
  request.stop = &stop;
  std::chrono::steady_clock::time_point stopped_at;
  std::thread stopper([&] {
    std::this_thread::sleep_for(400ms);  // curl itself wakes up 200 ms after the beginning
    stopped_at = std::chrono::steady_clock::now();
    stop = true;
  });
  const HttpAnswer answer = send_request(request);
  const auto ended_at = std::chrono::steady_clock::now();
  stopper.join();
  CHECK_FALSE(answer.delivered);
  CHECK(answer.problem == "stopped before there was an answer");
  CHECK(ended_at - stopped_at < 250ms);  // generous: a machine that is busy with other tests
}

TEST_CASE("a stop flag ends the pause before the second attempt, and then there is none") {
  CannedServer server(Answers{status("503 Service Unavailable", "Retry-After: 3\r\n"), k_ok});
  std::atomic<bool> stop = false;
  HttpRequest request = request_to(server.url());
  request.stop = &stop;
  std::thread stopper([&] {
    std::this_thread::sleep_for(300ms);
    stop = true;
  });
  HttpAnswer answer;
  const auto took = time_of([&] { answer = send_request(request); });
  stopper.join();
  CHECK_FALSE(answer.delivered);
  CHECK(took < 800ms);
  CHECK(server.connections() == 1);
}

TEST_CASE("with the stop flag set nobody is called") {
  CannedServer server(k_ok);
  const std::atomic<bool> stop = true;
  HttpRequest request = request_to(server.url());
  request.stop = &stop;
  CHECK_FALSE(send_request(request).delivered);
  CHECK(server.connections() == 0);
}

TEST_CASE("requests work from a second thread") {
  CannedServer server(k_ok);
  REQUIRE(start_http());
  HttpAnswer answer;
  std::thread([&] { answer = send_request(request_to(server.url())); }).join();
  CHECK(answer.delivered);
  CHECK(answer.address == server.address());
}

TEST_CASE("headers of the caller are sent, and a refusal does not show them") {
  CannedServer server(status("401 Unauthorized"));
  HttpRequest request = request_to(server.url() + "/a/?tenant=7");
  request.headers = {{"x-token", util::Secret("geheim")}, {"X-Scope-OrgID", util::Secret("shop")}};
  const HttpAnswer answer = send_request(request);
  CHECK(answer.problem == "HTTP 401 (check user name, password or token): busy");
  const std::string sent = server.requests();
  CAPTURE(sent);
  CHECK(sent.starts_with("POST /a/?tenant=7 HTTP/1.1\r\n"));
  CHECK(has(sent, "\r\nx-token: geheim\r\n"));
  CHECK(has(sent, "\r\nX-Scope-OrgID: shop\r\n"));
}

TEST_CASE("a receiver that wants a client certificate gets one") {
  const Certificates certificates;
  Pushgateway gateway(
      fmt::format("tls_server_config:\n  cert_file: {}\n  key_file: {}\n  client_ca_file: {}\n"
                  "  client_auth_type: RequireAndVerifyClientCert\n",
                  certificates.path("ca.pem"), certificates.path("key.pem"), certificates.path("ca.pem")),
      {}, true);
  PushTarget target;
  ::setenv("no_proxy", "*", 1);
  target.url = gateway.url();
  target.job = "lockkeeper";
  target.ca_file = certificates.path("ca.pem");
  const std::string without = push(target, PushMode::replace, "x 1\n").value_or("");
  CAPTURE(without);
  CHECK(without.starts_with("metrics not pushed to " + gateway.address() + ": "));
  target.client_certificate = certificates.path("client.pem");
  target.client_key = certificates.path("client-key.pem");
  CHECK(push(target, PushMode::replace, "x 1\n") == std::nullopt);
  target.client_certificate = certificates.path("client-both.pem");
  target.client_key.clear();
  CHECK(push(target, PushMode::replace, "x 1\n") == std::nullopt);
  target.client_key = certificates.path("key.pem");  // of another certificate
  CHECK(push(target, PushMode::replace, "x 1\n").has_value());
  target.client_certificate = certificates.path("missing.pem");
  CHECK(push(target, PushMode::replace, "x 1\n").has_value());
}

}  // namespace lockkeeper::observe
