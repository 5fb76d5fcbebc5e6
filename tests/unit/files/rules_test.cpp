#include "files/rules.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "files/statements.hpp"

using namespace lockkeeper;
using core::Footprint;
using core::Script;
using core::Statement;
using files::TransactionMode;

namespace {

Script script_of(std::string_view sql) {
  files::SplitResult split = files::split(sql, "x.sql");
  REQUIRE(split.problems.empty());
  return {.path = "x.sql", .text = std::string(sql), .statements = std::move(split.statements), .parsed = true};
}

using Problems = std::vector<std::string>;

Problems listed(const std::vector<util::ErrorInfo>& problems) {
  Problems result;
  for (const util::ErrorInfo& problem : problems) {
    CHECK(problem.outcome == util::Outcome::migration_files);
    CHECK_FALSE(problem.hint.empty());
    CHECK_FALSE(problem.excerpt.empty());
    result.push_back(fmt::format("{}: {}", util::to_string(*problem.where), problem.message));
  }
  return result;
}

Problems in_transaction(std::string_view sql) {
  std::vector<util::ErrorInfo> problems;
  files::check_transaction(script_of(sql), TransactionMode::automatic, problems);
  return listed(problems);
}

/// The kinds that run outside a transaction in a file without one, each with '?' when nothing tells whether it is done.
std::string outside(std::string_view sql) {
  Script script = script_of(sql);
  files::use_no_transaction(script);
  std::string result;
  for (const Statement& statement : script.statements) {
    CHECK(statement.footprint.has_value() == !statement.in_transaction);
    if (statement.footprint) {
      result += (result.empty() ? "" : ", ") + statement.kind +
                (statement.footprint->kind == Footprint::Kind::unknown ? "?" : "");
    }
  }
  return result;
}

}  // namespace

TEST_CASE("an index that is built CONCURRENTLY needs a name, any other does not") {
  std::vector<util::ErrorInfo> problems;
  files::check_statements(script_of("CREATE INDEX ON a (b);\nCREATE INDEX CONCURRENTLY c ON a (b);\n"
                                    "  CREATE UNIQUE INDEX CONCURRENTLY ON a (b);\nREINDEX SCHEMA a;"),
                          problems);
  CHECK(listed(problems) == Problems{"x.sql:3:3: CREATE INDEX CONCURRENTLY without a name for the index"});
  CHECK(problems.at(0).hint.find("Name it") == 0);
}

TEST_CASE("a value of an enum that is used in the transaction that adds it is a problem where it is used") {
  CHECK(in_transaction("ALTER TYPE mood ADD VALUE 'ok';\nSELECT 1;\nUPDATE a SET b = 'ok';") ==
        Problems{"x.sql:3:1: 'ok' cannot be used in the transaction that adds it to an enum (line 1)"});
  CHECK(
      in_transaction("ALTER TYPE s.mood ADD VALUE IF NOT EXISTS 'it''s' BEFORE 'b';\nINSERT INTO a VALUES (E'it\\'s');")
          .empty());  // escapes are not decoded
  for (const std::string_view use : {"INSERT INTO a VALUES ('x')", "ALTER TABLE a ALTER b SET DEFAULT 'x'::mood",
                                     "CREATE INDEX i ON a (b) WHERE b = $$x$$", "SELECT N'x'", "SELCT E'x'"}) {
    CAPTURE(use);
    CHECK(in_transaction(fmt::format("ALTER TYPE \"Mood\" ADD VALUE 'x' AFTER 'y'; {};", use)).size() == 1);
  }
  for (const std::string_view fine :
       {"INSERT INTO a VALUES ('y')", "SELECT x, \"x\"", "ALTER TYPE mood ADD VALUE 'z' AFTER 'x'", "SELECT 'a x'",
        "DO $$ BEGIN UPDATE a SET b = 'x'; END $$"}) {  // what bodies do is not looked at
    CAPTURE(fine);
    CHECK(in_transaction(fmt::format("ALTER TYPE \"Mood\" ADD VALUE 'x' AFTER 'y'; {};", fine)).empty());
  }
  CHECK(in_transaction("UPDATE a SET b = 'x'; ALTER TYPE mood ADD VALUE 'x';").empty());
  CHECK(in_transaction("ALTER TYPE mood RENAME VALUE 'a' TO 'x'; UPDATE a SET b = 'x';").empty());
  CHECK(in_transaction("ALTER TYPE mood ADD ATTRIBUTE b text; UPDATE a SET b = 'b';").empty());
  // PostgreSQL 17 allows it for a type of the same transaction; older servers say so themselves.
  CHECK(in_transaction("CREATE TYPE mood AS ENUM ('a'); ALTER TYPE mood ADD VALUE 'x'; SELECT 'x'::mood;").empty());
  CHECK(in_transaction("CREATE TYPE other AS ENUM ('a'); ALTER TYPE mood ADD VALUE 'x'; SELECT 'x'::mood;").size() ==
        1);
}

TEST_CASE("each value of an enum that is used too early is one problem") {
  CHECK(
      in_transaction("ALTER TYPE m ADD VALUE 'x'; ALTER TYPE m ADD VALUE 'y';\nSELECT 'x', 'y'; SELECT 'x';").size() ==
      2);
}

TEST_CASE("without a transaction, code that may commit runs outside of one") {
  CHECK(outside("CALL p(); SELECT 1; VACUUM") == "CALL?, VACUUM");
  CHECK(outside("DO $$ BEGIN UPDATE a SET b = 1; commit; END $$") == "DO?");
  CHECK(outside("DO LANGUAGE plpgsql 'BEGIN UPDATE a SET b = ''x''; ROLLBACK; END'") == "DO?");
  CHECK(outside("DO $$ BEGIN CALL p(); END $$") == "DO?");
  CHECK(outside("DO $$ BEGIN UPDATE a SET b = 'COMMIT'; /* COMMIT */ PERFORM committed; END $$").empty());
  CHECK(outside("INSERT INTO a VALUES ('COMMIT'); CREATE PROCEDURE p() LANGUAGE sql AS 'COMMIT'").empty());
  // Of a partitioned table the server refuses them in a transaction.
  CHECK(outside("REINDEX TABLE a; CLUSTER a USING b; ALTER TABLE a ADD b int; REPACK a") == "REINDEX, CLUSTER, REPACK");
}
