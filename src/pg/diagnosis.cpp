#include "pg/diagnosis.hpp"

#include <array>

#include <fmt/format.h>

#include "pg/lock.hpp"
#include "util/text.hpp"

namespace lockkeeper::pg {

namespace {

using util::Error;
using util::ErrorInfo;
using util::Outcome;

struct KnownHint {
  std::string_view sqlstate;
  std::string_view hint;
};

constexpr std::array k_known_hints = {
    KnownHint{
        "42P01",
        "The table belongs to the application: it must be there before this migration. Check that the database is the "
        "right one, that the application's own tables were created, and the schema (?schema= or search_path), on which "
        "the "
        "role needs USAGE; names that need quotes are case-sensitive."},
    KnownHint{
        "3F000",
        "Create the schema first, or correct ?schema= in the URL; a schema that the role has no USAGE on counts as "
        "not there."},
    KnownHint{"42701",
              "If it is meant to be there already, write ADD COLUMN IF NOT EXISTS and state the expected type under "
              "`expect:`, or record the migration with `lockkeeper baseline --to VERSION`."},
    KnownHint{
        "42P07",
        "If it is meant to be there already, write IF NOT EXISTS, or record the migration with `lockkeeper baseline "
        "--to VERSION`."},
    KnownHint{"42710",
              "If it is meant to be there already, record the migration with `lockkeeper baseline --to VERSION`."},
    KnownHint{
        "55P03",
        "Another session holds the table. --lock-timeout is how long one attempt may wait, --lock-retry-budget for how "
        "long to try again."},
    KnownHint{"57014",
              "A time limit was reached: --statement-timeout, or statement_timeout in migration.yaml or in SQL."},
    KnownHint{
        "25001",
        "This statement cannot run in a transaction: put it into a file of its own, or set `transaction: none` in "
        "migration.yaml."},
    KnownHint{"25006", "The server or the role only allows reading: give the address of the primary."},
};

/// The text between \p before and the end of \p message; empty when it does not start like that.
std::string after(const std::string& message, std::string_view before) {
  return message.starts_with(before) ? message.substr(before.size()) : std::string();
}

/// For SQLSTATEs whose cause we know better than the server says; empty = none.
std::string_view known_hint(const ServerError& error) {
  for (const KnownHint& known : k_known_hints) {
    if (error.sqlstate == known.sqlstate) {
      return known.hint;
    }
  }
  return {};
}

/// Puts file, line, column and excerpt into \p info. \p position: the server's, in characters of the statement from 1;
/// 0 = not known (the statement's start is named).
void locate(ErrorInfo& info, const core::Script& script, const core::Statement& statement, std::size_t position) {
  std::size_t offset = statement.begin;
  if (position > 0) {
    offset += util::byte_offset(script.statement_text(statement), position - 1);
  }
  const util::LineColumn at = util::line_column(script.text, offset);
  info.where = util::SourcePosition{.file = script.path, .line = at.line, .column = at.column};
  info.excerpt = util::excerpt(script.text, at);
}

void throw_if_lock_lost(const ServerError& error) {
  if (is_lock_lost(error)) {
    throw Error(Outcome::connection_lost, "the migration lock was lost during the run",
                "A migration may have called pg_advisory_unlock_all(), or a pooler gave the session another backend. "
                "Nothing was changed after it was lost; run again.");
  }
  if (is_out_of_order(error)) {
    throw Error(Outcome::connection_lost, "the history was changed during the run, by somebody without the lock",
                "Nothing was changed after that; look at `lockkeeper status` and run again.");
  }
}

}  // namespace

std::optional<Denied> parse_denied(const std::string& message) {
  for (const bool owner : {false, true}) {
    const std::string rest = after(message, owner ? "must be owner of " : "permission denied for ");
    const std::size_t space = rest.find(' ');
    if (space != std::string::npos && space + 1 < rest.size()) {
      return Denied{.kind = rest.substr(0, space), .name = rest.substr(space + 1), .must_be_owner = owner};
    }
  }
  return std::nullopt;
}

std::string permission_hint(const Denied& denied, const std::string& user, const std::string& owner) {
  const std::string role = quote_identifier(user);
  const std::string name = quote_identifier(denied.name);
  if (denied.must_be_owner) {
    if (owner.empty()) {
      return fmt::format(
          "Only the owner of {} {} may change it: GRANT its owner's role TO {}, or run with --role OWNER.", denied.kind,
          denied.name, role);
    }
    return fmt::format("GRANT {} TO {}; and run with --role {} (only the owner of {} {} may change it).",
                       quote_identifier(owner), role, owner, denied.kind, denied.name);
  }
  if (denied.kind == "schema") {
    return fmt::format("GRANT USAGE, CREATE ON SCHEMA {} TO {};", name, role);
  }
  if (denied.kind == "database") {
    return fmt::format("GRANT CREATE ON DATABASE {} TO {};", name, role);
  }
  if (denied.kind == "table" || denied.kind == "relation" || denied.kind == "view") {
    return fmt::format("GRANT SELECT, INSERT, UPDATE, DELETE, REFERENCES ON {} TO {};", name, role);
  }
  if (denied.kind == "sequence") {
    return fmt::format("GRANT USAGE, SELECT ON SEQUENCE {} TO {};", name, role);
  }
  return fmt::format("Grant role {} what it needs on {} {}.", role, denied.kind, denied.name);
}

void Diagnosis::throw_if_failed(const Result& result, std::string_view what) const {
  if (result.status() == Result::Status::failed) {
    throw_error(result.error(), what);
  }
}

void Diagnosis::throw_error(const ServerError& error, std::string_view what) const {
  throw_if_lock_lost(error);
  ErrorInfo info = to_error_info(error);
  info.message = fmt::format("{}: {}", what, error.message);
  if (error.sqlstate == "22023" ||
      error.sqlstate == "42704") {  // a role or setting of ours that the server does not know
    info.outcome = Outcome::config;
  }
  if (info.outcome == Outcome::permission) {
    add_permission_hint(info, error);
  }
  throw Error(std::move(info));
}

core::SqlFailure Diagnosis::failure(const core::Attempt& attempt, const core::Statement& statement,
                                    const ServerError& error) const {
  throw_if_lock_lost(error);
  core::SqlFailure failed{.error = to_error_info(error)};
  failed.worth_retrying = failed.error.outcome == Outcome::lock_timeout;
  locate(failed.error, attempt.script(), statement, error.position);
  const std::string_view hint = known_hint(error);
  if (!hint.empty()) {
    failed.error.hint += (failed.error.hint.empty() ? "" : " ") + std::string(hint);
  }
  if (failed.error.outcome == Outcome::permission) {
    add_permission_hint(failed.error, error);
  }
  return failed;
}

void Diagnosis::add_permission_hint(ErrorInfo& info, const ServerError& error) const {
  if (const auto denied = parse_denied(error.message)) {
    info.hint = permission_hint(*denied, m_user, denied->must_be_owner ? find_owner(denied->name) : std::string());
  }
}

/// Empty when it cannot be told. The transaction that failed is over after this.
std::string Diagnosis::find_owner(const std::string& relation) const {
  try {
    Batch batch;
    batch.add("ROLLBACK");
    batch.sync();
    batch.add(
        "SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c WHERE c.relname = $1 ORDER BY "
        "pg_catalog.pg_table_is_visible(c.oid) DESC LIMIT 1",
        {relation});
    const std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
    return results[1].ok() && results[1].rows() == 1 ? results[1].text(0, 0) : std::string();
  } catch (const Error&) {
    return {};
  }
}

}  // namespace lockkeeper::pg
