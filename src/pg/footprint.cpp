#include "pg/footprint.hpp"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lockkeeper::pg {

using core::Footprint;
using core::Level;
using util::Error;
using util::ErrorInfo;
using util::Outcome;
using Kind = core::Footprint::Kind;

/// The statement in question, for messages.
struct Footprints::Place {
  const core::Attempt& attempt;
  const core::Statement& statement;

  [[nodiscard]] const Footprint& footprint() const { return *statement.footprint; }
  [[nodiscard]] ErrorInfo error(Outcome outcome, std::string message, std::string hint) const {
    const util::LineColumn at{statement.line, statement.column};
    return {.outcome = outcome,
            .message = std::move(message),
            .hint = std::move(hint),
            .where = util::SourcePosition{attempt.script().path, at.line, at.column},
            .excerpt = util::excerpt(attempt.script().text, at)};
  }
};

/// The index that CREATE INDEX would make, as it is found.
struct Footprints::Index {
  std::string name;   ///< as SQL wants it
  std::string table;  ///< as SQL wants it
  std::string table_name;
  bool valid = false;
  bool partitioned = false;
  bool being_built = false;
  bool unique = false;
  std::string definition;  ///< as pg_get_indexdef shows it
};

namespace {

/// Somebody works on \p table (and, when it is given, on \p index) CONCURRENTLY. Of another role's session we see the
/// pid only, and its locks.
std::string being_built(std::string_view table, std::string_view index) {
  return fmt::format(
      "EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index p WHERE p.datid = (SELECT d.oid FROM "
      "pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) AND ((p.relid = {0}{1}) OR (p.relid "
      "IS "
      "NULL AND EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.pid = p.pid AND l.locktype = 'relation' AND "
      "l.relation = {0} AND l.mode = 'ShareUpdateExclusiveLock' AND l.granted))))",
      table, index.empty() ? std::string() : fmt::format(" AND p.index_relid = {}", index));
}

/// As the session's search_path sees it: for messages and for SQL of the same session.
std::string shown_name(std::string_view relation) {
  return fmt::format("{}.oid::pg_catalog.regclass::text", relation);
}

/// From "USING" on; the names before it may hold anything between their quotes.
std::string_view behind_names(std::string_view definition) {
  constexpr std::string_view k_using = " USING ";
  bool quoted = false;
  for (std::size_t i = 0; i < definition.size(); ++i) {
    quoted = quoted != (definition[i] == '"');
    if (!quoted && definition.substr(i).starts_with(k_using)) {
      return definition.substr(i + 1);
    }
  }
  return definition;
}

std::string shown(const Footprint& footprint) {
  return footprint.object.str();
}

/// What a person can do about a statement of which nobody knows whether it is done.
std::string ways_on(const core::Attempt& attempt) {
  if (attempt.direction == core::Direction::down) {
    return "If it is done, put SELECT 1 in its place in the file, which asserts that; if it is not, change it in the "
           "file (a comment in it is enough), which asserts that it may run. Then run `lockkeeper down` again.";
  }
  return fmt::format(
      "Look at the database. Either finish by hand what is missing and run `lockkeeper baseline --to {}`, which "
      "asserts "
      "that the whole file is done; or, if the statement is not done, change it in the file (a comment in it is "
      "enough) "
      "and run `lockkeeper up` again, which asserts that it may run.",
      attempt.migration->version.str());
}

ErrorInfo undecidable(ErrorInfo error, const core::Attempt& attempt) {
  error.hint = ways_on(attempt);
  return error;
}

std::string in_doubt_message(const core::Statement& statement) {
  return fmt::format("{} was sent by a run that was cut, and it may or may not be done", statement.kind);
}

constexpr std::string_view k_cancelled = "57014";
constexpr std::string_view k_wait_for_build = "Wait for it to end (pg_stat_progress_create_index), then run again.";

/// Where CREATE INDEX puts its index: in the schema of its table, whatever the search_path.
std::string index_query() {
  return fmt::format(
      "SELECT i.indisvalid, c.relkind = 'I', {}, {}, {}, i.indisunique, pg_catalog.pg_get_indexdef(c.oid), t.relname "
      "FROM pg_catalog.pg_class t JOIN pg_catalog.pg_class c ON c.relnamespace = t.relnamespace AND c.relname = $2 "
      "JOIN "
      "pg_catalog.pg_index i ON i.indexrelid = c.oid AND i.indrelid = t.oid WHERE t.oid = pg_catalog.to_regclass($1)",
      being_built("t.oid", "c.oid"), shown_name("c"), shown_name("t"));
}

/// INVALID indexes that REINDEX CONCURRENTLY left next to the ones that it was to rebuild, of partitions and of TOAST
/// tables too. A long name is cut to make room for the suffix.
std::string leftovers_query(bool of_table) {
  const std::string tree =
      "(SELECT pg_catalog.to_regclass($1) AS oid UNION SELECT relid FROM "
      "pg_catalog.pg_partition_tree(pg_catalog.to_regclass($1)))";
  const std::string rebuilt = of_table
                                  ? fmt::format(
                                        "SELECT x.indexrelid FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class t ON "
                                        "x.indrelid IN (t.oid, t.reltoastrelid) JOIN {} r ON r.oid = t.oid",
                                        tree)
                                  : fmt::format("SELECT r.oid FROM {} r", tree);
  return fmt::format(
      "SELECT DISTINCT {}, {}, t.relkind = 't', pg_catalog.has_schema_privilege(l.relnamespace, 'USAGE') FROM ({}) "
      "rebuilt(oid) JOIN pg_catalog.pg_class b ON b.oid = rebuilt.oid JOIN pg_catalog.pg_index bi ON bi.indexrelid = "
      "b.oid JOIN pg_catalog.pg_index li ON li.indrelid = bi.indrelid AND NOT li.indisvalid JOIN pg_catalog.pg_class l "
      "ON l.oid = li.indexrelid AND l.relkind = 'i' JOIN pg_catalog.pg_class t ON t.oid = li.indrelid WHERE l.relname "
      "~ "
      "'_cc(new|old)[0-9]*$' AND (pg_catalog.regexp_replace(l.relname::text, '_cc(new|old)[0-9]*$', '') = b.relname OR "
      "(pg_catalog.octet_length(l.relname::text) >= 60 AND pg_catalog.starts_with(b.relname::text, "
      "pg_catalog.regexp_replace(l.relname::text, '_cc(new|old)[0-9]*$', '')))) ORDER BY 1",
      shown_name("l"), being_built("t.oid", ""), rebuilt);
}

}  // namespace

bool Footprints::prepare(const core::Attempt& attempt, std::size_t index, bool in_doubt) {
  const core::Statement& statement = attempt.script().statements.at(index);
  const Place place{attempt, statement};
  switch (place.footprint().kind) {
    case Kind::unknown:
      if (in_doubt) {
        throw Error(undecidable(place.error(Outcome::half_done, in_doubt_message(statement), {}), attempt));
      }
      return false;
    case Kind::repeatable: return false;
    case Kind::create_index: return prepare_create_index(place, in_doubt);
    case Kind::reindex_index:
    case Kind::reindex_table: prepare_reindex(place); return false;
    case Kind::detach_partition: return prepare_detach(place, in_doubt);
    case Kind::drop_index:
      return is_done(place, in_doubt, "SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1)",
                     false);
    // DROP DATABASE that was cut leaves a row with datconnlimit -2, of a database that is no more.
    case Kind::create_database:
      return is_done(place, in_doubt, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1 AND datconnlimit <> -2",
                     true);
    case Kind::drop_database:
      return is_done(place, in_doubt, "SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1", false);
    case Kind::create_tablespace:
    case Kind::drop_tablespace:
      return is_done(place, in_doubt, "SELECT 1 FROM pg_catalog.pg_tablespace WHERE spcname = $1",
                     place.footprint().kind == Kind::create_tablespace);
    case Kind::create_subscription:
    case Kind::drop_subscription:
      return is_done(place, in_doubt,
                     "SELECT 1 FROM pg_catalog.pg_subscription WHERE subname = $1 AND subdbid = (SELECT oid FROM "
                     "pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
                     place.footprint().kind == Kind::create_subscription);
  }
  return false;
}

/// Statements that leave one thing, or take one away, whole.
bool Footprints::is_done(const Place& place, bool in_doubt, const std::string& query, bool done_when_there) {
  if (!in_doubt) {
    return false;
  }
  const Footprint& footprint = place.footprint();
  const std::string& name = footprint.object.name;
  const Result found = ask(query, {footprint.kind == Kind::drop_index ? footprint.object.quoted() : name});
  return (found.rows() > 0) == done_when_there;
}

// ---- indexes

bool Footprints::prepare_create_index(const Place& place, bool in_doubt) {
  const Footprint& footprint = place.footprint();
  const Result r = ask(index_query(), {footprint.table.quoted(), footprint.object.name});
  if (r.rows() == 0) {  // also when another table has an index of that name: the server says so
    return false;
  }
  const Index index{.name = r.text(0, 3),
                    .table = r.text(0, 4),
                    .table_name = r.text(0, 7),
                    .valid = r.boolean(0, 0),
                    .partitioned = r.boolean(0, 1),
                    .being_built = r.boolean(0, 2),
                    .unique = r.boolean(0, 5),
                    .definition = r.text(0, 6)};
  if (index.valid) {
    return judge_valid_index(place, index, in_doubt);
  }
  if (index.partitioned) {
    return false;
  }
  if (index.being_built) {
    throw Error(place.error(Outcome::lock_timeout,
                            fmt::format("index {} is being built by another session right now", index.name),
                            std::string(k_wait_for_build)));
  }
  repair(index.name, "left by a build that failed: dropped and built again");
  return false;
}

/// A valid index of that name is ours when it is what the statement would make.
bool Footprints::judge_valid_index(const Place& place, const Index& index, bool in_doubt) {
  const Footprint& footprint = place.footprint();
  if (!in_doubt && !footprint.if_not_exists) {
    return false;  // the server refuses it, and says why
  }
  std::string why;
  const std::optional<std::string> wanted = probe(footprint, index, why);
  if (!wanted) {
    if (in_doubt) {
      ErrorInfo error = place.error(Outcome::half_done,
                                    fmt::format("{}, and index {} cannot be compared with it: {}",
                                                in_doubt_message(place.statement), index.name, why),
                                    {});
      error.detail = fmt::format("  found:  {}", index.definition);
      throw Error(undecidable(std::move(error), place.attempt));
    }
    tell(Level::warning,
         fmt::format("index {} is there already; whether it is the one that the file asks for cannot be "
                     "told: {}",
                     index.name, why));
    return false;
  }
  if (index.unique != footprint.unique || behind_names(index.definition) != behind_names(*wanted)) {
    ErrorInfo error =
        place.error(Outcome::sql, fmt::format("index {} is there already, with another definition", index.name),
                    "Rename or drop that index, or give the one in the file another name; then run "
                    "again.");
    error.detail =
        fmt::format("  found:  {}{}\n  wanted: {}{}", index.unique ? "UNIQUE " : "", behind_names(index.definition),
                    footprint.unique ? "UNIQUE " : "", behind_names(*wanted));
    throw Error(std::move(error));
  }
  return in_doubt;  // IF NOT EXISTS: the server skips it
}

/// How the server would show the index of the file: made on an empty copy of the table, in a transaction that is rolled
/// back. nullopt, and \p why, when it cannot be made there.
std::optional<std::string> Footprints::probe(const Footprint& footprint, const Index& index, std::string& why) {
  if (footprint.definition.empty()) {
    why = "the statement cannot be read";
    return std::nullopt;
  }
  const std::string copy = "pg_temp." + quote_identifier(index.table_name);  // conditions may name the table
  Batch batch;
  batch.add("BEGIN");
  batch.add("SELECT pg_catalog.set_config('lock_timeout', '2s', true)");
  batch.add(fmt::format("CREATE TEMPORARY TABLE {} (LIKE {})", copy.substr(copy.find('.') + 1), index.table));
  batch.add(fmt::format("CREATE {}INDEX lockkeeper_probe ON {} {}", footprint.unique ? "UNIQUE " : "", copy,
                        footprint.definition));
  const std::size_t answer =
      batch.add("SELECT pg_catalog.pg_get_indexdef(pg_catalog.to_regclass('pg_temp.lockkeeper_probe'))");
  batch.sync();
  batch.add("ROLLBACK");
  const std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
  m_connection.throw_if_stopped();
  for (const Result& result : results) {
    if (result.status() == Result::Status::failed) {
      const ServerError error = result.error();
      const Outcome outcome = outcome_of(error.sqlstate);
      if (error.sqlstate == k_cancelled || (outcome != Outcome::sql && outcome != Outcome::permission)) {
        m_diagnosis.throw_error(error, "cannot compare the index");
      }
      why = error.message;
      return std::nullopt;
    }
  }
  return results[answer].text(0, 0);
}

void Footprints::prepare_reindex(const Place& place) {
  const bool of_table = place.footprint().kind == Kind::reindex_table;
  const Result r = ask(leftovers_query(of_table), {place.footprint().object.quoted()});
  for (std::size_t row = 0; row < r.rows(); ++row) {
    const std::string name = r.text(row, 0);
    if (r.boolean(row, 1)) {
      throw Error(place.error(Outcome::lock_timeout,
                              fmt::format("the table of index {} is being indexed by another session right now", name),
                              std::string(k_wait_for_build)));
    }
    if (r.boolean(row, 2) && !r.boolean(row, 3)) {
      tell(Level::warning, fmt::format("index {} of a TOAST table is INVALID, left by a REINDEX that failed; only a "
                                       "superuser can drop it: DROP INDEX {}",
                                       name, name));
      continue;
    }
    repair(name, "left by a REINDEX that failed: dropped");
  }
}

void Footprints::require_valid(const core::Attempt& attempt, std::size_t index) {
  const Place place{attempt, attempt.script().statements.at(index)};
  const Footprint& footprint = place.footprint();
  if (footprint.kind == Kind::create_index) {
    const Result r = ask(index_query(), {footprint.table.quoted(), footprint.object.name});
    if (r.rows() == 0) {
      throw Error(place.error(Outcome::half_done,
                              fmt::format("index {} is not there: another relation has its name, and IF NOT EXISTS was "
                                          "content with that",
                                          shown(footprint)),
                              "Give the index another name."));
    }
    if (!r.boolean(0, 0)) {
      throw Error(place.error(Outcome::half_done, fmt::format("index {} is INVALID after the build", r.text(0, 3)),
                              "Run again: it is dropped and built again."));
    }
  }
  if (footprint.kind != Kind::reindex_index && footprint.kind != Kind::reindex_table) {
    return;
  }
  const bool of_index = footprint.kind == Kind::reindex_index;
  const Result r = ask(fmt::format("SELECT {} FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = "
                                   "i.indexrelid WHERE {} = pg_catalog.to_regclass($1) AND NOT i.indisvalid AND "
                                   "c.relkind = 'i' ORDER BY 1",
                                   shown_name("c"), of_index ? "i.indexrelid" : "i.indrelid"),
                       {footprint.object.quoted()});
  for (std::size_t row = 0; row < r.rows(); ++row) {
    if (of_index) {
      throw Error(place.error(Outcome::half_done, fmt::format("index {} is INVALID after REINDEX", r.text(row, 0)),
                              "Run again."));
    }
    // REINDEX TABLE CONCURRENTLY leaves out what was INVALID before: none of our doing.
    tell(Level::warning,
         fmt::format("index {} is INVALID; REINDEX TABLE CONCURRENTLY leaves such an index out: REINDEX "
                     "INDEX CONCURRENTLY {} repairs it",
                     r.text(row, 0), r.text(row, 0)));
  }
}

// ---- partitions

bool Footprints::prepare_detach(const Place& place, bool in_doubt) {
  constexpr int k_has_pending = 140000;
  if (m_connection.server_version() < k_has_pending) {
    return false;  // the server refuses CONCURRENTLY
  }
  const Footprint& footprint = place.footprint();
  const Result r =
      ask(fmt::format(
              "SELECT {}, {}, i.inhdetachpending FROM pg_catalog.pg_class p LEFT JOIN pg_catalog.pg_class c ON c.oid "
              "= pg_catalog.to_regclass($2) LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid AND i.inhrelid "
              "= c.oid WHERE p.oid = pg_catalog.to_regclass($1)",
              shown_name("p"), shown_name("c")),
          {footprint.table.quoted(), footprint.object.quoted()});
  if (r.rows() == 0) {  // there is no such table: the server says so
    return false;
  }
  if (r.is_null(0, 2)) {  // no partition of it
    return in_doubt;
  }
  if (!r.boolean(0, 2)) {
    return false;
  }
  tell(Level::warning,
       fmt::format("partition {} is half detached, by a DETACH that was cut: finished", shown(footprint)));
  const Result done =
      m_connection.run_alone(fmt::format("ALTER TABLE {} DETACH PARTITION {} FINALIZE", r.text(0, 0), r.text(0, 1)));
  m_diagnosis.throw_if_failed(done, "cannot finish DETACH PARTITION");
  return true;
}

// ---- asking

Result Footprints::ask(const std::string& sql, const std::vector<Batch::Parameter>& parameters) {
  Batch batch;
  batch.add(sql, parameters);
  std::vector<Result> results = m_connection.run(std::move(batch));
  m_diagnosis.throw_if_failed(results[0], "cannot look at what the statement left");
  return std::move(results[0]);
}

/// \p what: "left by ...: dropped"
void Footprints::repair(const std::string& name, std::string_view what) {
  m_diagnosis.throw_if_failed(m_connection.run_alone(fmt::format("DROP INDEX CONCURRENTLY {}", name)),
                              "cannot drop the invalid index");
  m_observer.on(core::IndexRepaired{.index = name, .message = fmt::format("index {} was INVALID, {}", name, what)});
}

void Footprints::tell(Level level, std::string message) {
  m_observer.on(core::Note{.level = level, .message = std::move(message)});
}

}  // namespace lockkeeper::pg
