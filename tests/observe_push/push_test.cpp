// observe::push() against a real Pushgateway, and against servers that misbehave. Needs /usr/bin/prometheus-pushgateway
// and openssl; without them these tests fail, they do not skip. Only 127.0.0.1 is used.
#include "observe/push.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <curl/curl.h>
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "observe/metrics.hpp"
#include "util/error.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;

class Socket {
 public:
  /// Listens on a free port of 127.0.0.1.
  Socket() : m_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    REQUIRE(::bind(m_fd, generic, size) == 0);
    REQUIRE(::listen(m_fd, 8) == 0);
    REQUIRE(::getsockname(m_fd, generic, &size) == 0);
    m_port = ntohs(address.sin_port);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }

  void close() {
    if (m_fd >= 0) {
      ::close(m_fd);
      m_fd = -1;
    }
  }
  [[nodiscard]] int fd() const { return m_fd; }
  [[nodiscard]] std::string address() const { return fmt::format("127.0.0.1:{}", m_port); }

 private:
  int m_fd;
  int m_port = 0;
};

/// A port that nobody listens on (a moment ago; the tests run alone on their loopback ports).
std::string free_address() {
  return Socket().address();
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() : m_path("/tmp/lockkeeper-push-XXXXXX") { REQUIRE(::mkdtemp(m_path.data()) != nullptr); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(m_path, ignored);
  }
  [[nodiscard]] std::string operator/(const std::string& name) const { return m_path + "/" + name; }

 private:
  std::string m_path;
};

/// A child process with its output in a file; ended by its pid.
class Process {
 public:
  Process(std::vector<std::string> arguments, const std::string& log) {
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    REQUIRE(::posix_spawn_file_actions_init(&actions) == 0);
    ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const int result = ::posix_spawn(&m_pid, argv[0], &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    REQUIRE_MESSAGE(result == 0, arguments[0] << " cannot be started");
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    ::kill(m_pid, SIGKILL);
    wait();
  }
  /// True: ended by itself.
  bool ended() {
    if (!m_reaped && ::waitpid(m_pid, &m_status, WNOHANG) == m_pid) {
      m_reaped = true;
    }
    return m_reaped;
  }
  int wait() {
    while (!m_reaped && ::waitpid(m_pid, &m_status, 0) < 0 && errno == EINTR) {
    }
    m_reaped = true;
    return m_status;
  }

 private:
  pid_t m_pid = -1;
  int m_status = 0;
  bool m_reaped = false;
};

std::size_t append(const char* data, std::size_t size, std::size_t count, void* text) {
  static_cast<std::string*>(text)->append(data, size * count);
  return size * count;
}

/// The body of a GET, or "" when there is no answer 200; \p ca_file and \p userinfo may be empty.
std::string get(const std::string& url, const std::string& ca_file, const std::string& userinfo) {
  struct Cleanup {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };
  const std::unique_ptr<CURL, Cleanup> handle(curl_easy_init());
  std::string body;
  long status = 0;
  curl_easy_setopt(handle.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(handle.get(), CURLOPT_TIMEOUT_MS, 5000L);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEFUNCTION, &append);
  curl_easy_setopt(handle.get(), CURLOPT_WRITEDATA, &body);
  if (!ca_file.empty()) {
    curl_easy_setopt(handle.get(), CURLOPT_CAINFO, ca_file.c_str());
  }
  if (!userinfo.empty()) {
    curl_easy_setopt(handle.get(), CURLOPT_USERPWD, userinfo.c_str());
  }
  if (curl_easy_perform(handle.get()) != CURLE_OK) {
    return {};
  }
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  return status == 200 ? body : std::string();
}

/// A Pushgateway of its own on a free port, without persistence.
class Pushgateway {
 public:
  explicit Pushgateway(const std::string& web_config = {}, std::vector<std::string> more = {}, bool tls = false,
                       std::string userinfo = {})
      : m_tls(tls), m_userinfo(std::move(userinfo)), m_address(free_address()) {
    std::vector<std::string> arguments = {"/usr/bin/prometheus-pushgateway", "--web.listen-address=" + m_address,
                                          "--persistence.file=", "--log.level=warn"};
    if (!web_config.empty()) {
      std::ofstream(m_directory / "web.yml") << web_config;
      arguments.push_back("--web.config.file=" + m_directory / "web.yml");
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    m_process = std::make_unique<Process>(arguments, m_directory / "log");
    wait_until_up();
  }

  [[nodiscard]] std::string url() const { return (m_tls ? "https://" : "http://") + m_address; }
  [[nodiscard]] const std::string& address() const { return m_address; }
  [[nodiscard]] std::string metrics(const std::string& prefix = {}) const {
    return get(url() + prefix + "/metrics", m_ca_file, m_userinfo);
  }
  void trust(std::string ca_file) { m_ca_file = std::move(ca_file); }

 private:
  [[nodiscard]] bool accepts() const {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(m_address.substr(m_address.find(':') + 1))));
    const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return connected;
  }
  void wait_until_up() {
    for (int i = 0; i < 1000 && !m_process->ended(); ++i) {
      if (accepts()) {
        return;
      }
      std::this_thread::sleep_for(10ms);
    }
    std::ifstream log(m_directory / "log");
    FAIL("the Pushgateway does not start: " << std::string(std::istreambuf_iterator<char>(log), {}));
  }

  TemporaryDirectory m_directory;
  bool m_tls;
  std::string m_userinfo;
  std::string m_address;
  std::string m_ca_file;
  std::unique_ptr<Process> m_process;
};

/// Whether \p request has as much body as its Content-Length says.
bool is_complete(const std::string& request) {
  const std::string length = "Content-Length: ";
  const std::size_t head = request.find("\r\n\r\n");
  const std::size_t at = request.find(length);
  if (head == std::string::npos || at == std::string::npos) {
    return false;
  }
  return request.size() == head + 4 + std::stoul(request.substr(at + length.size()));
}

/// Answers every connection with the same bytes (none: takes the request and stays silent) and keeps what it was sent.
class CannedServer {
 public:
  explicit CannedServer(std::string answer) : m_answer(std::move(answer)) {
    REQUIRE(::pipe2(m_stop.data(), O_CLOEXEC) == 0);
    m_thread = std::thread([this] { serve(); });
  }
  CannedServer(const CannedServer&) = delete;
  CannedServer& operator=(const CannedServer&) = delete;
  ~CannedServer() {
    stop();
    ::close(m_stop[0]);
    ::close(m_stop[1]);
  }

  [[nodiscard]] std::string url() const { return "http://" + m_socket.address(); }
  [[nodiscard]] std::string address() const { return m_socket.address(); }
  /// Ends the server; what it was sent.
  const std::string& requests() {
    stop();
    return m_requests;
  }
  int connections() {
    stop();
    return m_connections;
  }

 private:
  void stop() {
    if (m_thread.joinable()) {
      static_cast<void>(::write(m_stop[1], "x", 1));
      m_thread.join();
    }
  }
  /// False: time to stop.
  [[nodiscard]] bool wait_for(int fd) const {
    std::array<pollfd, 2> fds = {
        {{.fd = fd, .events = POLLIN, .revents = 0}, {.fd = m_stop[0], .events = POLLIN, .revents = 0}}};
    while (::poll(fds.data(), fds.size(), -1) < 0 && errno == EINTR) {
    }
    return (fds[1].revents & POLLIN) == 0;
  }
  void serve() {
    while (wait_for(m_socket.fd())) {
      const int client = ::accept4(m_socket.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      ++m_connections;
      talk(client);
      ::close(client);
    }
  }
  void talk(int client) {
    std::string request;
    while (wait_for(client)) {
      std::array<char, 4096> buffer{};
      const ssize_t size = ::read(client, buffer.data(), buffer.size());
      if (size <= 0) {
        break;
      }
      request.append(buffer.data(), static_cast<std::size_t>(size));
      if (!m_answer.empty() && is_complete(request)) {
        static_cast<void>(::send(client, m_answer.data(), m_answer.size(), MSG_NOSIGNAL));
        ::shutdown(client, SHUT_WR);
      }
    }
    m_requests += request;
  }

  std::string m_answer;
  Socket m_socket;
  std::array<int, 2> m_stop{};
  std::string m_requests;
  int m_connections = 0;
  std::thread m_thread;
};

PushTarget target_for(const std::string& url) {
  ::setenv("no_proxy", "*", 1);  // a developer's proxy is no part of these tests
  PushTarget target;
  target.url = url;
  target.job = "lockkeeper";
  target.labels = {{"namespace", "shop"}, {"database", "app"}, {"environment", ""}};
  return target;
}

core::Report report(util::Outcome outcome) {
  core::Report report;
  report.command = "up";
  report.tool_version = "0.1.0";
  report.database = "app";
  report.outcome = outcome;
  report.version_to = "20250520000000";
  report.applied = {{.version = "20250520000000", .name = "x", .direction = "up", .statements = 1, .duration = 12ms}};
  report.known = 1;
  report.pending = 0;
  report.started = util::WallTime(1795356000043ms);
  report.duration = 80ms;
  return report;
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
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
  const TemporaryDirectory directory;
  Process openssl(
      {"/usr/bin/openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=pushgateway",
       "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", directory / "key.pem", "-out", directory / "ca.pem"},
      directory / "openssl.log");
  REQUIRE(openssl.wait() == 0);
  Pushgateway gateway(
      fmt::format("tls_server_config:\n  cert_file: {}\n  key_file: {}\n", directory / "ca.pem", directory / "key.pem"),
      {}, true);
  gateway.trust(directory / "ca.pem");
  PushTarget target = target_for(gateway.url());
  const std::string untrusted = push(target, PushMode::replace, "x 1\n").value_or("");
  CHECK(untrusted.starts_with("metrics not pushed to " + gateway.address() + ": SSL certificate problem"));
  target.ca_file = directory / "ca.pem";
  CHECK(push(target, PushMode::replace, "x 1\n") == std::nullopt);
  CHECK(has(gateway.metrics(), "\nx{"));
  target.ca_file = directory / "missing.pem";
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
