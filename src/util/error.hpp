/// \file
/// The one error type and the table of exit codes that everything else reads.
///
/// An Error ends the run: what happened, where, and what to do next. It is caught once, in main. What a caller must
/// look at and may go on from (a failed statement, drift, a busy lock) is a value, never an Error. Messages are lower
/// case without a full stop; hints are full sentences. Neither ever holds a secret.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace lockkeeper::util {

/// How a run ended. One to one with the exit codes in docs/exit-codes.md.
enum class Outcome {
  ok,
  internal,
  usage,
  pending,
  ahead,
  config,
  migration_files,
  sql,
  half_done,
  checksum,
  history_conflict,
  verification,
  permission,
  unsupported_server,
  deadline,
  data_loss,
  policy,
  unreachable,
  lock_busy,
  lock_timeout,
  connection_lost,
  server_resources,
  metrics_required,
  interrupted,
  terminated,
};

/// What a Kubernetes Job should do with an exit code.
enum class RetryClass { success, answer, fatal, retryable };

struct ExitCode {
  Outcome outcome;
  int code;
  std::string_view name;  ///< stable identifier, for logs and the termination message: "lock_busy"
  RetryClass retry;
  std::string_view meaning;    ///< one sentence
  std::string_view next_step;  ///< what a person does about it; full sentences
};

/// Every exit code, in numeric order. `explain`, docs/exit-codes.md and the chart's podFailurePolicy come from it.
std::span<const ExitCode> exit_codes();
const ExitCode& exit_code(Outcome outcome);
/// nullptr when \p code is not one of ours.
const ExitCode* find_exit_code(int code);
std::string_view to_string(RetryClass retry);

/// A place in a text file. Lines and columns count from 1, columns in characters; 0 = not known.
struct SourcePosition {
  std::string file;
  std::size_t line = 0;
  std::size_t column = 0;

  bool operator==(const SourcePosition&) const = default;
};
/// "file:line:column", leaving out what is not known.
std::string to_string(const SourcePosition& position);

struct ErrorInfo {
  Outcome outcome = Outcome::internal;
  std::string message;
  std::string hint;
  std::string detail;    ///< the server's DETAIL, or the further lines of an error with several parts
  std::string sqlstate;  ///< five characters, or empty
  std::optional<SourcePosition> where;
  std::string excerpt;  ///< the source line with a caret under the place (util::excerpt)
};

/// The error as a person reads it: "file:line:column: message (SQLSTATE x)", excerpt, detail, "hint: ...".
/// Several lines, no trailing newline.
std::string to_string(const ErrorInfo& info);

class Error : public std::runtime_error {
 public:
  explicit Error(ErrorInfo info);
  Error(Outcome outcome, std::string message, std::string hint = {});

  [[nodiscard]] const ErrorInfo& info() const { return m_info; }

 private:
  ErrorInfo m_info;
};

}  // namespace lockkeeper::util
