/// \file
/// proxy PORT DELAY_MS: a TCP proxy on loopback in front of the PostgreSQL at 127.0.0.1:PORT. Prints its own port, then
/// passes everything on, each piece DELAY_MS after it came, in either direction. On SIGTERM it prints one JSON object
/// for each connection, in the order they came, and ends.
///
/// A turn: the client says something while nothing that it asked before is unanswered, as the client sees it: an answer
/// counts when it is delivered, after the delay. What is asked ends with Sync, Query or Flush. `startup` are the turns
/// until the first ReadyForQuery (start-up message, authentication), `turns` those after it. Terminate is none.
///
/// The kernel opens loopback connections at once. With a delay the first piece of a client is held for one more round
/// trip, which a real connection would have cost. Nothing is held back otherwise: one thread, no Nagle.
/// Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::uint32_t k_cancel_request = 80877102;
constexpr std::uint32_t k_ssl_request = 80877103;
constexpr std::uint32_t k_gss_request = 80877104;

volatile std::sig_atomic_t finished = 0;

/// Splits a stream into messages and tells their types: '\0' for the first ones of a client, which have none.
class Messages {
 public:
  explicit Messages(bool typed) : m_typed{typed} {}

  /// \p on_message gets the type and, of a message without one, the code that follows the length.
  template <typename OnMessage>
  void split(std::string_view piece, OnMessage on_message) {
    while (!piece.empty()) {
      if (m_left > 0) {
        const auto taken = std::min<std::size_t>(m_left, piece.size());
        m_left -= taken;
        piece.remove_prefix(taken);
        continue;
      }
      if (m_bare_answer) {  // to a request for encryption: one byte
        m_bare_answer = false;
        piece.remove_prefix(1);
        on_message('N', 0U);
        continue;
      }
      const std::size_t wanted = m_typed ? 5 : 8;
      m_head.push_back(piece.front());
      piece.remove_prefix(1);
      if (m_head.size() < wanted) {
        continue;
      }
      begin_message(on_message);
    }
  }

  void expect_types() { m_typed = true; }
  void expect_bare_answer() { m_bare_answer = true; }

 private:
  template <typename OnMessage>
  void begin_message(OnMessage on_message) {
    const std::size_t header = m_typed ? 1 : 0;
    const std::size_t whole = number(header) + header;
    m_left = whole > m_head.size() ? whole - m_head.size() : 0;
    const char type = m_typed ? m_head[0] : '\0';
    const std::uint32_t code = m_typed ? 0U : number(4);
    m_head.clear();
    on_message(type, code);
  }

  std::uint32_t number(std::size_t at) const {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i) {
      value = value << 8U | static_cast<unsigned char>(m_head[i]);
    }
    return value;
  }

  bool m_typed;
  bool m_bare_answer = false;
  std::string m_head;
  std::size_t m_left = 0;
};

/// What client and server say to each other, and how often the client waited.
class Conversation {
 public:
  void client_says(std::string_view piece) {
    m_bytes_out += piece.size();
    m_from_client.split(piece, [this](char type, std::uint32_t code) { request(type, code); });
  }

  void client_hears(std::string_view piece) {
    m_bytes_in += piece.size();
    m_from_server.split(piece, [this](char type, std::uint32_t) { answer(type); });
  }

  void print() const {
    std::printf(
        "{\"startup\": %d, \"turns\": %d, \"messages\": %d, \"bytes_out\": %zu, \"bytes_in\": %zu, \"ready\": %s, "
        "\"cancel\": %s}\n",
        m_startup, m_turns, m_messages, m_bytes_out, m_bytes_in, m_ready ? "true" : "false",
        m_cancel ? "true" : "false");
  }

 private:
  void request(char type, std::uint32_t code) {
    ++m_messages;
    if (type == '\0') {
      request_without_type(code);
    }
    if (type == 'X') {
      return;
    }
    if (!m_ready) {
      m_startup += m_heard_since ? 1 : 0;
      m_heard_since = false;
      return;
    }
    if (m_unanswered.empty() && (!m_unfinished || (m_flushed && m_answered >= m_asked))) {
      ++m_turns;
    }
    const bool ends = type == 'Q' || type == 'S' || type == 'F';
    m_flushed = type == 'H';
    m_unfinished = !ends;
    if (ends) {
      m_unanswered.push_back(m_asked);
    } else if (!m_flushed) {
      ++m_asked;
    }
  }

  void request_without_type(std::uint32_t code) {
    if (code == k_ssl_request || code == k_gss_request) {
      m_from_server.expect_bare_answer();
    } else {
      m_cancel = code == k_cancel_request;
      m_from_client.expect_types();
    }
  }

  /// Each message of the extended protocol has one answer that ends it; what an error skips is made up for at the next
  /// ReadyForQuery.
  void answer(char type) {
    m_heard_since = true;
    if (type == 'Z') {
      if (m_ready && !m_unanswered.empty()) {
        m_answered = m_unanswered.front();
        m_unanswered.pop_front();
      }
      m_ready = true;
    } else if (std::string_view{"123nTCsI"}.find(type) != std::string_view::npos) {
      ++m_answered;
    }
  }

  Messages m_from_client{false};
  Messages m_from_server{true};
  bool m_ready = false;
  bool m_cancel = false;
  bool m_heard_since = true;  // before the connection is ready: the server spoke last
  bool m_unfinished = false;  // a part of a request was sent, without its Sync
  bool m_flushed = false;     // and the last of it was Flush
  long m_asked = 0;           // messages of the extended protocol, each of which gets one answer
  long m_answered = 0;
  std::deque<long> m_unanswered;  // for each Sync or Query: m_asked at that time
  int m_startup = 0;
  int m_turns = 0;
  int m_messages = 0;
  std::size_t m_bytes_out = 0;
  std::size_t m_bytes_in = 0;
};

/// One direction of a connection: what came and is not passed on yet.
class Pipe {
 public:
  using Seen = std::function<void(std::string_view)>;

  Pipe(int from, int to, Seen on_arrival, Seen on_delivery)
      : m_from{from}, m_to{to}, m_on_arrival{std::move(on_arrival)}, m_on_delivery{std::move(on_delivery)} {}

  /// Takes what is there; it is due \p due. False: there was nothing more to take.
  void take(Clock::time_point due) {
    std::array<char, 65536> buffer;  // NOLINT: read fills it
    const ssize_t size = read(m_from, buffer.data(), buffer.size());
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    const std::string_view piece{buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    m_over = piece.empty();
    if (!m_over && m_on_arrival) {
      m_on_arrival(piece);
    }
    m_pieces.push_back({due, std::string{piece}});  // an empty one: the end
  }

  /// Passes on what is due.
  void pass_on(Clock::time_point now) {
    while (!m_pieces.empty() && m_pieces.front().due <= now) {
      auto& piece = m_pieces.front();
      if (piece.data.empty()) {
        shutdown(m_to, SHUT_WR);
        m_done = true;
        m_pieces.clear();
        return;
      }
      const ssize_t sent = send(m_to, piece.data.data(), piece.data.size(), MSG_NOSIGNAL);
      if (sent < 0) {
        m_blocked = errno == EAGAIN || errno == EINTR;
        if (!m_blocked) {
          give_up();
        }
        return;
      }
      if (m_on_delivery) {
        m_on_delivery(std::string_view{piece.data}.substr(0, static_cast<std::size_t>(sent)));
      }
      piece.data.erase(0, static_cast<std::size_t>(sent));
      if (piece.data.empty()) {
        m_pieces.pop_front();
      }
    }
    m_blocked = false;
  }

  int from() const { return m_from; }
  int to() const { return m_to; }
  bool over() const { return m_over; }
  bool done() const { return m_done; }
  bool blocked() const { return m_blocked; }
  bool waiting() const { return !m_pieces.empty() && !m_blocked; }
  Clock::time_point due() const { return m_pieces.front().due; }

 private:
  struct Piece {
    Clock::time_point due;
    std::string data;
  };

  void give_up()  // the other side is gone
  {
    m_over = m_done = true;
    m_pieces.clear();
  }

  int m_from;
  int m_to;
  Seen m_on_arrival;
  Seen m_on_delivery;
  std::deque<Piece> m_pieces;
  bool m_over = false;
  bool m_done = false;
  bool m_blocked = false;
};

int local_socket() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    std::perror("proxy: socket");
    std::exit(1);
  }
  return fd;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void prepare(int fd) {
  const int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

class Connection {
 public:
  Connection(int client, int server, milliseconds delay)
      : m_opened{Clock::now()},
        m_delay{delay},
        m_up{client, server, [this](std::string_view piece) { m_conversation.client_says(piece); }, {}},
        m_down{server, client, {}, [this](std::string_view piece) { m_conversation.client_hears(piece); }} {
    prepare(client);
    prepare(server);
  }
  ~Connection() {
    if (m_open) {
      close_both();
    }
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void add_to(std::vector<pollfd>& polled) const {
    for (const Pipe* pipe : {&m_up, &m_down}) {
      if (!pipe->over()) {
        polled.push_back({pipe->from(), POLLIN, 0});
      }
      if (pipe->blocked()) {
        polled.push_back({pipe->to(), POLLOUT, 0});
      }
    }
  }

  void serve(const std::vector<pollfd>& polled) {
    const auto now = Clock::now();
    for (Pipe* pipe : {&m_up, &m_down}) {
      const bool readable = std::any_of(polled.begin(), polled.end(), [&](const pollfd& one) {
        return one.fd == pipe->from() && (one.events & POLLIN) != 0 && one.revents != 0;
      });
      if (readable && !pipe->over()) {
        pipe->take(pipe == &m_up ? due_at_server(now) : now + m_delay);
      }
      pipe->pass_on(now);
    }
    if ((m_up.done() && m_down.done()) || m_down.done()) {
      close_both();
    }
  }

  void earliest(Clock::time_point& next) const {
    for (const Pipe* pipe : {&m_up, &m_down}) {
      if (pipe->waiting()) {
        next = std::min(next, pipe->due());
      }
    }
  }

  bool open() const { return m_open; }
  void print() const { m_conversation.print(); }

 private:
  Clock::time_point due_at_server(Clock::time_point now) const {
    return std::max(now, m_opened + 2 * m_delay) + m_delay;
  }

  void close_both() {
    close(m_up.from());
    close(m_up.to());
    m_open = false;
  }

  Conversation m_conversation;
  Clock::time_point m_opened;
  milliseconds m_delay;
  Pipe m_up;
  Pipe m_down;
  bool m_open = true;
};

class Proxy {
 public:
  Proxy(int port, milliseconds delay) : m_upstream{loopback(port)}, m_delay{delay}, m_listener{local_socket()} {
    auto address = loopback(0);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(m_listener, generic, size) != 0 || listen(m_listener, 64) != 0 ||
        getsockname(m_listener, generic, &size) != 0) {
      std::perror("proxy: listen");
      std::exit(1);
    }
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
  }

  /// Serves until SIGTERM, which is let in only while nothing is at work.
  void serve(const sigset_t& while_waiting) {
    std::vector<pollfd> polled;
    while (!finished) {
      polled.assign(1, {m_listener, POLLIN, 0});
      auto next = Clock::time_point::max();
      for (const auto& connection : m_connections) {
        if (!connection->open()) {
          continue;
        }
        connection->add_to(polled);
        connection->earliest(next);
      }
      if (wait(polled, next, while_waiting) < 0) {
        continue;
      }
      for (const auto& connection : m_connections) {
        if (connection->open()) {
          connection->serve(polled);
        }
      }
      if (polled.front().revents != 0) {
        accept_one();
      }
    }
  }

  void print() const {
    for (const auto& connection : m_connections) {
      connection->print();
    }
  }

 private:
  static int wait(std::vector<pollfd>& polled, Clock::time_point next, const sigset_t& while_waiting) {
    timespec pause{};
    const bool limited = next != Clock::time_point::max();
    if (limited) {
      const auto left = std::max(Clock::duration::zero(), next - Clock::now());
      const auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
      pause = {nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    }
    return ppoll(polled.data(), polled.size(), limited ? &pause : nullptr, &while_waiting);
  }

  void accept_one() {
    const int client = accept4(m_listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) {
      return;
    }
    const int server = local_socket();
    if (connect(server, reinterpret_cast<const sockaddr*>(&m_upstream), sizeof m_upstream) != 0) {
      std::perror("proxy: connect");
      close(client);
      close(server);
      return;
    }
    m_connections.push_back(std::make_unique<Connection>(client, server, m_delay));
  }

  sockaddr_in m_upstream;
  milliseconds m_delay;
  int m_listener;
  std::vector<std::unique_ptr<Connection>> m_connections;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: proxy PORT DELAY_MS\n", stderr);
    return 2;
  }
  sigset_t term;
  sigset_t before;
  sigemptyset(&term);
  sigaddset(&term, SIGTERM);
  sigprocmask(SIG_BLOCK, &term, &before);
  std::signal(SIGTERM, [](int) { finished = 1; });

  Proxy proxy{std::atoi(argv[1]), milliseconds{std::atoi(argv[2])}};
  proxy.serve(before);
  proxy.print();
  return 0;
}
