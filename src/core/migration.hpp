/// \file
/// What the migration files say, as values. files/ fills them; nothing here reads a file or knows a parser.
#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/expectation.hpp"
#include "util/clock.hpp"
#include "util/error.hpp"

namespace lockkeeper::core {

/// The leading digits of a migration's name, compared as numbers of any length: 7 = 007 < 10.
class Version {
 public:
  Version() = default;
  /// \p digits as written; must be digits only (files/name.hpp checks it; the history is checked when it is read).
  explicit Version(std::string digits) : m_digits(std::move(digits)) {}

  [[nodiscard]] const std::string& str() const { return m_digits; }
  [[nodiscard]] bool empty() const { return m_digits.empty(); }
  friend std::strong_ordering operator<=>(const Version& a, const Version& b);
  friend bool operator==(const Version& a, const Version& b) { return (a <=> b) == 0; }

 private:
  std::string m_digits;
};

/// What a statement would destroy, as far as the parser can tell. `down` counts it before it runs.
struct DataLoss {
  enum class What { column, table, rows, unknown };
  What what = What::unknown;
  ObjectName table;     ///< column, table, rows
  std::string column;   ///< column
  std::string summary;  ///< unknown: what cannot be counted, "DROP SCHEMA ... CASCADE"
};

/// What a statement that runs outside a transaction leaves in the catalogs. A run that finds such a statement begun,
/// but not recorded as done, tells by it whether it is done, not done or half done.
struct Footprint {
  enum class Kind {
    unknown,     ///< nothing that could be looked at: CALL, DO with COMMIT, syntax that the parser does not know
    repeatable,  ///< running it again leads to the same: VACUUM, ALTER SYSTEM, REINDEX SCHEMA, CLUSTER, DISCARD
    create_index,
    drop_index,
    reindex_index,
    reindex_table,
    detach_partition,
    create_database,
    drop_database,
    create_tablespace,
    drop_tablespace,
    create_subscription,
    drop_subscription,
  };
  Kind kind = Kind::unknown;
  ObjectName object;           ///< index, table (reindex_table), partition, database, tablespace, subscription
  ObjectName table;            ///< create_index: the indexed table; detach_partition: the partitioned table
  bool if_not_exists = false;  ///< create_index
  bool unique = false;         ///< create_index
  /// create_index: what stands behind the table's name, "USING btree (a) WHERE b"; empty when it cannot be told.
  std::string definition;
};

/// One statement of a script. Pieces put together (Script::text in order) are the file: see files/statements.hpp.
struct Statement {
  std::size_t begin = 0;  ///< byte offset in Script::text of the statement's first token
  std::size_t end = 0;    ///< one past its last byte, without the semicolon
  std::size_t line = 1;   ///< of begin
  std::size_t column = 1;
  std::string kind;            ///< "ALTER TABLE", "CREATE INDEX CONCURRENTLY"; "SQL" when the parser does not know it
  bool known = true;           ///< the parser understood it
  bool in_transaction = true;  ///< false: the server refuses it inside a transaction block
  bool controls_transaction = false;  ///< BEGIN, COMMIT, ROLLBACK, PREPARE TRANSACTION ... (not SAVEPOINT)
  /// Set exactly when the statement is to run outside a transaction in a file without one (transaction: none).
  std::optional<Footprint> footprint;
  /// What it would leave in the session beyond its transaction ("SET", "LISTEN", "a temporary table"); empty = nothing.
  /// Behind a pooler in transaction mode somebody else would get it.
  std::string session_effect;
  std::vector<DataLoss> losses;
  /// COPY ... FROM STDIN: the inline data, byte range in Script::text (without the \. line).
  std::optional<std::pair<std::size_t, std::size_t>> copy_data;
  std::string prefix_checksum;  ///< SHA-256 (hex) over the texts of the statements up to and including this one
};

struct Script {
  std::string path;                   ///< as shown in messages: migrations/2025_x/up.sql
  std::string text;                   ///< without a BOM; line ends as in the file
  std::string checksum;               ///< SHA-256 (hex) of text with CRLF read as LF
  std::vector<Statement> statements;  ///< empty until parsed (files::parse)
  bool parsed = false;

  [[nodiscard]] std::string_view statement_text(const Statement& statement) const {
    return std::string_view(text).substr(statement.begin, statement.end - statement.begin);
  }
};

enum class Phase { pre, post };

/// A count that `down` must find to be zero, declared in migration.yaml.
struct LossCount {
  std::string label;
  std::string sql;  ///< returns one number
  util::SourcePosition where;
};

struct Migration {
  Version version;
  std::string name;       ///< "calendly_integration"
  std::string directory;  ///< "migrations/20250520000000_calendly_integration"
  std::string description;
  Phase phase = Phase::pre;
  /// False: each statement commits by itself (transaction: none). True needs every statement to allow it.
  bool transactional = true;
  std::optional<util::Duration> lock_timeout;       ///< nullopt: the run's setting
  std::optional<util::Duration> statement_timeout;  ///< nullopt: the run's setting
  std::vector<Expectation> expect;
  std::vector<LossCount> data_loss;  ///< guards of down.sql beyond what the parser sees
  Script up;
  std::optional<Script> down;
  bool has_metadata = false;  ///< migration.yaml is there
  bool parsed = false;        ///< metadata and scripts are read, not only hashed

  /// "20250520000000_calendly_integration"
  [[nodiscard]] std::string id() const { return name.empty() ? version.str() : version.str() + "_" + name; }
};

}  // namespace lockkeeper::core
