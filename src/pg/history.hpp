/// \file
/// The history table: its DDL, its layout version, its rows as core::HistoryRow. docs/history.md is its contract.
///
/// Statements only; pg/database.cpp sends them. All names are qualified: a migration may leave any search_path.
#pragma once

#include <string>
#include <vector>

#include "core/history.hpp"
#include "pg/connection.hpp"

namespace lockkeeper::pg {

/// The layout that this binary writes. It stands in the table's comment: "lockkeeper history, layout 1".
inline constexpr int k_history_layout = 1;

struct HistoryTable {
  std::string schema = "lockkeeper";
  std::string table = "history";
  std::vector<std::string> readers;  ///< roles that are granted USAGE and SELECT

  /// "lockkeeper"."history"
  [[nodiscard]] std::string quoted() const;
  /// lockkeeper.history, for messages and as a part of the lock's key.
  [[nodiscard]] std::string str() const { return schema + "." + table; }
};

std::string layout_query(const HistoryTable& table);
std::string rows_query(const HistoryTable& table);
/// The same, but one row with the id 0 instead of all when files::history_checksum() is \p expected: when exactly those
/// files are applied. docs/decisions/0010-history-on-the-wire.md
std::string rows_query_unless(const HistoryTable& table, const std::string& expected);

/// From the answers to layout_query() and rows_query().
/// \throws Error{permission} with the GRANT, Error{unsupported_server} when the layout is newer or not ours
core::History read_history(const HistoryTable& table, const std::string& user, const Result& layout,
                           const Result& rows);

/// Statements that create the schema (unless \p schema_exists: CREATE SCHEMA IF NOT EXISTS needs CREATE on the database
/// even when there is nothing to create) and the table, with its comment and grants.
std::vector<std::string> create_statements(const HistoryTable& table, bool schema_exists);

/// For HistoryTable::readers; granting again changes nothing.
std::vector<std::string> grant_statements(const HistoryTable& table);

}  // namespace lockkeeper::pg
