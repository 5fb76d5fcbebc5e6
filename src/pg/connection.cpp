#include "pg/connection.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <poll.h>
#include <signal.h>

#include <fmt/format.h>

#include "util/interrupt.hpp"
#include "util/text.hpp"

namespace lockkeeper::pg {

namespace {

using util::Duration;
using util::Error;
using util::Outcome;

constexpr Duration k_cancel_again{500};                        // a cancel that hits between two statements is lost
constexpr Duration k_cleanup_limit = std::chrono::seconds(5);  // for a roll-back after a signal or the deadline
constexpr std::size_t k_flush_every = 64;                      // statements of a batch
constexpr Duration k_longest_poll = std::chrono::minutes(1);
#ifdef LIBPQ_HAS_ASYNC_CANCEL
constexpr Duration k_cancel_limit = std::chrono::seconds(2);  // for one cancel request to be delivered
#endif

std::string field(const PGresult* result, int code) {
  const char* value = PQresultErrorField(result, code);
  return value == nullptr ? std::string() : std::string(value);
}

/// libpq's messages end with a line feed and may have several lines; "LOCATION:" lines come from the verbose mode that
/// open() uses to learn the SQLSTATE.
std::string one_line(std::string_view text) {
  std::string line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view part = util::trim(text.substr(0, end));
    if (!part.empty() && !part.starts_with("LOCATION:")) {
      line += (line.empty() ? "" : "; ") + std::string(part);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return line;
}

/// The SQLSTATE in "FATAL:  28P01: password authentication failed"; empty when there is none. libpq has no other way to
/// tell it for a connection that was refused.
std::string find_sqlstate(std::string_view message) {
  const auto is_state_character = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  for (std::size_t at = message.find(":  "); at != std::string_view::npos; at = message.find(":  ", at + 1)) {
    const std::string_view state = message.substr(at + 3, 6);
    if (state.size() == 6 && state[5] == ':' && std::all_of(state.begin(), state.begin() + 5, is_state_character)) {
      return std::string(state.substr(0, 5));
    }
  }
  return {};
}

void erase_all(std::string& text, const std::string& part) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part)) {
    text.erase(at, part.size());
  }
}

/// What libpq itself complains about and what no waiting changes. libpq's texts are not translated: we set no locale.
bool is_permanent(std::string_view message) {
  constexpr std::array k_signs = {"root certificate file",
                                  "certificate file",
                                  "private key file",
                                  "certificate verify failed",
                                  "does not match host name",
                                  "server does not support SSL",
                                  "invalid ",
                                  "could not load",
                                  "channel binding",
                                  "could not look up local user",
                                  "unsupported",
                                  "definition of service",
                                  "could not open certificate",
                                  "GSSAPI",
                                  "too long",
                                  "may not be used with",
                                  "could not match"};
  return std::any_of(k_signs.begin(), k_signs.end(),
                     [&](std::string_view sign) { return message.find(sign) != std::string_view::npos; });
}

/// libpq quotes a value that it refuses: of a URL with a raw '?' in its password that could be a piece of the password.
std::string without_refused_value(std::string message) {
  const std::size_t begin = message.find('"', std::min(message.find("invalid "), message.size()));
  if (begin != std::string::npos) {
    const std::size_t option = message.rfind("\" for connection option ");
    const std::size_t end = option == std::string::npos ? message.rfind('"') : std::max(option, begin);
    message.replace(begin, end + 1 - begin, "(not shown)");
  }
  return message;
}

/// A parameter of a newer libpq. Its name is one of those that config/database_url.cpp lets through: no secret.
std::string name_unknown_parameter(const std::string& raw) {
  constexpr std::string_view k_begin = "invalid connection option \"";
  const std::size_t begin = raw.find(k_begin);
  const std::size_t end = raw.find('"', begin == std::string::npos ? begin : begin + k_begin.size());
  if (end == std::string::npos) {
    return {};
  }
  const int version = PQlibVersion();
  return fmt::format("libpq {}.{}, with which this binary runs, does not know the parameter {}", version / 10000,
                     version % 10000, raw.substr(begin + k_begin.size(), end - begin - k_begin.size()));
}

bool wants_direct_tls(PGconn* connection) {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfo(connection), &PQconninfoFree);
  for (const PQconninfoOption* option = options.get(); option != nullptr && option->keyword != nullptr; ++option) {
    if (std::string_view(option->keyword) == "sslnegotiation" && option->val != nullptr) {
      return std::string_view(option->val) == "direct";
    }
  }
  return false;
}

ConnectError classify(PGconn* connection) {
  const std::string raw = PQerrorMessage(connection);
  ConnectError error;
  error.sqlstate = find_sqlstate(raw);
  error.message = one_line(raw);
  if (!error.sqlstate.empty()) {
    erase_all(error.message, error.sqlstate + ": ");
  } else if (const std::string unknown = name_unknown_parameter(raw); !unknown.empty()) {
    error.message = unknown;
  } else {
    error.message = without_refused_value(std::move(error.message));
  }
  if (wants_direct_tls(connection) && raw.find("EOF detected") != std::string::npos) {
    error.message += " (sslnegotiation=direct: a server before PostgreSQL 17, and many a proxy, hangs up on it)";
  }
  const bool no_connect_privilege = error.sqlstate == "42501";
  const bool no_password = error.sqlstate.empty() && raw.find("no password supplied") != std::string::npos;
  if (error.sqlstate.starts_with("28") || no_connect_privilege || no_password) {
    error.failure = ConnectFailure::authentication;
  } else if (error.sqlstate == "3D000") {
    error.failure = ConnectFailure::no_database;
  } else if (raw.find("session is read-only") != std::string::npos ||
             raw.find("server is in hot standby mode") != std::string::npos) {
    error.failure = ConnectFailure::read_only;
  } else if (error.sqlstate.starts_with("57P") || error.sqlstate.starts_with("53") ||
             error.sqlstate.starts_with("08")) {
    error.failure = ConnectFailure::unreachable;
  } else if (!error.sqlstate.empty() || is_permanent(raw)) {
    error.failure = ConnectFailure::permanent;
  }
  return error;
}

struct PollResult {
  bool any = false;        ///< false = time is over
  bool companion = false;  ///< something happened at the companion's socket
};

/// Polls for \p events, a signal, or what the companion waits for.
PollResult poll_sockets(int socket, short events, const Companion::Wish& wish, Duration limit) {
  // A negative descriptor is left out. After a signal its pipe stays readable: it must not be watched any more, or
  // poll() would spin.
  std::array<pollfd, 3> watched = {
      pollfd{.fd = socket, .events = events, .revents = 0},
      pollfd{.fd = util::pending_interrupt() ? -1 : util::interrupt_fd(), .events = POLLIN, .revents = 0},
      pollfd{.fd = wish.socket, .events = wish.events, .revents = 0}};
  const auto milliseconds = static_cast<int>(std::clamp(limit, Duration::zero(), k_longest_poll).count());
  const bool any = ::poll(watched.data(), watched.size(), milliseconds) > 0;
  return {.any = any, .companion = any && watched[2].revents != 0};
}

bool poll_socket(int socket, short events, Duration limit) {
  return poll_sockets(socket, events, {}, limit).any;
}

#ifdef LIBPQ_HAS_ASYNC_CANCEL

struct CancelDeleter {
  void operator()(PGcancelConn* cancel) const noexcept { PQcancelFinish(cancel); }
};

/// Encrypted as the connection is, and never longer than k_cancel_limit.
void request_cancel(PGconn* connection, util::Clock& clock) {
  const std::unique_ptr<PGcancelConn, CancelDeleter> cancel(PQcancelCreate(connection));
  if (!cancel || PQcancelStart(cancel.get()) != 1) {
    return;
  }
  const util::Deadline limit = util::Deadline::after(clock, k_cancel_limit);
  for (auto state = PGRES_POLLING_WRITING; state == PGRES_POLLING_WRITING || state == PGRES_POLLING_READING;) {
    if (limit.passed(clock)) {
      return;
    }
    if (poll_socket(PQcancelSocket(cancel.get()), state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                    limit.cap(clock, k_cancel_limit))) {
      state = PQcancelPoll(cancel.get());
    }
  }
}

#else

struct CancelDeleter {
  void operator()(PGcancel* cancel) const noexcept { PQfreeCancel(cancel); }
};

/// libpq before 17: not encrypted, and it blocks until the server has taken it. There is no secret in it but the key of
/// this one backend.
void request_cancel(PGconn* connection, util::Clock& /*clock*/) {
  const std::unique_ptr<PGcancel, CancelDeleter> cancel(PQgetCancel(connection));
  std::array<char, 256> message{};
  if (cancel) {
    PQcancel(cancel.get(), message.data(), static_cast<int>(message.size()));
  }
}

#endif

extern "C" void receive_notice(void* handler, const PGresult* result) {
  const auto& call = *static_cast<const Connection::NoticeHandler*>(handler);
  if (call) {
    call(field(result, PG_DIAG_SEVERITY_NONLOCALIZED), field(result, PG_DIAG_MESSAGE_PRIMARY));
  }
}

extern "C" void ignore_notice(void* /*nothing*/, const PGresult* /*result*/) {}

}  // namespace

// ---- Result and Batch

ServerError Result::error() const {
  const PGresult* result = m_handle.get();
  ServerError error{.sqlstate = field(result, PG_DIAG_SQLSTATE),
                    .message = field(result, PG_DIAG_MESSAGE_PRIMARY),
                    .detail = field(result, PG_DIAG_MESSAGE_DETAIL),
                    .hint = field(result, PG_DIAG_MESSAGE_HINT),
                    .context = field(result, PG_DIAG_CONTEXT)};
  if (error.message.empty()) {
    error.message = one_line(PQresultErrorMessage(result));
  }
  const std::string position = field(result, PG_DIAG_STATEMENT_POSITION);
  error.position = position.empty() ? 0 : std::strtoul(position.c_str(), nullptr, 10);
  return error;
}

std::size_t Result::rows() const {
  return static_cast<std::size_t>(PQntuples(m_handle.get()));
}

std::string Result::text(std::size_t row, int column) const {
  const int r = static_cast<int>(row);
  return {PQgetvalue(m_handle.get(), r, column), static_cast<std::size_t>(PQgetlength(m_handle.get(), r, column))};
}

bool Result::is_null(std::size_t row, int column) const {
  return PQgetisnull(m_handle.get(), static_cast<int>(row), column) != 0;
}

bool Result::boolean(std::size_t row, int column) const {
  return text(row, column) == "t";
}

long long Result::number(std::size_t row, int column) const {
  return std::strtoll(text(row, column).c_str(), nullptr, 10);
}

std::string Result::tag() const {
  return PQcmdStatus(m_handle.get());
}

std::size_t Batch::add(std::string sql, std::vector<Parameter> parameters) {
  m_items.push_back({.is_sync = false, .sql = std::move(sql), .parameters = std::move(parameters)});
  return m_count++;
}

std::size_t Batch::bytes() const {
  std::size_t bytes = 0;
  for (const Item& item : m_items) {
    bytes += item.sql.size();
    for (const Parameter& parameter : item.parameters) {
      bytes += parameter ? parameter->size() : 0;
    }
  }
  return bytes;
}

Batch in_one_segment(Batch batch) {
  std::erase_if(batch.m_items, [](const Batch::Item& item) { return item.is_sync; });
  return batch;
}

void Batch::sync() {
  if (!m_items.empty() && !m_items.back().is_sync) {
    m_items.push_back({.is_sync = true, .sql = {}, .parameters = {}});
  }
}

// ---- opening

Connection::Connection(ConnectionHandle handle, util::Clock& clock)
    : m_handle(std::move(handle)), m_clock(&clock), m_notice_handler(std::make_unique<NoticeHandler>()) {
  PQsetnonblocking(m_handle.get(), 1);
  PQsetNoticeReceiver(m_handle.get(), receive_notice, m_notice_handler.get());
}

std::variant<Connection, ConnectError> Connection::open(const Address& address, util::Clock& clock,
                                                        const util::Deadline& deadline) {
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  for (const auto& [keyword, value] : address.parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  if (address.has_password) {
    keywords.push_back("password");
    values.push_back(address.password.reveal().c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  ConnectionHandle handle(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!handle) {
    throw Error(Outcome::server_resources, "out of memory while connecting");
  }
  return finish_opening(std::move(handle), clock, deadline);
}

std::variant<Connection, ConnectError> Connection::open_sibling(const std::string& application_name,
                                                                const util::Deadline& deadline) const {
  ConnectionHandle handle = start_sibling(application_name);
  if (!handle) {
    throw Error(Outcome::server_resources, "out of memory while connecting");
  }
  return finish_opening(std::move(handle), *m_clock, deadline);
}

std::variant<Connection, ConnectError> Connection::finish_opening(ConnectionHandle handle, util::Clock& clock,
                                                                  const util::Deadline& deadline) {
  PQsetErrorVerbosity(handle.get(), PQERRORS_VERBOSE);
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;
  while (PQstatus(handle.get()) != CONNECTION_BAD) {
    const Duration left = deadline.cap(clock, k_longest_poll);
    if (deadline.passed(clock)) {
      return ConnectError{.failure = ConnectFailure::unreachable, .message = "no answer in time", .sqlstate = {}};
    }
    const bool ready = poll_socket(PQsocket(handle.get()), state == PGRES_POLLING_READING ? POLLIN : POLLOUT, left);
    util::throw_if_interrupted();
    if (!ready) {
      continue;  // PQconnectPoll() would take a socket that is still connecting for a connected one
    }
    state = PQconnectPoll(handle.get());
    if (state == PGRES_POLLING_OK) {
      PQsetErrorVerbosity(handle.get(), PQERRORS_DEFAULT);
      return Connection(std::move(handle), clock);
    }
    if (state == PGRES_POLLING_FAILED) {
      break;
    }
  }
  return classify(handle.get());
}

std::string Connection::target() const {
  const std::string host = PQhost(m_handle.get());
  return fmt::format("{}:{}/{}", host.find(':') == std::string::npos ? host : "[" + host + "]", PQport(m_handle.get()),
                     PQdb(m_handle.get()));
}

int Connection::backend_pid() const {
  return PQbackendPID(m_handle.get());
}

int Connection::server_version() const {
  return PQserverVersion(m_handle.get());
}

bool Connection::in_transaction() const {
  return PQtransactionStatus(m_handle.get()) == PQTRANS_INTRANS;
}

bool Connection::idle() const {
  return PQtransactionStatus(m_handle.get()) == PQTRANS_IDLE;
}

bool Connection::usable() const {
  return PQstatus(m_handle.get()) == CONNECTION_OK && !m_out_of_step;
}

void Connection::on_notice(NoticeHandler handler) {
  *m_notice_handler = std::move(handler);
}

ConnectionHandle Connection::start_sibling(const std::string& application_name) const {
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfo(m_handle.get()),
                                                                             &PQconninfoFree);
  if (!options) {
    return nullptr;
  }
  const std::string host = PQhost(m_handle.get());
  const std::string address = PQhostaddr(m_handle.get());
  const std::string port = PQport(m_handle.get());
  std::vector<const char*> keywords;
  std::vector<const char*> values;
  const auto add = [&](const char* keyword, const char* value) {
    keywords.push_back(keyword);
    values.push_back(value);
  };
  for (const PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr && *option->val != '\0') {
      add(option->keyword, option->val);
    }
  }
  // The last of two equal keywords counts. Of several hosts it is to be the one that we are on.
  add("host", host.c_str());
  add("hostaddr", host.starts_with('/') ? "" : address.c_str());
  add("port", port.c_str());
  add("target_session_attrs", "any");
  add("application_name", application_name.c_str());
  add(nullptr, nullptr);
  ConnectionHandle sibling(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (sibling) {
    PQsetErrorVerbosity(sibling.get(), PQERRORS_TERSE);
    PQsetNoticeReceiver(sibling.get(), ignore_notice, nullptr);  // libpq would write it to stderr
  }
  return sibling;
}

// ---- running

std::vector<Result> Connection::run(Batch batch, Stop stop) {
  drain();
  throw_if_stopped();
  send(std::move(batch));
  std::vector<Result> results = receive();
  if (stop == Stop::throw_at_once) {
    throw_if_stopped();
  }
  return results;
}

void Connection::send(Batch batch) {
  batch.sync();
  if (PQenterPipelineMode(m_handle.get()) != 1) {
    throw_lost();
  }
  std::vector<bool> items;
  items.reserve(batch.m_items.size());
  for (const Batch::Item& item : batch.m_items) {
    items.push_back(item.is_sync);
  }
  m_outstanding.push_back(std::move(items));
  send_items(batch);
}

void Connection::send_items(const Batch& batch) {
  PGconn* connection = m_handle.get();
  std::vector<const char*> values;
  std::size_t unflushed = 0;
  for (const Batch::Item& item : batch.m_items) {
    if (item.is_sync) {
      if (PQpipelineSync(connection) != 1) {
        throw_lost();
      }
      continue;
    }
    values.clear();
    for (const auto& parameter : item.parameters) {
      values.push_back(parameter ? parameter->c_str() : nullptr);
    }
    if (PQsendQueryParams(connection, item.sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                          nullptr, nullptr, 0) != 1) {
      throw_lost();
    }
    // A large batch must not fill both directions, and is not sent blindly: signals and the companion are looked at
    // whenever the server takes its time. A small one goes out in whole segments: PgBouncer (seen with 1.18) may take
    // the server away between two of them, and what it had of the second is lost.
    if (++unflushed == k_flush_every) {
      flush();
      unflushed = 0;
    }
  }
  flush();
}

std::vector<Result> Connection::receive() {
  if (std::exchange(m_out_of_step, true)) {
    throw_lost();
  }
  std::vector<Result> results;
  results.reserve(m_outstanding.front().size());
  for (const bool is_sync : m_outstanding.front()) {
    ResultHandle first = next_result();
    if (!is_sync) {
      results.push_back(collect(std::move(first)));
    } else if (PQresultStatus(first.get()) != PGRES_PIPELINE_SYNC) {
      throw_lost();
    }
  }
  m_outstanding.pop_front();
  if (m_outstanding.empty() && PQexitPipelineMode(m_handle.get()) != 1) {
    throw_lost();
  }
  m_out_of_step = false;
  return results;
}

void Connection::drain() {
  while (!m_outstanding.empty()) {
    receive();
  }
}

Result Connection::run_alone(const std::string& sql, std::optional<std::string_view> copy_data) {
  drain();
  throw_if_stopped();
  if (PQsendQuery(m_handle.get(), sql.c_str()) != 1) {
    throw_lost();
  }
  flush();
  ResultHandle first = next_result();
  if (PQresultStatus(first.get()) == PGRES_COPY_IN) {
    send_copy(copy_data.value_or(std::string_view()));
    first = next_result();
  }
  if (PQresultStatus(first.get()) == PGRES_COPY_OUT) {
    // COPY ... TO STDOUT in a migration: nobody wants the rows; read them away.
    char* buffer = nullptr;
    int length = 0;
    while ((length = PQgetCopyData(m_handle.get(), &buffer, 1)) >= 0) {
      if (length > 0) {
        PQfreemem(buffer);
      } else {
        wait_for_socket(false);
        if (PQconsumeInput(m_handle.get()) != 1) {
          throw_lost();
        }
      }
    }
    first = next_result();
  }
  Result result = collect(std::move(first));
  throw_if_stopped();
  return result;
}

void Connection::send_copy(std::string_view data) {
  constexpr std::size_t k_chunk = std::size_t{64} * 1024;
  const auto put = [&](const auto& call) {
    for (int sent = call(); sent != 1; sent = call()) {
      if (sent < 0) {
        throw_lost();
      }
      flush();
    }
  };
  for (; !data.empty() && !m_stopped; data.remove_prefix(std::min(k_chunk, data.size()))) {
    const std::string_view chunk = data.substr(0, k_chunk);
    put([&] { return PQputCopyData(m_handle.get(), chunk.data(), static_cast<int>(chunk.size())); });
    check_stop_request();
  }
  put([&] { return PQputCopyEnd(m_handle.get(), m_stopped ? "stopped" : nullptr); });
  flush();
}

void Connection::flush() {
  for (int left = PQflush(m_handle.get()); left != 0; left = PQflush(m_handle.get())) {
    if (left < 0) {
      throw_lost();
    }
    wait_for_socket(true);
    if (PQconsumeInput(m_handle.get()) != 1) {
      throw_lost();
    }
  }
}

ResultHandle Connection::next_result() {
  while (PQisBusy(m_handle.get()) != 0) {
    wait_for_socket(false);
    if (PQconsumeInput(m_handle.get()) != 1) {
      throw_lost();
    }
  }
  return ResultHandle(PQgetResult(m_handle.get()));
}

/// Reads a query's results up to the NULL that ends them; the last one counts (or the first that failed).
Result Connection::collect(ResultHandle first) {
  ResultHandle kept = std::move(first);
  while (ResultHandle more = next_result()) {
    if (PQresultStatus(kept.get()) != PGRES_FATAL_ERROR) {
      kept = std::move(more);
    }
  }
  if (!kept || PQstatus(m_handle.get()) != CONNECTION_OK) {
    throw_lost();
  }
  switch (PQresultStatus(kept.get())) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_EMPTY_QUERY: return {Result::Status::ok, std::move(kept)};
    case PGRES_PIPELINE_ABORTED: return {Result::Status::skipped, std::move(kept)};
    default: return {Result::Status::failed, std::move(kept)};
  }
}

void Connection::wait_for_socket(bool for_writing) {
  check_stop_request();
  Duration limit = m_deadline.cap(*m_clock, k_longest_poll);
  if (m_stopped) {
    limit = k_cancel_again;
  }
  const auto events = static_cast<short>(for_writing ? POLLIN | POLLOUT : POLLIN);
  if (m_companion == nullptr) {
    poll_socket(PQsocket(m_handle.get()), events, limit);
    return;
  }
  const Companion::Wish wish = m_companion->wish();
  const PollResult happened = poll_sockets(PQsocket(m_handle.get()), events, wish, std::min(limit, wish.wake));
  m_companion->step(happened.companion);
  let_give_way();
}

// ---- stopping

/// After a signal or the deadline: cancel on the server, again until it has answered.
void Connection::check_stop_request() {
  if (!m_stopped) {
    if (const auto signal = util::pending_interrupt()) {
      m_stopped = *signal == SIGINT ? Outcome::interrupted : Outcome::terminated;
    } else if (m_deadline.passed(*m_clock)) {
      m_stopped = Outcome::deadline;
    } else {
      return;
    }
    m_cancelled_at = m_clock->now();
    cancel_on_server();
    return;
  }
  const auto since = m_clock->now() - *m_cancelled_at;
  if (since >= (m_stop_thrown ? k_cleanup_limit : m_drain_limit)) {
    throw Error(*m_stopped, "stopped, but the server does not answer the cancel request",
                "The connection was closed; the server ends what it has of the run as soon as it notices. The history "
                "says how far it got.");
  }
  if (!m_stop_thrown) {
    cancel_on_server();
  }
}

/// Again and again until the answer is there: a cancel that hits between two statements is lost.
void Connection::let_give_way() {
  if (m_stopped || !m_companion->wants_cancel()) {
    return;
  }
  if (!m_gave_way_at || m_clock->now() - *m_gave_way_at >= k_cancel_again) {
    cancel_on_server();
    m_gave_way_at = m_clock->now();
  }
}

void Connection::cancel_on_server() {
  request_cancel(m_handle.get(), *m_clock);
}

/// The statement has ended after a stop request: tell the caller, once. What comes after is clean-up with a short
/// limit.
void Connection::throw_if_stopped() {
  if (!m_stopped || m_stop_thrown) {
    return;
  }
  m_stop_thrown = true;
  m_cancelled_at = m_clock->now();
  switch (*m_stopped) {
    case Outcome::interrupted: throw Error(Outcome::interrupted, "interrupted; the running statement was cancelled");
    case Outcome::terminated: throw Error(Outcome::terminated, "terminated; the running statement was cancelled");
    default:
      throw Error(Outcome::deadline, "the deadline was reached while a statement ran; it was cancelled",
                  "Give more time with --deadline, or make the migration smaller.");
  }
}

void Connection::throw_lost() {
  if (m_stopped && !m_stop_thrown && PQstatus(m_handle.get()) == CONNECTION_OK) {
    throw_if_stopped();
  }
  std::string message = one_line(PQerrorMessage(m_handle.get()));
  throw Error(Outcome::connection_lost,
              "the connection to the server was lost" + (message.empty() ? "" : ": " + message),
              "Run again: the history says how far it got.");
}

// ---- errors

std::string quote_literal(std::string_view value) {
  std::string quoted = value.find('\\') == std::string_view::npos ? "'" : " E'";
  for (const char c : value) {
    quoted += c;
    if (c == '\'' || c == '\\') {
      quoted += c;
    }
  }
  return quoted + '\'';
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
util::Outcome outcome_of(std::string_view sqlstate) {
  if (sqlstate == "42501" || sqlstate.starts_with("28")) {
    return Outcome::permission;
  }
  if (sqlstate == "55P03" || sqlstate == "40P01" || sqlstate == "40001") {
    return Outcome::lock_timeout;
  }
  if (sqlstate == "25006") {
    return Outcome::unsupported_server;
  }
  if (sqlstate.starts_with("53")) {
    return Outcome::server_resources;
  }
  if (sqlstate.empty() || sqlstate.starts_with("08") || sqlstate.starts_with("57P")) {
    return Outcome::connection_lost;
  }
  return Outcome::sql;
}

util::ErrorInfo to_error_info(const ServerError& error) {
  util::ErrorInfo info{
      .outcome = outcome_of(error.sqlstate), .message = error.message, .hint = {}, .sqlstate = error.sqlstate};
  if (!error.detail.empty()) {
    info.detail = "detail: " + error.detail;
  }
  if (!error.context.empty()) {
    info.detail += (info.detail.empty() ? "" : "\n") + ("context: " + error.context);
  }
  if (!error.hint.empty()) {
    info.hint = error.hint.back() == '.' ? error.hint : error.hint + ".";
  }
  return info;
}

}  // namespace lockkeeper::pg
