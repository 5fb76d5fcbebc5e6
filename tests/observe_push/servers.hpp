/// \file
/// Servers for the tests of what is sent over HTTP: a real Pushgateway, a real VictoriaMetrics, a strict OTLP receiver,
/// and one that answers what it is told to. What is not installed makes the tests fail, they do not skip. Only
/// 127.0.0.1 is used.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <utility>
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

#include "core/report.hpp"

namespace lockkeeper::test {

/// Of a run that has applied one migration.
inline core::Report report(util::Outcome outcome = util::Outcome::ok) {
  using namespace std::chrono_literals;
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
inline std::string free_address() {
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

inline std::size_t append(const char* data, std::size_t size, std::size_t count, void* text) {
  static_cast<std::string*>(text)->append(data, size * count);
  return size * count;
}

/// The body of a GET, or "" when there is no answer 200; \p ca_file and \p userinfo may be empty.
inline std::string get(const std::string& url, const std::string& ca_file, const std::string& userinfo) {
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
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
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
inline bool is_complete(const std::string& request) {
  const std::string length = "Content-Length: ";
  const std::size_t head = request.find("\r\n\r\n");
  const std::size_t at = request.find(length);
  if (head == std::string::npos || at == std::string::npos) {
    return false;
  }
  return request.size() == head + 4 + std::stoul(request.substr(at + length.size()));
}

/// Answers the first connection with the first of some bytes, and so on, the last again and again (none: takes the
/// request and stays silent), and keeps what it was sent.
class CannedServer {
 public:
  explicit CannedServer(const std::string& answer) : CannedServer(std::vector{answer}) {}
  explicit CannedServer(std::vector<std::string> answers) : m_answers(std::move(answers)) {
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
      m_answer = m_answers[std::min(static_cast<std::size_t>(m_connections), m_answers.size() - 1)];
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

  std::vector<std::string> m_answers;
  std::string m_answer;  ///< to the connection that is open
  Socket m_socket;
  std::array<int, 2> m_stop{};
  std::string m_requests;
  int m_connections = 0;
  std::thread m_thread;
};

/// A certificate for 127.0.0.1 that is its own authority (ca.pem, key.pem), and one that it signed for a client
/// (client.pem, client-key.pem; both in client-both.pem).
class Certificates {
 public:
  Certificates() {
    const std::vector<std::string> request = {"/usr/bin/openssl", "req",    "-x509", "-newkey",
                                              "rsa:2048",         "-nodes", "-days", "2"};
    make(request, {"-subj", "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", path("key.pem"),
                   "-out", path("ca.pem")});
    make(request, {"-subj", "/CN=lockkeeper", "-addext", "basicConstraints=critical,CA:FALSE", "-CA", path("ca.pem"),
                   "-CAkey", path("key.pem"), "-keyout", path("client-key.pem"), "-out", path("client.pem")});
    join({"ca.pem", "key.pem"}, "server-both.pem");
    join({"client.pem", "client-key.pem"}, "client-both.pem");
  }
  [[nodiscard]] std::string path(const std::string& name) const { return m_directory / name; }

 private:
  void make(std::vector<std::string> arguments, const std::vector<std::string>& more) const {
    arguments.insert(arguments.end(), more.begin(), more.end());
    Process openssl(arguments, path("log"));
    REQUIRE(openssl.wait() == 0);
  }
  void join(const std::vector<std::string>& parts, const std::string& whole) const {
    std::ofstream out(path(whole));
    for (const std::string& part : parts) {
      out << std::ifstream(path(part)).rdbuf();
    }
  }
  TemporaryDirectory m_directory;
};

/// The text of a file; empty when there is none.
inline std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// tests/support/otlp_receiver.py with some options: takes only what is exactly as OTLP's schema says, and keeps it.
class OtlpReceiver {
 public:
  explicit OtlpReceiver(const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {"/usr/bin/python3", LOCKKEEPER_SOURCE_DIR "/tests/support/otlp_receiver.py",
                                          m_directory / "kept"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    m_tls = !options.empty();
    m_process = std::make_unique<Process>(arguments, m_directory / "port");
    for (int i = 0; i < 1000 && !text_of(m_directory / "port").ends_with('\n'); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const std::string said = text_of(m_directory / "port");
    REQUIRE_MESSAGE(!said.empty(), "the receiver does not start");
    REQUIRE_MESSAGE(said.find_first_not_of("0123456789\n") == std::string::npos, said);
    m_address = "127.0.0.1:" + said.substr(0, said.find('\n'));
  }
  [[nodiscard]] std::string url() const { return (m_tls ? "https://" : "http://") + m_address; }
  [[nodiscard]] const std::string& address() const { return m_address; }
  /// metrics-1.json, traces-1.headers, refused-1 ...; empty when there is none.
  [[nodiscard]] std::string kept(const std::string& name) const { return text_of(m_directory / "kept/" + name); }

 private:
  TemporaryDirectory m_directory;
  bool m_tls = false;
  std::string m_address;
  std::unique_ptr<Process> m_process;
};

/// VictoriaMetrics of its own on a free port. Needs /usr/bin/victoria-metrics.
class VictoriaMetrics {
 public:
  VictoriaMetrics() : m_address(free_address()) {
    m_process = std::make_unique<Process>(
        std::vector<std::string>{"/usr/bin/victoria-metrics", "-httpListenAddr=" + m_address,
                                 "-storageDataPath=" + m_directory / "data", "-memory.allowedBytes=64MB"},
        m_directory / "log");
    for (int i = 0; i < 1000 && get(url() + "/health", {}, {}).empty(); ++i) {
      REQUIRE_MESSAGE(!m_process->ended(), text_of(m_directory / "log"));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  [[nodiscard]] std::string url() const { return "http://" + m_address; }
  [[nodiscard]] const std::string& address() const { return m_address; }
  /// All samples, as lines of JSON, once \p part is among them (what was taken shows a moment later).
  [[nodiscard]] std::string exported_with(const std::string& part) const {
    std::string samples;
    for (int i = 0; i < 200 && samples.find(part) == std::string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      static_cast<void>(get(url() + "/internal/force_flush", {}, {}));
      samples = get(url() + "/api/v1/export?match%5B%5D=%7B__name__%21%3D%22%22%7D", {}, {});
    }
    return samples;
  }

 private:
  TemporaryDirectory m_directory;
  std::string m_address;
  std::unique_ptr<Process> m_process;
};

inline bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lockkeeper::test
