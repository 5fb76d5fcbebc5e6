#include "util/error.hpp"

#include <array>
#include <cstdlib>

#include <fmt/format.h>

namespace lockkeeper::util {

namespace {

using enum Outcome;
using enum RetryClass;

// In numeric order. Numbers and names are wired into the chart's podFailurePolicy and into people's alerts: stable.
constexpr std::array k_exit_codes = {
    ExitCode{ok, 0, "ok", success, "The database is as asked: migrations applied, or nothing to do.",
             "Nothing. A database that is ahead of the files is also 0, unless --on-ahead fail or check --strict."},
    ExitCode{internal, 1, "internal", retryable, "An error that Lockkeeper has no better name for.",
             "Please report it with the log. The run changed nothing that the history does not show."},
    ExitCode{usage, 2, "usage", fatal, "The command line is wrong.",
             "Correct it; `lockkeeper COMMAND --help` lists it."},
    ExitCode{pending, 3, "pending", answer, "Migrations are pending or half done (check, wait).",
             "Run `lockkeeper up`; `lockkeeper plan` shows what it would do."},
    ExitCode{ahead, 4, "ahead", answer, "The database has migrations that the files do not have (check --strict).",
             "Deploy the release that brought them, or check without --strict."},
    ExitCode{config, 10, "config", fatal,
             "The configuration is wrong or incomplete: no DATABASE_URL, a bad value, an "
             "unreadable secret file, a database that does not exist.",
             "Correct the value that the message names; `lockkeeper doctor` shows where each comes from."},
    ExitCode{migration_files, 11, "migration_files", fatal, "The migration files are invalid.",
             "Correct the files that the message lists. Nothing was changed."},
    ExitCode{sql, 12, "sql", fatal,
             "A migration's SQL failed; that migration is rolled back whole, earlier ones of the "
             "run stay applied.",
             "Correct the statement that the message shows and run `lockkeeper up` again."},
    ExitCode{half_done, 13, "half_done", fatal, "A migration without a transaction is half done and needs a person.",
             "Correct the failed statement and run `lockkeeper up`, which goes on there, or finish by hand and run "
             "`lockkeeper baseline --to VERSION`."},
    ExitCode{checksum, 14, "checksum", fatal, "A migration file was changed after it was applied.",
             "Restore the file and put the change into a new migration; if the change is meant, run "
             "`lockkeeper repair VERSION --accept-checksum`."},
    ExitCode{history_conflict, 15, "history_conflict", fatal,
             "Files and history do not fit: an applied file is missing, "
             "a pending one is older than an applied one, or the database is ahead and that is not allowed.",
             "Bring the files of the deployed release, or choose --on-missing, --on-out-of-order or --on-ahead."},
    ExitCode{verification, 16, "verification", fatal, "The database is not as a migration expects.",
             "Look at expected and found in the message. During `up` the migration was rolled back."},
    ExitCode{permission, 17, "permission", fatal, "The server refused the login, or the role lacks a permission.",
             "Check the secret, or run the GRANT that the hint shows; `lockkeeper grants` prints a whole script."},
    ExitCode{unsupported_server, 18, "unsupported_server", fatal,
             "The server cannot do what is asked: it is read-only, "
             "too old, has a newer history layout, or is behind a pooler where a session is needed.",
             "Give the address of the primary, without a pooler (DIRECT_URL)."},
    ExitCode{deadline, 19, "deadline", fatal, "--deadline was reached while a statement ran; it was cancelled cleanly.",
             "Give more time, or make the migration smaller. A retry would spend the same time again."},
    ExitCode{data_loss, 21, "data_loss", fatal, "The roll-back was refused: data would be lost.",
             "Save the data that the message counts, then run `lockkeeper down --allow-data-loss`."},
    ExitCode{policy, 22, "policy", fatal,
             "Refused by policy: the environment forbids the command, or the answer was no.",
             "Use --yes where that is meant, or an environment that allows it."},
    ExitCode{unreachable, 30, "unreachable", retryable,
             "The server cannot be reached, is starting, or has no free "
             "connection.",
             "Check host, port and network policy; raise --connect-wait if the server needs longer to start."},
    ExitCode{lock_busy, 31, "lock_busy", retryable, "Another runner held the lock until --lock-wait was over.",
             "Look at the holder in the message; it may simply be at work. A retry waits again."},
    ExitCode{
        lock_timeout, 32, "lock_timeout", retryable,
        "A lock on a table was not to be had, or a deadlock or "
        "serialization failure did not go away, within --lock-retry-budget.",
        "The error names who holds the table, and the line that ends that session; else retry at a quieter time. The "
        "migration was rolled back."},
    ExitCode{connection_lost, 33, "connection_lost", retryable,
             "The connection was lost; the state was checked as clean "
             "where that was possible.",
             "Run again: the history says how far it got."},
    ExitCode{server_resources, 34, "server_resources", retryable, "The server ran out of a resource: disk, memory.",
             "Free the resource that the message names, then run again. The migration was rolled back."},
    ExitCode{metrics_required, 35, "metrics_required", retryable,
             "The metrics were not delivered, and --metrics-required "
             "is set; the migrations are applied.",
             "Repair the Pushgateway or the path; running again changes nothing in the database."},
    ExitCode{interrupted, 130, "interrupted", retryable,
             "Interrupted (SIGINT): cancelled on the server, rolled back, "
             "unlocked.",
             "Run again when you are ready."},
    ExitCode{terminated, 143, "terminated", retryable,
             "Terminated (SIGTERM): cancelled on the server, rolled back, "
             "unlocked.",
             "Nothing, if Kubernetes starts the Job again; else run again."},
};

}  // namespace

std::span<const ExitCode> exit_codes() {
  return k_exit_codes;
}

const ExitCode& exit_code(Outcome outcome) {
  for (const ExitCode& row : k_exit_codes) {
    if (row.outcome == outcome) {
      return row;
    }
  }
  std::abort();  // a value of the enum without a row: our own mistake, and a test walks them all
}

const ExitCode* find_exit_code(int code) {
  for (const ExitCode& row : k_exit_codes) {
    if (row.code == code) {
      return &row;
    }
  }
  return nullptr;
}

std::string_view to_string(RetryClass retry) {
  switch (retry) {
    case RetryClass::success: return "success";
    case RetryClass::answer: return "answer";
    case RetryClass::fatal: return "fatal";
    case RetryClass::retryable: return "retryable";
  }
  return "";
}

std::string to_string(const SourcePosition& position) {
  if (position.line == 0) {
    return position.file;
  }
  if (position.column == 0) {
    return fmt::format("{}:{}", position.file, position.line);
  }
  return fmt::format("{}:{}:{}", position.file, position.line, position.column);
}

std::string to_string(const ErrorInfo& info) {
  std::string text;
  if (info.where && !info.where->file.empty()) {
    text += to_string(*info.where) + ": ";
  }
  text += info.message;
  if (!info.sqlstate.empty()) {
    text += fmt::format(" (SQLSTATE {})", info.sqlstate);
  }
  for (const std::string* part : {&info.excerpt, &info.detail}) {
    if (!part->empty()) {
      text += '\n';
      text += *part;
    }
  }
  if (!info.hint.empty()) {
    text += "\nhint: " + info.hint;
  }
  return text;
}

Error::Error(ErrorInfo info) : std::runtime_error(to_string(info)), m_info(std::move(info)) {}

Error::Error(Outcome outcome, std::string message, std::string hint)
    : Error(ErrorInfo{.outcome = outcome,
                      .message = std::move(message),
                      .hint = std::move(hint),
                      .detail = {},
                      .sqlstate = {},
                      .where = {},
                      .excerpt = {}}) {}

}  // namespace lockkeeper::util
