#include "pg/history.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace lockkeeper::pg {

namespace {

using util::Error;
using util::ErrorInfo;
using util::Outcome;

/// Behind the id, as parse_row() reads them.
constexpr std::string_view k_columns =
    "version, name, direction, checksum, outcome, statements_done, statements_total, "
    "pg_catalog.to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), applied_by, "
    "details->>'prefix', details->>'new_until', details->>'running'";

constexpr std::string_view k_comment = "lockkeeper history, layout ";

int parse_layout(const std::string& comment) {
  if (!comment.starts_with(k_comment)) {
    return 0;
  }
  int layout = 0;
  std::from_chars(comment.data() + k_comment.size(), comment.data() + comment.size(), layout);
  return layout;
}

[[noreturn]] void throw_not_readable(const HistoryTable& table, const std::string& user, const ServerError& error) {
  ErrorInfo info = to_error_info(error);
  info.message = fmt::format("cannot read the history {}: {}", table.str(), error.message);
  if (error.sqlstate == "42501") {
    const std::string role = quote_identifier(user);
    info.hint = fmt::format("GRANT USAGE ON SCHEMA {} TO {}; GRANT SELECT ON {} TO {};", quote_identifier(table.schema),
                            role, table.quoted(), role);
  } else if (error.sqlstate == "42703") {
    info.outcome = Outcome::unsupported_server;
    info.hint = fmt::format(
        "{} is not a history table of Lockkeeper, or was changed by hand; --history-table names another.", table.str());
  }
  throw Error(std::move(info));
}

core::Direction parse_direction(const std::string& text) {
  using core::Direction;
  for (const Direction direction : {Direction::up, Direction::down, Direction::baseline, Direction::repair}) {
    if (text == to_string(direction)) {
      return direction;
    }
  }
  throw Error(Outcome::unsupported_server, fmt::format("the history has a row with the direction {}", text),
              "A newer Lockkeeper may have written it: use that one.");
}

core::HistoryRow parse_row(const Result& rows, std::size_t r) {
  const std::string version = rows.text(r, 1);
  if (version.empty() || version.find_first_not_of("0123456789") != std::string::npos) {
    throw Error(Outcome::history_conflict,
                fmt::format("the history row with id {} has no number as its version", rows.text(r, 0)),
                "Rows are written by Lockkeeper only: correct or remove that row.");
  }
  return {.id = rows.number(r, 0),
          .version = core::Version(version),
          .name = rows.text(r, 2),
          .direction = parse_direction(rows.text(r, 3)),
          .checksum = rows.text(r, 4),
          .outcome = rows.text(r, 5) == "started" ? core::AttemptOutcome::started : core::AttemptOutcome::applied,
          .statements_done = static_cast<std::size_t>(rows.number(r, 6)),
          .statements_total = static_cast<std::size_t>(rows.number(r, 7)),
          .finished_at = rows.text(r, 8),
          .applied_by = rows.text(r, 9),
          .prefix_checksum = rows.text(r, 10),
          .running_checksum = rows.text(r, 12),
          .new_until = rows.text(r, 11)};
}

}  // namespace

std::string HistoryTable::quoted() const {
  return quote_identifier(schema) + "." + quote_identifier(table);
}

std::string layout_query(const HistoryTable& table) {
  return fmt::format("SELECT pg_catalog.obj_description(pg_catalog.to_regclass({}), 'pg_class')",
                     quote_literal(table.quoted()));
}

std::string rows_query(const HistoryTable& table) {
  return fmt::format("SELECT id, {} FROM {} WHERE outcome <> 'failed' ORDER BY id", k_columns, table.quoted());
}

/// A version's newest row decides, as in core::states_of(): rolled back, it is left out; half done, or of a kind that
/// we do not know, its line is none that a file gives. Nothing to send is one row of NULLs.
std::string rows_query_unless(const HistoryTable& table, const std::string& expected) {
  constexpr std::string_view k_newest =
      "SELECT DISTINCT ON (pg_catalog.ltrim(version, '0') COLLATE pg_catalog.\"C\") version, checksum, direction, "
      "outcome = 'applied' AS applied FROM {} WHERE outcome <> 'failed' ORDER BY pg_catalog.ltrim(version, '0') "
      "COLLATE pg_catalog.\"C\", id DESC";
  constexpr std::string_view k_lines =
      "pg_catalog.string_agg(version || ' ' || CASE WHEN applied AND direction IN ('up', 'baseline', 'repair') THEN "
      "checksum ELSE 'not applied' END || E'\\n', '' ORDER BY version COLLATE pg_catalog.\"C\")";
  return fmt::format(
      "WITH newest AS ({newest}), compared AS (SELECT "
      "pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to({lines}, "
      "'UTF8')), 'hex') IS NOT DISTINCT FROM {expected} AS same FROM newest WHERE NOT (applied AND direction = "
      "'down')) "
      "SELECT CASE WHEN same THEN 0 ELSE id END, {columns} FROM compared LEFT JOIN {table} ON NOT same AND "
      "outcome <> 'failed' ORDER BY id",
      fmt::arg("newest", fmt::format(k_newest, table.quoted())), fmt::arg("lines", k_lines),
      fmt::arg("expected", quote_literal(expected)), fmt::arg("columns", k_columns), fmt::arg("table", table.quoted()));
}

core::History read_history(const HistoryTable& table, const std::string& user, const Result& layout,
                           const Result& rows) {
  core::History history;
  if (!layout.ok()) {
    throw_not_readable(table, user, layout.error());
  }
  history.layout = parse_layout(layout.text(0, 0));
  if (history.layout > k_history_layout) {
    throw Error(Outcome::unsupported_server,
                fmt::format("the history {} has layout {}, this binary knows up to {}", table.str(), history.layout,
                            k_history_layout),
                "A newer Lockkeeper has written it: use that version or a later one.");
  }
  if (!rows.ok()) {
    const ServerError error = rows.error();
    if (error.sqlstate == "42P01" || error.sqlstate == "3F000") {
      return history;  // not created yet
    }
    throw_not_readable(table, user, error);
  }
  history.exists = true;
  if (rows.rows() == 1 && (rows.is_null(0, 0) || rows.number(0, 0) == 0)) {  // rows_query_unless()
    history.matches_files = !rows.is_null(0, 0);
    return history;
  }
  history.rows.reserve(rows.rows());
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    history.rows.push_back(parse_row(rows, r));
  }
  return history;
}

std::vector<std::string> create_statements(const HistoryTable& table, bool schema_exists) {
  std::vector<std::string> statements;
  if (!schema_exists) {
    statements.push_back(fmt::format("CREATE SCHEMA {}", quote_identifier(table.schema)));
  }
  statements.push_back(fmt::format(R"(CREATE TABLE {} (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version text NOT NULL,
  name text NOT NULL,
  direction text NOT NULL CHECK (direction IN ('up', 'down', 'baseline', 'repair')),
  checksum text NOT NULL,
  outcome text NOT NULL CHECK (outcome IN ('started', 'applied', 'failed')),
  statements_done integer NOT NULL DEFAULT 0,
  statements_total integer NOT NULL DEFAULT 0,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  applied_by text NOT NULL DEFAULT session_user,
  runner text NOT NULL,
  error text,
  details jsonb NOT NULL DEFAULT '{{}}'
))",
                                   table.quoted()));
  statements.push_back(fmt::format("COMMENT ON TABLE {} IS {}", table.quoted(),
                                   quote_literal(fmt::format("{}{}", k_comment, k_history_layout))));
  for (std::string& grant : grant_statements(table)) {
    statements.push_back(std::move(grant));
  }
  return statements;
}

std::vector<std::string> grant_statements(const HistoryTable& table) {
  std::vector<std::string> statements;
  for (const std::string& reader : table.readers) {
    statements.push_back(
        fmt::format("GRANT USAGE ON SCHEMA {} TO {}", quote_identifier(table.schema), quote_identifier(reader)));
    statements.push_back(fmt::format("GRANT SELECT ON {} TO {}", table.quoted(), quote_identifier(reader)));
  }
  return statements;
}

}  // namespace lockkeeper::pg
