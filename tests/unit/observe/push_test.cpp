#include "observe/push.hpp"

#include <doctest/doctest.h>

// What needs no server. The rest is in tests/observe_push/.
namespace lockkeeper::observe {

namespace {

std::string warning_for(const std::string& url) {
  PushTarget target;
  target.url = url;
  target.job = "lockkeeper";
  return push(target, PushMode::replace, "x 1\n").value_or("");
}

}  // namespace

TEST_CASE("the group key is a path of names and values") {
  CHECK(group_path("lockkeeper", {}) == "/metrics/job/lockkeeper");
  CHECK(group_path("lockkeeper", {{"namespace", "shop"}, {"database", "app-1.x_~"}, {"environment", "prod"}}) ==
        "/metrics/job/lockkeeper/namespace/shop/database/app-1.x_~/environment/prod");
}

TEST_CASE("an empty value is left out of the group key") {
  CHECK(group_path("j", {{"namespace", ""}, {"database", "app"}, {"environment", ""}}) ==
        "/metrics/job/j/database/app");
}

TEST_CASE("a value that is not plain in a URL is base64 encoded, without padding") {
  CHECK(group_path("j", {{"namespace", "a/b"}}) == "/metrics/job/j/namespace@base64/YS9i");
  CHECK(group_path("j", {{"database", "my app"}}) == "/metrics/job/j/database@base64/bXkgYXBw");
  CHECK(group_path("j", {{"database", "a"}, {"environment", "Größe"}}) ==
        "/metrics/job/j/database/a/environment@base64/R3LDtsOfZQ");
  CHECK(group_path("some/job", {}) == "/metrics/job@base64/c29tZS9qb2I");
  // The examples of RFC 4648 section 10, with a slash in front so that they are encoded.
  CHECK(group_path("j", {{"d", "/f"}}) == "/metrics/job/j/d@base64/L2Y");
  CHECK(group_path("j", {{"d", "/fo"}}) == "/metrics/job/j/d@base64/L2Zv");
  CHECK(group_path("j", {{"d", "/foo"}}) == "/metrics/job/j/d@base64/L2Zvbw");
  CHECK(group_path("j", {{"d", "\xFB\xFF\xFE"}}) == "/metrics/job/j/d@base64/-__-");
}

TEST_CASE("values that a URL library would resolve or decode are encoded") {
  CHECK(group_path("j", {{"d", "."}}) == "/metrics/job/j/d@base64/Lg");
  CHECK(group_path("j", {{"d", ".."}}) == "/metrics/job/j/d@base64/Li4");
  CHECK(group_path("j", {{"d", "..."}}) == "/metrics/job/j/d/...");
  CHECK(group_path("j", {{"d", "%2F"}}) == "/metrics/job/j/d@base64/JTJG");
  CHECK(group_path("j", {{"d", "a?b#c"}}) == "/metrics/job/j/d@base64/YT9iI2M");
}

TEST_CASE("an empty job is sent as the Pushgateway's README asks, not as a double slash") {
  CHECK(group_path("", {}) == "/metrics/job@base64/=");
}

TEST_CASE("a URL that cannot be used is a warning that does not repeat it") {
  for (const char* url : {"", "pushgateway:9091", "://x", "ftp://user:geheim@host/", "http://", "file:///etc/passwd",
                          "http://user:geheim@host:99999/", "http://user:geheim@ho st/", "gopher://geheim"}) {
    const std::string warning = warning_for(url);
    CAPTURE(url);
    CAPTURE(warning);
    CHECK(warning.starts_with("metrics not pushed: the metrics URL cannot be used: "));
    CHECK(warning.find("geheim") == std::string::npos);
  }
}

TEST_CASE("nothing is pushed when there are no metrics, because an empty PUT deletes the group") {
  PushTarget target;
  target.url = "http://127.0.0.1:1";
  CHECK(push(target, PushMode::replace, "") == "metrics not pushed: there are none");
}

TEST_CASE("what a URL's path says is who receives the metrics") {
  for (const char* url : {"http://vm:8428/api/v1/import/prometheus", "http://vm:8428/api/v1/import/prometheus/",
                          "https://vm/insert/0/prometheus/api/v1/import/prometheus?extra_label=a=b"}) {
    CAPTURE(url);
    CHECK(kind_of(url) == TargetKind::victoria_metrics);
  }
  for (const char* url : {"http://prometheus:9090/api/v1/otlp/v1/metrics", "http://collector:4318/v1/metrics",
                          "http://collector:4318/v1/metrics/#x"}) {
    CAPTURE(url);
    CHECK(kind_of(url) == TargetKind::otlp);
  }
  for (const char* url : {"", "http://pushgateway:9091", "http://pushgateway:9091/", "http://x/push/gateway",
                          "http://x/?to=/v1/metrics", "http://x/api/v1/import", "http://x/v1/metrics/job"}) {
    CAPTURE(url);
    CHECK(kind_of(url) == TargetKind::pushgateway);
  }
}

}  // namespace lockkeeper::observe
