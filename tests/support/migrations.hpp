/// \file
/// Migrations and history rows built from literals, without files and without the parser.
#pragma once

#include <string>
#include <vector>

#include "core/history.hpp"
#include "core/migration.hpp"

namespace lockkeeper::test {

/// One statement a string. Those that start with "CREATE INDEX CONCURRENTLY <name>" or "VACUUM" cannot run in a
/// transaction. The checksum is the text itself, with "sum of " before it.
inline core::Script make_script(const std::string& path, const std::vector<std::string>& statements) {
  core::Script script;
  script.path = path;
  script.parsed = true;
  std::string prefix;
  for (std::size_t i = 0; i < statements.size(); ++i) {
    core::Statement statement;
    statement.begin = script.text.size();
    script.text += statements[i];
    statement.end = script.text.size();
    script.text += ";\n";
    statement.line = i + 1;
    statement.kind = "SQL";
    const std::string concurrently = "CREATE INDEX CONCURRENTLY ";
    if (statements[i].starts_with(concurrently)) {
      statement.in_transaction = false;
      statement.footprint =
          core::Footprint{.kind = core::Footprint::Kind::create_index,
                          .object = {.schema = {}, .name = statements[i].substr(concurrently.size())}};
    }
    if (statements[i].starts_with("VACUUM")) {
      statement.in_transaction = false;
      statement.footprint = core::Footprint{.kind = core::Footprint::Kind::repeatable};
    }
    prefix += statements[i] + "|";
    statement.prefix_checksum = prefix;
    script.statements.push_back(statement);
  }
  script.checksum = "sum of " + script.text;
  return script;
}

inline core::Migration make_migration(const std::string& version, const std::vector<std::string>& statements,
                                      bool transactional = true) {
  core::Migration migration;
  migration.version = core::Version(version);
  migration.name = "m" + version;
  migration.directory = "migrations/" + version + "_m" + version;
  migration.transactional = transactional;
  migration.up = make_script(migration.directory + "/up.sql", statements);
  migration.parsed = true;
  return migration;
}

/// The row that applying \p migration leaves; \p done: all statements unless said otherwise.
inline core::HistoryRow make_row(const core::Migration& migration, core::Direction direction = core::Direction::up,
                                 core::AttemptOutcome outcome = core::AttemptOutcome::applied) {
  core::HistoryRow row;
  row.version = migration.version;
  row.name = migration.name;
  row.direction = direction;
  row.checksum = migration.up.checksum;
  row.outcome = outcome;
  row.statements_done = migration.up.statements.size();
  row.statements_total = migration.up.statements.size();
  return row;
}

/// A row of an up script that was cut after \p done statements.
inline core::HistoryRow make_half_done(const core::Migration& migration, std::size_t done) {
  core::HistoryRow row = make_row(migration, core::Direction::up, core::AttemptOutcome::started);
  row.statements_done = done;
  row.prefix_checksum = done == 0 ? "" : migration.up.statements.at(done - 1).prefix_checksum;
  return row;
}

inline core::History make_history(std::vector<core::HistoryRow> rows) {
  core::History history{.exists = true, .layout = 1, .rows = std::move(rows)};
  for (std::size_t i = 0; i < history.rows.size(); ++i) {
    history.rows[i].id = static_cast<std::int64_t>(i) + 1;
  }
  return history;
}

}  // namespace lockkeeper::test
