#include "pg/connect.hpp"

#include <algorithm>
#include <array>
#include <random>

#include <fmt/format.h>

#include "util/duration.hpp"

namespace lockkeeper::pg {

namespace {

using util::Duration;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

constexpr Duration k_first_wait{100};
constexpr Duration k_longest_wait{2000};

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string find(const Address& address, std::string_view keyword) {
  for (const auto& [name, value] : address.parameters) {
    if (name == keyword) {
      return value;
    }
  }
  return {};
}

/// host:port/dbname as far as the address says it itself; libpq fills the rest from PG* variables.
std::string describe(const Address& address) {
  std::string host = find(address, "host");
  const std::string port = find(address, "port");
  const std::string database = find(address, "dbname");
  if (host.empty()) {
    host = find(address, "hostaddr");
  }
  return fmt::format("{}{}{}", host.empty() ? "the server" : host, port.empty() ? "" : ":" + port,
                     database.empty() ? "" : "/" + database);
}

ErrorInfo describe_failure(const ConnectError& error, const std::string& target) {
  ErrorInfo info{.message = fmt::format("cannot connect to {}: {}", target, error.message), .sqlstate = error.sqlstate};
  switch (error.failure) {
    case ConnectFailure::unreachable:
      info.outcome = Outcome::unreachable;
      info.hint =
          "Check that the server runs and that host, port and network policy allow the connection; --connect-wait sets "
          "how "
          "long to wait for it.";
      break;
    case ConnectFailure::authentication:
      info.outcome = Outcome::permission;
      info.hint =
          "Check user and password in the secret, that the role exists and may log in (pg_hba.conf) and has CONNECT on "
          "the "
          "database; --auth-wait sets how long to wait for a secret that appears late.";
      break;
    case ConnectFailure::no_database:
      info.outcome = Outcome::config;
      info.hint = "Create the database, or correct its name in the URL; --auth-wait sets how long to wait for it.";
      break;
    case ConnectFailure::read_only:
      info.outcome = Outcome::unsupported_server;
      info.hint =
          "None of the hosts is a primary that accepts writes: give its address, or wait for the fail-over to end.";
      break;
    case ConnectFailure::permanent:
      info.outcome = Outcome::config;
      info.hint =
          "Correct the connection parameters: sslmode, sslrootcert, sslcert and sslkey say whom to trust and how. "
          "Waiting "
          "would not help.";
      break;
  }
  return info;
}

class Connector {
 public:
  Connector(const ConnectRequest& request, util::Clock& clock, core::Observer& observer)
      : m_request(request),
        m_clock(clock),
        m_observer(observer),
        m_reach_limit(util::Deadline::earlier(util::Deadline::after(clock, request.limits.wait), request.deadline)) {}

  Connection go() {
    for (;;) {
      std::optional<Connection> connection = attempt();
      if (connection) {
        return std::move(*connection);
      }
      m_clock.sleep(m_pause);
      m_next_wait = std::min(m_next_wait * 2, k_longest_wait);
    }
  }

 private:
  /// One try of all hosts; nullopt = worth another one after m_pause. Throws when it is not.
  std::optional<Connection> attempt() {
    Address address;
    try {
      address = m_request.read_address();
    } catch (const Error& error) {
      if (!m_request.source_may_change) {
        throw;
      }
      retry_or_throw(auth_limit(), error.info(), "the database", error.info().message);
      return std::nullopt;
    }
    std::optional<ConnectError> worst;
    for (const Address& host : split_hosts(address)) {
      const auto limit =
          util::Deadline::earlier(util::Deadline::after(m_clock, m_request.limits.attempt), m_request.deadline);
      auto opened = Connection::open(host, m_clock, limit);
      if (auto* connection = std::get_if<Connection>(&opened)) {
        return std::move(*connection);
      }
      auto& failed = std::get<ConnectError>(opened);
      // A server that answers "wrong password" says more than one that does not answer.
      if (!worst || worst->failure == ConnectFailure::unreachable) {
        worst = std::move(failed);
      }
    }
    const std::string target = describe(address);
    const ErrorInfo info = describe_failure(*worst, target);
    switch (worst->failure) {
      case ConnectFailure::unreachable:
      case ConnectFailure::read_only: retry_or_throw(m_reach_limit, info, target, worst->message); break;
      case ConnectFailure::authentication:
      case ConnectFailure::no_database: retry_or_throw(auth_limit(), info, target, worst->message); break;
      case ConnectFailure::permanent: throw Error(info);
    }
    return std::nullopt;
  }

  /// Counts from the first refusal: the server may have needed most of --connect-wait to start.
  const util::Deadline& auth_limit() {
    if (!m_auth_limit) {
      m_auth_limit =
          util::Deadline::earlier(util::Deadline::after(m_clock, m_request.limits.auth_wait), m_request.deadline);
    }
    return *m_auth_limit;
  }

  void retry_or_throw(const util::Deadline& limit, const ErrorInfo& info, const std::string& target,
                      const std::string& reason) {
    std::uniform_real_distribution<double> jitter(0.5, 1.0);
    m_pause = Duration(static_cast<Duration::rep>(static_cast<double>(m_next_wait.count()) * jitter(m_random)));
    const Duration left = limit.remaining(m_clock).value_or(m_pause);
    if (left == Duration::zero()) {
      throw Error(info);
    }
    m_pause = std::min(m_pause, left);
    m_observer.on(core::ConnectRetry{.target = target, .reason = reason, .wait = m_pause});
  }

  const ConnectRequest& m_request;
  util::Clock& m_clock;
  core::Observer& m_observer;
  util::Deadline m_reach_limit;
  std::optional<util::Deadline> m_auth_limit;
  Duration m_next_wait = k_first_wait;
  Duration m_pause{0};
  std::minstd_rand m_random{std::random_device{}()};
};

}  // namespace

std::string libpq_version() {
  const int number = PQlibVersion();  // 170011: since PostgreSQL 10, the major version and four digits
  return fmt::format("{}.{}", number / 10000, number % 10000);
}

std::vector<Address> split_hosts(const Address& address) {
  constexpr std::array<std::string_view, 3> k_lists = {"host", "hostaddr", "port"};
  std::size_t count = 1;
  for (const std::string_view keyword : k_lists) {
    count = std::max(count, split_list(find(address, keyword)).size());
  }
  std::vector<Address> hosts(count, address);
  for (std::size_t i = 0; i < count; ++i) {
    for (auto& [keyword, value] : hosts[i].parameters) {
      if (std::find(k_lists.begin(), k_lists.end(), keyword) != k_lists.end()) {
        const auto parts = split_list(value);
        value = parts.size() == 1 ? parts[0] : parts[std::min(i, parts.size() - 1)];
      }
    }
  }
  return hosts;
}

Connection connect(const ConnectRequest& request, util::Clock& clock, core::Observer& observer) {
  return Connector(request, clock, observer).go();
}

}  // namespace lockkeeper::pg
