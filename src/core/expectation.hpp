/// \file
/// What must hold after a migration (`expect:` in migration.yaml), as values. pg/expectations checks them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "util/error.hpp"

namespace lockkeeper::core {

/// "name", with quotes inside it doubled: an SQL identifier that means exactly \p name.
/// Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
std::string quote_identifier(std::string_view name);

/// A database object as written in a file: case-sensitive, never folded. Without a schema the search_path decides.
struct ObjectName {
  std::string schema;
  std::string name;

  bool operator==(const ObjectName&) const = default;
  auto operator<=>(const ObjectName&) const = default;
  /// "app"."Booking" with both parts quoted: what PostgreSQL's to_regclass() takes.
  [[nodiscard]] std::string quoted() const;
  /// app.Booking, for messages.
  [[nodiscard]] std::string str() const { return schema.empty() ? name : schema + "." + name; }
};

/// One expectation about one object. Fields that are not set are not checked.
struct Expectation {
  enum class Kind { column, table, index, constraint, enum_type, sql };
  Kind kind = Kind::table;
  bool absent = false;                       ///< the object must not be there
  ObjectName object;                         ///< table, index or enum type; column and constraint: their table
  std::string member;                        ///< column or constraint name; sql: its label
  std::optional<std::string> type;           ///< column: "text", "varchar(20)", "timestamptz", "int4[]"
  std::optional<bool> nullable;              ///< column
  std::optional<std::string> default_value;  ///< column: the expression as pg_get_expr shows it; "" = no default
  std::optional<ObjectName> table;           ///< index: the table it is on
  std::optional<bool> valid;                 ///< index: indisvalid (true unless said otherwise)
  std::optional<bool> unique;                ///< index
  std::optional<bool> validated;             ///< constraint: convalidated (true unless said otherwise)
  std::vector<std::string> values;           ///< enum_type: labels that must be there
  std::string sql;                           ///< sql: must return one row whose first column is true
  util::SourcePosition where;                ///< in migration.yaml

  /// "column Booking.calendlyEventId": what it is about, for tables and messages, and (with kind) its identity.
  [[nodiscard]] std::string subject() const;
};

/// How one expectation turned out.
struct ExpectationResult {
  Expectation expectation;
  std::string version;  ///< the migration that states it
  bool holds = false;
  std::string expected;  ///< "text, nullable"
  std::string found;     ///< "integer, not null", "absent"
};

}  // namespace lockkeeper::core
