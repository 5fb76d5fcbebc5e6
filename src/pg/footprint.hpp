/// \file
/// How far a statement outside a transaction got, told by what it leaves in the catalogs; and clearing what a failed
/// one left: an INVALID index, `_ccnew` and `_ccold` of REINDEX CONCURRENTLY, a DETACH PARTITION that is not finished.
///
/// Somebody else's work is never touched: an index that a session is building right now, the index of a partitioned
/// table (made ON ONLY, it is INVALID until its parts are attached), an index of another table.
/// Sources: https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY
///          https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY
///          https://www.postgresql.org/docs/current/sql-altertable.html (DETACH PARTITION)
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/database.hpp"
#include "core/events.hpp"
#include "pg/connection.hpp"
#include "pg/diagnosis.hpp"

namespace lockkeeper::pg {

class Footprints {
 public:
  Footprints(Connection& connection, const Diagnosis& diagnosis, core::Observer& observer)
      : m_connection(connection), m_diagnosis(diagnosis), m_observer(observer) {}

  /// Before statement \p index of the attempt is sent, outside a transaction. Clears what an earlier try left. Tells in
  /// a Note what it found and did.
  /// \p in_doubt: it was sent before, and nobody knows whether it is done.
  /// \return true when it is done already and must not be sent
  /// \throws Error{half_done} when it is in doubt and nothing can tell: names the two ways on
  /// \throws Error{lock_timeout} when somebody else builds that index right now
  /// \throws Error{sql} when a valid index of that name has another definition, with the place in the file
  [[nodiscard]] bool prepare(const core::Attempt& attempt, std::size_t index, bool in_doubt);

  /// After it has succeeded.
  /// \throws Error{half_done} when the index is INVALID all the same, or not there: IF NOT EXISTS was content with
  /// another relation of that name
  void require_valid(const core::Attempt& attempt, std::size_t index);

 private:
  struct Place;
  struct Index;

  bool prepare_create_index(const Place& place, bool in_doubt);
  bool judge_valid_index(const Place& place, const Index& index, bool in_doubt);
  std::optional<std::string> probe(const core::Footprint& footprint, const Index& index, std::string& why);
  void prepare_reindex(const Place& place);
  bool prepare_detach(const Place& place, bool in_doubt);
  bool is_done(const Place& place, bool in_doubt, const std::string& query, bool done_when_there);
  Result ask(const std::string& sql, const std::vector<Batch::Parameter>& parameters);
  void repair(const std::string& name, std::string_view what);
  void tell(core::Level level, std::string message);

  Connection& m_connection;
  const Diagnosis& m_diagnosis;
  core::Observer& m_observer;
};

}  // namespace lockkeeper::pg
