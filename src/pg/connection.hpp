/// \file
/// One connection to PostgreSQL: opened with a deadline, used in batches, interruptible, cancelled on the server.
///
/// Everything is sent in pipeline mode: a Batch is one request and one answer however many statements it holds.
/// Every wait ends at the deadline or at SIGINT/SIGTERM; then the running statement is cancelled on the server and its
/// answer is drained before the Error is thrown, so that the connection can still be used to roll back. The cancel
/// request is encrypted where the connection is and libpq can (17 and later).
/// Not for: general use (no types, no cursors), several threads.
/// Sources: https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
///          https://www.postgresql.org/docs/current/libpq-cancel.html
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <libpq-fe.h>

#include "core/expectation.hpp"
#include "util/clock.hpp"
#include "util/error.hpp"
#include "util/secret.hpp"

namespace lockkeeper::pg {

struct ResultDeleter {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
struct ConnectionDeleter {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
};
using ResultHandle = std::unique_ptr<PGresult, ResultDeleter>;
using ConnectionHandle = std::unique_ptr<PGconn, ConnectionDeleter>;

/// What the server said about a statement that failed.
struct ServerError {
  std::string sqlstate;  ///< empty when the connection broke before there was one
  std::string message;
  std::string detail;
  std::string hint;
  std::string context;
  std::size_t position = 0;  ///< in characters from 1; 0 = not known
};

/// The answer to one query of a batch.
class Result {
 public:
  enum class Status { ok, failed, skipped };  ///< skipped: an earlier query of its segment failed

  Result() = default;
  Result(Status status, ResultHandle handle) : m_status(status), m_handle(std::move(handle)) {}

  [[nodiscard]] Status status() const { return m_status; }
  [[nodiscard]] bool ok() const { return m_status == Status::ok; }
  [[nodiscard]] ServerError error() const;
  [[nodiscard]] std::size_t rows() const;
  [[nodiscard]] std::string text(std::size_t row, int column) const;  ///< NULL is ""
  [[nodiscard]] bool is_null(std::size_t row, int column) const;
  [[nodiscard]] bool boolean(std::size_t row, int column) const;
  [[nodiscard]] long long number(std::size_t row, int column) const;
  [[nodiscard]] std::string tag() const;  ///< "COMMIT", "ALTER TABLE"

 private:
  Status m_status = Status::skipped;
  ResultHandle m_handle;
};

/// Queries that are sent together. A segment ends at sync(): within it the queries after a failed one are skipped, and
/// outside a transaction block it is a transaction of its own.
class Batch {
 public:
  using Parameter = std::optional<std::string>;  ///< nullopt = NULL
  /// Returns the index of its Result.
  std::size_t add(std::string sql, std::vector<Parameter> parameters = {});
  void sync();
  [[nodiscard]] std::size_t size() const { return m_count; }
  /// Text and parameters, in bytes: what it takes on the wire, nearly.
  [[nodiscard]] std::size_t bytes() const;

 private:
  friend class Connection;
  friend Batch in_one_segment(Batch batch);
  struct Item {
    bool is_sync = false;
    std::string sql;
    std::vector<Parameter> parameters;
  };
  std::vector<Item> m_items;
  std::size_t m_count = 0;
};
/// The same queries without the syncs between them.
Batch in_one_segment(Batch batch);

/// Where and as whom to connect. Values may be secret: nothing here is ever formatted whole.
struct Address {
  std::vector<std::pair<std::string, std::string>> parameters;  ///< libpq keywords, without the password
  util::Secret password;
  bool has_password = false;
};

/// Why a connection could not be opened.
enum class ConnectFailure {
  unreachable,     ///< refused, not resolvable, starting up, no free slot: worth waiting for
  authentication,  ///< 28xxx: the secret or the role may appear later
  no_database,     ///< 3D000: may be created later
  read_only,       ///< target_session_attrs wants a server that writes; a fail-over may be on its way
  permanent,       ///< TLS trust, bad parameter: waiting does not help
};
struct ConnectError {
  ConnectFailure failure = ConnectFailure::unreachable;
  std::string message;  ///< one line, without a password
  std::string sqlstate;
};

/// Something that goes on beside while an answer is awaited: the watcher's own connection. Never blocks, never throws.
class Companion {
 public:
  struct Wish {
    int socket = -1;        ///< to be polled; -1 = none
    short events = 0;       ///< POLLIN, POLLOUT
    util::Duration wake{};  ///< call step() after that time at the latest
  };
  virtual ~Companion() = default;
  [[nodiscard]] virtual Wish wish() const = 0;
  /// \p ready: something happened at the socket.
  virtual void step(bool ready) = 0;
  /// The statement that is awaited is to be cancelled, so that others get their turn.
  [[nodiscard]] virtual bool wants_cancel() const = 0;
};

class Connection {
 public:
  using NoticeHandler = std::function<void(std::string_view severity, const std::string& message)>;

  /// Tries one host once, until \p deadline.
  /// \return a connection or why there is none. \throws Error{interrupted|terminated}
  static std::variant<Connection, ConnectError> open(const Address& address, util::Clock& clock,
                                                     const util::Deadline& deadline);

  /// Another one to the very same server (its address, not its name), as the same user.
  [[nodiscard]] std::variant<Connection, ConnectError> open_sibling(const std::string& application_name,
                                                                    const util::Deadline& deadline) const;

  /// "localhost:5432/app", for messages.
  [[nodiscard]] std::string target() const;
  [[nodiscard]] int backend_pid() const;  ///< as the server said when we connected
  [[nodiscard]] int server_version() const;
  [[nodiscard]] bool in_transaction() const;  ///< an open transaction block that has not failed
  [[nodiscard]] bool idle() const;            ///< in no transaction block, failed ones included
  [[nodiscard]] bool usable() const;
  void on_notice(NoticeHandler handler);
  /// Goes along with every wait from now on, until nullptr. Must outlive that.
  void accompany(Companion* companion) { m_companion = companion; }
  /// What open_sibling() begins with, for who polls PQconnectPoll() himself. nullptr: out of memory.
  [[nodiscard]] ConnectionHandle start_sibling(const std::string& application_name) const;
  /// Statements that run past it are cancelled: Error{deadline}.
  void set_deadline(const util::Deadline& deadline) { m_deadline = deadline; }

  /// How long a cancelled statement may take to answer before the connection is given up; 10 s.
  void set_drain_limit(util::Duration limit) { m_drain_limit = limit; }

  /// Who throws when a signal or the deadline came while the answers were awaited. The caller does where an answer must
  /// be looked at first: a COMMIT may have succeeded all the same.
  enum class Stop { throw_at_once, caller_throws };
  /// Sends the batch and returns one Result a query, in order. A missing sync() at the end is added.
  /// \throws Error{connection_lost}, Error{interrupted|terminated}, Error{deadline}
  std::vector<Result> run(Batch batch, Stop stop = Stop::throw_at_once);

  /// Sends the batch without waiting for its answer, nor for those of batches that were sent before it. A missing
  /// sync() at the end is added. Nothing is sent any more when a stop was asked for: throw_if_stopped() throws it.
  void send(Batch batch);
  /// The answer to the oldest batch that is not answered, as run() returns it; throws for a stop only when the server
  /// does not react to it. Whoever has sent ahead looks at every answer before throw_if_stopped(), as some may have
  /// been committed. run() and run_alone() throw away the answers that are still outstanding.
  std::vector<Result> receive();
  [[nodiscard]] std::size_t outstanding() const { return m_outstanding.size(); }  ///< batches that are not answered
  /// Reads all outstanding answers away.
  void drain();
  [[nodiscard]] bool stop_was_asked() const { return m_stopped.has_value(); }
  /// \throws Error{interrupted|terminated|deadline} once, when a stop was asked for; after that only clean-up is
  /// possible
  void throw_if_stopped();
  /// One query outside the pipeline, for what may not share a segment with anything (CREATE INDEX CONCURRENTLY, COPY).
  /// \p copy_data is sent when the server asks for it.
  Result run_alone(const std::string& sql, std::optional<std::string_view> copy_data = std::nullopt);

 private:
  Connection(ConnectionHandle handle, util::Clock& clock);
  static std::variant<Connection, ConnectError> finish_opening(ConnectionHandle handle, util::Clock& clock,
                                                               const util::Deadline& deadline);

  void send_items(const Batch& batch);
  void wait_for_socket(bool for_writing);
  void flush();
  ResultHandle next_result();
  Result collect(ResultHandle first);
  void send_copy(std::string_view data);
  void check_stop_request();
  void let_give_way();
  void cancel_on_server();
  [[noreturn]] void throw_lost();

  ConnectionHandle m_handle;
  std::deque<std::vector<bool>> m_outstanding;  ///< of each batch that was sent: its items, true = a sync
  bool m_out_of_step = false;                   ///< an answer was read in part
  util::Clock* m_clock;
  util::Deadline m_deadline;
  std::unique_ptr<NoticeHandler> m_notice_handler;
  std::optional<util::Outcome> m_stopped;  ///< a signal or the deadline came; from now on only short clean-up
  std::optional<util::SteadyTime> m_cancelled_at;
  bool m_stop_thrown = false;
  util::Duration m_drain_limit = std::chrono::seconds(10);
  Companion* m_companion = nullptr;
  std::optional<util::SteadyTime> m_gave_way_at;  ///< the last cancel for the companion
};

/// SQL text for \p value as a string constant, for the few places where no parameter can stand.
std::string quote_literal(std::string_view value);
using core::quote_identifier;

/// Which exit code a server error means.
util::Outcome outcome_of(std::string_view sqlstate);
/// ErrorInfo with message, SQLSTATE, detail and the server's hint; no place yet.
util::ErrorInfo to_error_info(const ServerError& error);

}  // namespace lockkeeper::pg
