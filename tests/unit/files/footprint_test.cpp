#include "files/footprint.hpp"

#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "files/statements.hpp"

using namespace lockkeeper;
using core::Footprint;
using core::Statement;

namespace {

/// "create_index s.a on s.b if not exists unique: USING btree (c)", of the only statement of \p sql.
std::string footprint_of(std::string_view sql) {
  const files::SplitResult result = files::split(sql, "x.sql");
  REQUIRE(result.statements.size() == 1);
  const Statement& statement = result.statements.front();
  CHECK(statement.footprint.has_value() == !statement.in_transaction);
  if (!statement.footprint) {
    return "none";
  }
  const char* const kinds[] = {"unknown",          "repeatable",        "create_index",     "drop_index",
                               "reindex_index",    "reindex_table",     "detach_partition", "create_database",
                               "drop_database",    "create_tablespace", "drop_tablespace",  "create_subscription",
                               "drop_subscription"};
  const Footprint& f = *statement.footprint;
  return fmt::format("{}{}{}{}{}{}", kinds[static_cast<std::size_t>(f.kind)],
                     f.object.name.empty() ? "" : " " + f.object.str(),
                     f.table.name.empty() ? "" : " on " + f.table.str(), f.if_not_exists ? " if not exists" : "",
                     f.unique ? " unique" : "", f.definition.empty() ? "" : ": " + f.definition);
}

}  // namespace

TEST_CASE("an index that is built concurrently is known by its name, its table and what stands behind that") {
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY a ON b (c)") == "create_index a on b: (c)");
  CHECK(footprint_of(
            "create unique index concurrently if not exists A on only \"S\".\"B\" * using gin (c) where d -- e\n") ==
        "create_index S.a on S.B if not exists unique: using gin (c) where d");
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY IF ON b (c)") == "create_index if on b: (c)");
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY IF NOT EXISTS IF ON db.s.b (c)") ==
        "create_index s.if on s.b if not exists: (c)");
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY \"on \"\" x\" ON U&\"t\" (c)") == "create_index on \" x on t: (c)");
  CHECK(footprint_of("CREATE INDEX /* CONCURRENTLY */ a ON b (c)") == "none");
  // The server gives it a name: files/rules.hpp refuses that.
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY ON s.b (c)") == "create_index on s.b: (c)");
  // The parser does not know these.
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY Foo ON ONLY \"S\".\"T\"\"x\" FROBNICATE (a) b") ==
        "create_index S.foo on S.T\"x: FROBNICATE (a) b");
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON b FROBNICATE c") ==
        "create_index a on b if not exists: FROBNICATE c");
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY a b c") == "unknown");
  // A name that would have to be decoded.
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY U&\"\\0061\" ON b (c)") == "unknown");
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY a ON U&\"!0061\" UESCAPE '!' (c)") == "unknown");
}

TEST_CASE("other statements outside a transaction are known by what they leave") {
  CHECK(footprint_of("DROP INDEX CONCURRENTLY IF EXISTS s.a") == "drop_index s.a");
  CHECK(footprint_of("DROP INDEX CONCURRENTLY A RESTRICT") == "drop_index a");
  CHECK(footprint_of("DROP INDEX CONCURRENTLY IF EXISTS s.A FROBNICATE b") == "drop_index s.a");
  CHECK(footprint_of("REINDEX INDEX CONCURRENTLY s.a") == "reindex_index s.a");
  CHECK(footprint_of("REINDEX (CONCURRENTLY, VERBOSE) TABLE b") == "reindex_table b");
  CHECK(footprint_of("REINDEX (TABLESPACE concurrently) INDEX CONCURRENTLY \"B\"") == "reindex_index B");
  CHECK(footprint_of("REINDEX TABLE CONCURRENTLY a FROBNICATE") == "reindex_table a");
  CHECK(footprint_of("REINDEX SCHEMA CONCURRENTLY s") == "repeatable");
  CHECK(footprint_of("REINDEX DATABASE d") == "repeatable");
  CHECK(footprint_of("ALTER TABLE IF EXISTS ONLY s.a DETACH PARTITION \"B\" CONCURRENTLY") ==
        "detach_partition B on s.a");
  CHECK(footprint_of("ALTER TABLE a * DETACH PARTITION p.b CONCURRENTLY") == "detach_partition p.b on a");
  CHECK(footprint_of("ALTER TABLE a DETACH PARTITION b FINALIZE") == "none");
  CHECK(footprint_of("CREATE DATABASE \"D\" TEMPLATE t") == "create_database D");
  CHECK(footprint_of("DROP DATABASE IF EXISTS d WITH (FORCE)") == "drop_database d");
  CHECK(footprint_of("CREATE TABLESPACE t LOCATION '/t'") == "create_tablespace t");
  CHECK(footprint_of("DROP TABLESPACE IF EXISTS t") == "drop_tablespace t");
  CHECK(footprint_of("CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p") == "create_subscription s");
  CHECK(footprint_of("DROP SUBSCRIPTION s") == "drop_subscription s");
  for (const std::string_view sql :
       {"VACUUM", "VACUUM (FULL) a", "VACUUM FROBNICATE", "ALTER SYSTEM SET work_mem = '1MB'", "CLUSTER", "DISCARD ALL",
        "ALTER DATABASE a SET TABLESPACE b", "REPACK", "REPACK (CONCURRENTLY) a",
        "ALTER SUBSCRIPTION a REFRESH PUBLICATION", "ALTER SUBSCRIPTION a SET PUBLICATION b",
        "ALTER SUBSCRIPTION a SET (failover)"}) {
    CAPTURE(sql);
    CHECK(footprint_of(sql) == "repeatable");
  }
  // Repeated, they would fail.
  CHECK(footprint_of("ALTER SUBSCRIPTION a ADD PUBLICATION b") == "unknown");
  CHECK(footprint_of("ALTER SUBSCRIPTION a DROP PUBLICATION b") == "unknown");
}

TEST_CASE("a statement too large for its tree has its footprint, too") {
  std::string terms = "1";
  for (int i = 0; i < 20'000; ++i) {
    terms += "+1";
  }
  CHECK(footprint_of("CREATE INDEX CONCURRENTLY a ON b ((" + terms + "))").starts_with("create_index a on b: ((1+1"));
}
