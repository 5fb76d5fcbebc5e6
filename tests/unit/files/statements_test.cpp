#include "files/statements.hpp"

#include <algorithm>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "files/checksum.hpp"

using namespace lockkeeper;
using core::DataLoss;
using core::Statement;
using files::Piece;
using files::SplitResult;

namespace {

std::vector<std::string> texts_of(std::string_view sql) {
  std::vector<std::string> result;
  for (const Statement& statement : files::split(sql, "x.sql").statements) {
    result.emplace_back(sql.substr(statement.begin, statement.end - statement.begin));
  }
  return result;
}

/// "line:column: message" of each problem.
std::vector<std::string> problems_of(std::string_view sql) {
  std::vector<std::string> result;
  for (const util::ErrorInfo& problem : files::split(sql, "x.sql").problems) {
    CHECK(problem.outcome == util::Outcome::migration_files);
    CHECK(problem.where->file == "x.sql");
    result.push_back(fmt::format("{}:{}: {}", problem.where->line, problem.where->column, problem.message));
  }
  return result;
}

Statement only(std::string_view sql) {
  const SplitResult result = files::split(sql, "x.sql");
  REQUIRE(result.statements.size() == 1);
  CHECK(result.problems.empty());
  return result.statements.front();
}

/// One line for each loss: "table app.Booking", "column a.b", "rows t", "unknown DROP SCHEMA a CASCADE".
std::vector<std::string> losses_of(std::string_view sql) {
  std::vector<std::string> result;
  for (const DataLoss& loss : only(sql).losses) {
    switch (loss.what) {
      case DataLoss::What::table: result.push_back("table " + loss.table.str()); break;
      case DataLoss::What::rows: result.push_back("rows " + loss.table.str()); break;
      case DataLoss::What::column: result.push_back("column " + loss.table.str() + " " + loss.column); break;
      case DataLoss::What::unknown: result.push_back("unknown " + loss.summary); break;
    }
  }
  return result;
}

/// The pieces cover the text without gap or overlap, and are what the statements say.
void check_cover(std::string_view sql, const SplitResult& result) {
  std::size_t at = 0;
  std::size_t statements = 0;
  for (const Piece& piece : result.pieces) {
    REQUIRE(piece.begin == at);
    REQUIRE(piece.end > piece.begin);
    at = piece.end;
    if (piece.what == Piece::What::statement) {
      REQUIRE(statements < result.statements.size());
      REQUIRE(result.statements[statements].begin == piece.begin);
      REQUIRE(result.statements[statements].end == piece.end);
      ++statements;
    }
  }
  REQUIRE(at == sql.size());
  REQUIRE(statements == result.statements.size());
}

/// split() goes by the parser where that knows the syntax; our own lexer must come to the same statements. With a
/// problem there is no right answer.
void check_agreement(std::string_view sql, const SplitResult& result) {
  if (!result.problems.empty()) {
    return;
  }
  const auto lexical = files::split_lexically(sql);
  REQUIRE(lexical.size() == result.statements.size());
  for (std::size_t i = 0; i < lexical.size(); ++i) {
    REQUIRE(lexical[i].first == result.statements[i].begin);
    REQUIRE(lexical[i].second == result.statements[i].end);
  }
}

SplitResult check_properties(std::string_view sql) {
  CAPTURE(sql);
  SplitResult result = files::split(sql, "x.sql");
  check_cover(sql, result);
  check_agreement(sql, result);
  return result;
}

using Texts = std::vector<std::string>;

/// What is hard to cut. The parser knows all of them.
const std::vector<std::string> k_known = {
    "SELECT 1",
    "SELECT 'a;b', 'it''s;', E'it\\'s;', E'\\\\', U&'d\\0061;', N';', B'01', X'1F'",
    "SELECT E'a'\n  'b\\';'\n",
    "SELECT \"a;b\", \"c\"\"d;\", U&\"e;\"",
    "SELECT $$a;b$$, $x$ $$ ; $y$ ; $x$, $é$;$é$",
    "DO $body$ BEGIN PERFORM 1; PERFORM $q$;$q$; END $body$",
    "SELECT /* a /* nested; */ ; */ 1 -- ;\n",
    "SELECT 1 -- it's\n, 2",
    "SELECT a$1 FROM b",
    "CREATE FUNCTION f(begin int) RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2; $$",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END",
    "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO a VALUES (CASE WHEN 1=1 THEN 2 ELSE 3 END); END",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN CASE b WHEN 1 THEN 2 END ELSE (CASE WHEN c "
    "THEN 3 END) END; SELECT CASE WHEN d THEN 4 END; END",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC END",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS \"end\"; SELECT 2 AS end; END",
    "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql RETURN $1 + 1",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); SELECT 2;)",
    "CREATE OR REPLACE RULE r AS ON UPDATE TO t DO INSTEAD NOTHING",
    "CREATE VIEW v AS SELECT 'ééé;' AS \"ü;\" -- grün;\n",
    "INSERT INTO t VALUES ('日本語;', 1), ('x', 2)",
    "PREPARE q AS SELECT $1",
    "SELECT 5/2, 5 /2, a-1, a - -1, 'x'||'y', a->>'b', a @> '{}'",
    "SELECT 1e5, .5, 1.",
    "CREATE TABLE t (a int DEFAULT 1, CHECK (a > 0))",
    "WITH a AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a, b",
    "(SELECT 1) UNION (SELECT 2)",
    "BEGIN",
    "END",
    "COMMENT ON TABLE a IS 'CREATE RULE ('",
    "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT 1",
};

/// What the parser does not know: typing errors, and what a newer server may know.
const std::vector<std::string> k_unknown = {
    "SELCT 2",
    "CREATE FROBNICATOR x (y)",
    "SELECT (1",
    "SELECT 1)",
    "SELECT 1_000 0x1F FOO",
    "GRAPH_TABLE a b c",
    "CREATE TABLE a (b int",
    "é",
    "+",
    "CREATE FUNCTION f() BEGIN ATOMIC SELCT 1; END",
};

}  // namespace

TEST_CASE("a script is cut at its semicolons, and every statement knows its place") {
  const SplitResult result = files::split("-- first\nSELECT 'ä', 1;\r\n  SELECT 2 ; ; -- end\n", "x.sql");
  REQUIRE(result.statements.size() == 2);
  CHECK(result.statements[0].line == 2);
  CHECK(result.statements[0].column == 1);
  CHECK(result.statements[1].line == 3);
  CHECK(result.statements[1].column == 3);
  CHECK(texts_of("-- first\nSELECT 'ä', 1;\r\n  SELECT 2 ; ; -- end\n") == Texts{"SELECT 'ä', 1", "SELECT 2"});
  CHECK(texts_of("SELECT 'ä'; SELECT 2") == Texts{"SELECT 'ä'", "SELECT 2"});
  CHECK(files::split("SELECT 'ä', 'ö'; SELECT 2", "x").statements.at(1).column == 18);
}

TEST_CASE("a text without statements has none") {
  for (const std::string_view sql : {"", " \n", ";", ";;;", "-- x", "/* x */", "-- x\n;\n/* /* */ */ ;"}) {
    CAPTURE(sql);
    CHECK(check_properties(sql).statements.empty());
  }
}

TEST_CASE("a statement without a keyword is a statement, not a comment") {
  CHECK(texts_of("SELECT 1; SELCT 2; SELECT 3;") == Texts{"SELECT 1", "SELCT 2", "SELECT 3"});
  const SplitResult result = files::split("SELECT 1; SELCT 2; SELECT 3;", "x.sql");
  CHECK(result.statements[0].known);
  CHECK_FALSE(result.statements[1].known);
  CHECK(result.statements[1].kind == "SQL");
  CHECK(result.statements[2].known);
  CHECK(result.problems.empty());
}

TEST_CASE("everything that is hard to cut is cut as the parser does it") {
  for (const std::string& sql : k_known) {
    CAPTURE(sql);
    const SplitResult result = check_properties(sql);
    CHECK(result.problems.empty());
    REQUIRE(result.statements.size() == 1);
    CHECK(result.statements[0].known);
    CHECK(result.statements[0].begin == 0);
  }
}

TEST_CASE("a string that goes on behind a comment is cut as the server does it, although the parser does not know it") {
  CHECK(texts_of("SELECT 'a'\n -- comment ;\n ';b'; SELECT 2") ==
        Texts{"SELECT 'a'\n -- comment ;\n ';b'", "SELECT 2"});
  CHECK(texts_of("SELECT E'a' -- ;\n 'b\\';'; SELECT 2") == Texts{"SELECT E'a' -- ;\n 'b\\';'", "SELECT 2"});
  CHECK(texts_of("SELECT E'a'; SELECT 'b\\'; SELECT 2").size() == 3);
}

TEST_CASE("everything that is hard to cut is cut the same behind something unknown") {
  for (const std::string& sql : k_known) {
    for (const std::string_view before : {"SELCT;", "CREATE FROBNICATOR (x;", "VALUES (1;"}) {
      CAPTURE(sql);
      const Texts texts = texts_of(fmt::format("{} {}\n;SELECT 7", before, sql));
      REQUIRE(texts.size() == 3);
      CHECK(texts[1] == texts_of(sql).at(0));
      CHECK(texts[2] == "SELECT 7");
    }
  }
}

TEST_CASE("any sequence of statements, known or not, is cut into exactly these") {
  std::mt19937 random(20250520);  // NOLINT(cert-msc51-cpp): the same cases in every run
  const auto pick = [&](std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random); };
  const char* const separators[] = {";", " ;\n", "\n;\r\n", "; -- x;\n", ";/* ; */", ";;"};
  for (int round = 0; round < 2'000; ++round) {
    std::string sql;
    Texts expected;
    for (std::size_t i = 0, count = 1 + pick(6); i < count; ++i) {
      const std::string& statement = pick(4) == 0 ? k_unknown[pick(k_unknown.size())] : k_known[pick(k_known.size())];
      expected.push_back(texts_of(statement).at(0));
      sql += statement + "\n" + separators[pick(std::size(separators))];
    }
    CAPTURE(sql);
    check_properties(sql);
    REQUIRE(texts_of(sql) == expected);
  }
}

TEST_CASE("COPY data and \\restrict lines between any statements change nothing about them") {
  std::mt19937 random(20261122);  // NOLINT(cert-msc51-cpp): the same cases in every run
  const auto pick = [&](std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random); };
  const std::string_view data[] = {"", "1\tit's;\n", "$$\n(\n/*\n", "SELECT 1;\nBEGIN ATOMIC\n", "\\\\.\n\\N\n"};
  for (int round = 0; round < 1'000; ++round) {
    std::string sql = pick(2) == 0 ? "\\restrict aB3\n" : "";
    Texts expected;
    Texts expected_data;
    for (std::size_t i = 0, count = 1 + pick(6); i < count; ++i) {
      const std::size_t kind = pick(4);
      if (kind == 0) {
        const std::string_view lines = data[pick(std::size(data))];
        expected.emplace_back("COPY t FROM STDIN");
        expected_data.emplace_back(lines);
        sql += fmt::format("COPY t FROM STDIN;\n{}\\.\n", lines);
        continue;
      }
      const std::string& statement = kind == 1 ? k_unknown[pick(k_unknown.size())] : k_known[pick(k_known.size())];
      expected.push_back(texts_of(statement).at(0));
      sql += statement + "\n;\n" + (pick(3) == 0 ? "\\unrestrict aB3\n" : "");
    }
    CAPTURE(sql);
    const SplitResult result = check_properties(sql);
    CHECK(result.problems.empty());
    REQUIRE(texts_of(sql) == expected);
    Texts found_data;
    for (const Statement& statement : result.statements) {
      if (statement.copy_data) {
        found_data.push_back(
            sql.substr(statement.copy_data->first, statement.copy_data->second - statement.copy_data->first));
      }
    }
    REQUIRE(found_data == expected_data);
  }
}

TEST_CASE("whatever a text is mutated to, the pieces cover it and the lexer agrees with the parser") {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same cases in every run
  const auto pick = [&](std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random); };
  const std::string_view parts[] = {"'",     "\"",          "$$", "$a$", ";",
                                    "(",     ")",           "/*", "*/",  "--",
                                    "\n",    "\\",          "E'", "END", " BEGIN ATOMIC ",
                                    "CASE ", "é",           "1",  " ",   "U&'",
                                    "\\.",   "CREATE RULE "};
  for (int round = 0; round < 5'000; ++round) {
    std::string sql;
    for (std::size_t i = 0, count = 1 + pick(3); i < count; ++i) {
      sql += k_known[pick(k_known.size())] + ";";
    }
    for (std::size_t i = 0, count = 1 + pick(4); i < count; ++i) {
      std::size_t at = pick(sql.size());
      while (at > 0 && (static_cast<unsigned char>(sql[at]) & 0xC0U) == 0x80U) {
        --at;
      }
      sql.insert(at, parts[pick(std::size(parts))]);
    }
    CAPTURE(sql);
    const SplitResult result = files::split(sql, "x.sql");
    check_cover(sql, result);
    check_agreement(sql, result);
  }
}

TEST_CASE("what is not closed is a problem at the place where it starts") {
  using Problems = std::vector<std::string>;
  CHECK(problems_of("SELECT 1;\nSELECT 'ä' || 'abc;\n") == Problems{"2:15: unterminated quoted string"});
  CHECK(problems_of("SELECT E'\\'") == Problems{"1:8: unterminated quoted string"});
  CHECK(problems_of("SELECT \"abc;") == Problems{"1:8: unterminated quoted name"});
  CHECK(problems_of("SELECT $a$ $b$;") == Problems{"1:8: unterminated dollar-quoted string"});
  CHECK(problems_of("SELECT 1; /* /* */") == Problems{"1:11: unterminated /* comment"});
  CHECK(files::split("SELECT\n  'abc", "x.sql").problems.at(0).excerpt == "    2 |   'abc\n      |   ^");
}

TEST_CASE("text that is no text is a problem and has no statements") {
  const SplitResult nul = files::split(std::string_view("SELECT 1;\n\0", 11), "x.sql");
  CHECK(nul.problems.at(0).message == "NUL byte");
  CHECK(nul.problems.at(0).where->line == 2);
  CHECK(nul.statements.empty());
  REQUIRE(nul.pieces.size() == 1);
  CHECK(files::split("SELECT '\xff'", "x.sql").problems.at(0).message == "not valid UTF-8");
}

TEST_CASE("COPY data is data, not SQL") {
  const std::string sql =
      "COPY t (a) FROM STDIN;\n1\tit's; \\N\n(\n\\.\nSELECT 1;\ncopy u from stdin with (format csv);\r\nx\r\n\\.\r\n";
  const SplitResult result = check_properties(sql);
  CHECK(result.problems.empty());
  REQUIRE(result.statements.size() == 3);
  const auto data_of = [&](std::size_t i) {
    const auto [begin, end] = result.statements[i].copy_data.value();
    return sql.substr(begin, end - begin);
  };
  CHECK(data_of(0) == "1\tit's; \\N\n(\n");
  CHECK_FALSE(result.statements[1].copy_data);
  CHECK(data_of(2) == "x\r\n");
  CHECK(result.statements[2].line == 6);
  CHECK(std::count_if(result.pieces.begin(), result.pieces.end(),
                      [](const Piece& piece) { return piece.what == Piece::What::copy_data; }) == 2);
  CHECK_FALSE(only("COPY t FROM '/tmp/stdin'").copy_data);
  CHECK_FALSE(only("COPY (SELECT 1 FROM stdin) TO STDOUT").copy_data);
}

TEST_CASE("COPY data may be empty, and an unknown statement in the file changes nothing about it") {
  const SplitResult result = check_properties("SELCT;\nCOPY t FROM STDIN;\n\\.\nSELECT 2;");
  REQUIRE(result.statements.size() == 3);
  REQUIRE(result.statements[1].copy_data);
  CHECK(result.statements[1].copy_data->first == result.statements[1].copy_data->second);
}

TEST_CASE("COPY without its data is a problem") {
  using Problems = std::vector<std::string>;
  CHECK(problems_of("SELECT 1;\nCOPY t FROM STDIN;\n1\n2\n") ==
        Problems{"2:1: COPY ... FROM STDIN without a line of \\. that ends its data"});
  CHECK(problems_of("COPY t FROM STDIN") == Problems{"1:1: COPY ... FROM STDIN without data"});
  CHECK(problems_of("COPY t FROM STDIN; SELECT 1;\n1\n\\.\n") ==
        Problems{"1:19: text behind COPY ... FROM STDIN; on the same line"});
  CHECK(problems_of("COPY t FROM STDIN; -- data\n1\n\\.\n").empty());
}

TEST_CASE("pg_dump's \\restrict lines are ignored, other psql commands are problems with a hint") {
  using Problems = std::vector<std::string>;
  const SplitResult result = check_properties("\\restrict aB3\n\nSELECT 1;\n\\unrestrict aB3\n");
  CHECK(result.problems.empty());
  CHECK(result.statements.size() == 1);
  CHECK(result.pieces.front().what == Piece::What::ignored);
  CHECK(problems_of("\\set x 1\nSELECT 1;\n  \\i other.sql\n") ==
        Problems{"1:1: \\set is a psql command, not SQL", "3:3: \\i is a psql command, not SQL"});
  CHECK(problems_of("SELECT 1 \\gset") == Problems{"1:10: \\gset is a psql command, not SQL"});
  CHECK(problems_of("SELECT 1\n\\restrict x\n;") == Problems{"2:1: \\restrict is a psql command, not SQL"});
  CHECK(problems_of("\\.\n") == Problems{"1:1: \\. is a psql command, not SQL"});
  CHECK(problems_of("SELECT '\n\\i x\n', $$\n\\i\n$$; /*\n\\i */").empty());
  CHECK(files::split("\\ir x", "x.sql").problems.at(0).hint.find("put the other file's statements here") !=
        std::string::npos);
  CHECK(problems_of(std::string(1000, '\\')).size() == 1);
  std::string many;
  for (int i = 0; i < 1000; ++i) {
    many += "\\x\n";
  }
  CHECK(problems_of(many).size() == 100);
}

TEST_CASE("each statement has the kind that its command tag would say") {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"CREATE TABLE a ()", "CREATE TABLE"},
      {"create unlogged table if not exists a ()", "CREATE TABLE"},
      {"CREATE TEMP TABLE a AS SELECT 1", "CREATE TABLE"},
      {"CREATE UNIQUE INDEX ON a (b)", "CREATE INDEX"},
      {"CREATE UNIQUE INDEX CONCURRENTLY ON a (b)", "CREATE INDEX CONCURRENTLY"},
      {"CREATE OR REPLACE VIEW a AS SELECT 1", "CREATE VIEW"},
      {"CREATE OR REPLACE TEMPORARY RECURSIVE VIEW a (b) AS SELECT 1", "CREATE VIEW"},
      {"CREATE MATERIALIZED VIEW a AS SELECT 1", "CREATE MATERIALIZED VIEW"},
      {"CREATE OR REPLACE FUNCTION f() RETURNS int AS 'x' LANGUAGE sql", "CREATE FUNCTION"},
      {"CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION f()", "CREATE TRIGGER"},
      {"CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION f()", "CREATE EVENT TRIGGER"},
      {"CREATE TYPE t AS ENUM ('a')", "CREATE TYPE"},
      {"CREATE EXTENSION IF NOT EXISTS citext", "CREATE EXTENSION"},
      {"CREATE TEXT SEARCH CONFIGURATION a (PARSER = default)", "CREATE TEXT SEARCH CONFIGURATION"},
      {"CREATE FOREIGN DATA WRAPPER a", "CREATE FOREIGN DATA WRAPPER"},
      {"CREATE FOREIGN TABLE a () SERVER b", "CREATE FOREIGN TABLE"},
      {"ALTER TABLE \"SessionType\" ADD COLUMN IF NOT EXISTS \"x\" TEXT", "ALTER TABLE"},
      {"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a", "ALTER DEFAULT PRIVILEGES"},
      {"DROP INDEX CONCURRENTLY a", "DROP INDEX CONCURRENTLY"},
      {"DROP OWNED BY a", "DROP OWNED"},
      {"INSERT INTO a VALUES (1)", "INSERT"},
      {"UPDATE a SET b = 1", "UPDATE"},
      {"DELETE FROM a", "DELETE"},
      {"MERGE INTO a USING b ON true WHEN MATCHED THEN DO NOTHING", "MERGE"},
      {"SELECT 1", "SELECT"},
      {"(SELECT 1)", "SELECT"},
      {"TABLE a", "SELECT"},
      {"VALUES (1)", "VALUES"},
      {"WITH a AS (SELECT 1) SELECT 1", "SELECT"},
      {"WITH RECURSIVE a(x) AS (SELECT 1), b AS (SELECT 2) INSERT INTO c SELECT * FROM a", "INSERT"},
      {"WITH insert AS (SELECT 1) UPDATE a SET b = 1", "UPDATE"},
      {"WITH a AS (SELECT 1) (SELECT 1)", "SELECT"},
      {"DO $$ BEGIN END $$", "DO"},
      {"CALL p()", "CALL"},
      {"COPY a TO STDOUT", "COPY"},
      {"SET search_path = a", "SET"},
      {"GRANT SELECT ON a TO b", "GRANT"},
      {"COMMENT ON TABLE a IS 'x'", "COMMENT"},
      {"TRUNCATE a", "TRUNCATE"},
      {"LOCK TABLE a", "LOCK TABLE"},
      {"REFRESH MATERIALIZED VIEW a", "REFRESH MATERIALIZED VIEW"},
      {"REFRESH MATERIALIZED VIEW CONCURRENTLY a", "REFRESH MATERIALIZED VIEW CONCURRENTLY"},
      {"REINDEX TABLE a", "REINDEX"},
      {"REINDEX INDEX CONCURRENTLY a", "REINDEX CONCURRENTLY"},
      {"REASSIGN OWNED BY a TO b", "REASSIGN OWNED"},
      {"VACUUM (ANALYZE) a", "VACUUM"},
      {"ANALYZE a", "ANALYZE"},
      {"SECURITY LABEL ON TABLE a IS 'x'", "SECURITY LABEL"},
      {"IMPORT FOREIGN SCHEMA a FROM SERVER b INTO c", "IMPORT FOREIGN SCHEMA"},
  };
  for (const auto& [sql, kind] : cases) {
    CAPTURE(sql);
    const Statement statement = only(sql);
    CHECK(statement.kind == kind);
    CHECK(statement.known);
  }
  CHECK(only("CREATE FROBNICATOR x").kind == "CREATE FROBNICATOR");
  CHECK(only("ALTER TABLE a FROBNICATE").kind == "ALTER TABLE");
  CHECK(only("FROB TABLE a").kind == "SQL");
  CHECK(only("CREATE").kind == "SQL");
}

TEST_CASE("statements that the server refuses inside a transaction block are recognised") {
  const std::string_view refused[] = {
      "CREATE INDEX CONCURRENTLY a ON b (c)", "DROP INDEX CONCURRENTLY a", "REINDEX INDEX CONCURRENTLY a",
      "REINDEX (VERBOSE, CONCURRENTLY) TABLE a", "REINDEX SCHEMA a", "REINDEX DATABASE a", "REINDEX SYSTEM a",
      "REINDEX SCHEMA CONCURRENTLY a", "VACUUM", "VACUUM FULL a", "CREATE DATABASE a", "DROP DATABASE a",
      "CREATE TABLESPACE a LOCATION '/a'", "DROP TABLESPACE a", "CREATE SUBSCRIPTION a CONNECTION 'x' PUBLICATION b",
      "CREATE SUBSCRIPTION a CONNECTION 'x' PUBLICATION b WITH (create_slot)", "DROP SUBSCRIPTION a",
      "ALTER SYSTEM SET work_mem = '1MB'", "ALTER TABLE a DETACH PARTITION b CONCURRENTLY",
      "ALTER DATABASE a SET TABLESPACE b", "CLUSTER", "CLUSTER VERBOSE", "ALTER SUBSCRIPTION a REFRESH PUBLICATION",
      "ALTER SUBSCRIPTION a SET PUBLICATION b", "DISCARD ALL",
      // The parser does not know these.
      "CREATE INDEX CONCURRENTLY a ON b FROBNICATE (c) d", "DROP INDEX CONCURRENTLY a FROBNICATE b",
      "REINDEX TABLE CONCURRENTLY a FROBNICATE", "VACUUM FROBNICATE a b", "CREATE DATABASE a FROBNICATE (b",
      "ALTER TABLE a DETACH PARTITION b FROBNICATE CONCURRENTLY", "ALTER SYSTEM FROBNICATE", "REPACK",
      "REPACK (CONCURRENTLY) a", "REPACK (VERBOSE, CONCURRENTLY on) a USING INDEX b", "REPACK (VERBOSE)",
      "REPACK (ANALYZE true, CONCURRENTLY 1) a", "REPACK VERBOSE", "REPACK USING INDEX", "REPACK CONCURRENTLY a",
      "ALTER SUBSCRIPTION a REFRESH SEQUENCES", "ALTER SUBSCRIPTION a SET (failover = true)",
      "ALTER SUBSCRIPTION a SET (two_phase = false)"};
  for (const std::string_view sql : refused) {
    CAPTURE(sql);
    CHECK_FALSE(only(sql).in_transaction);
    CHECK(only(sql).footprint);
  }
  const std::string_view accepted[] = {
      "CREATE INDEX a ON b (c)",
      "DROP INDEX a",
      "REINDEX INDEX a",
      "REINDEX TABLE a",
      "REINDEX (CONCURRENTLY false) TABLE a",
      "ANALYZE",
      "REFRESH MATERIALIZED VIEW CONCURRENTLY a",
      "ALTER TABLE a DETACH PARTITION b",
      "ALTER TABLE a DETACH PARTITION b FINALIZE",
      "CLUSTER a USING b",
      "CREATE SUBSCRIPTION a CONNECTION 'x' PUBLICATION b WITH (create_slot = false)",
      "CREATE SUBSCRIPTION a CONNECTION 'x' PUBLICATION b WITH (connect = off)",
      "CREATE SUBSCRIPTION a CONNECTION 'x' PUBLICATION b WITH (connect = 0, enabled = false)",
      "ALTER SUBSCRIPTION a SET PUBLICATION b WITH (refresh = false)",
      "ALTER SUBSCRIPTION a DISABLE",
      "ALTER DATABASE a SET work_mem = '1MB'",
      "ALTER DATABASE a CONNECTION LIMIT 5",
      "DISCARD PLANS",
      "ALTER TYPE a ADD VALUE 'b'",
      "SAVEPOINT a",
      "CREATE TABLE concurrently (vacuum int)",
      "SELECT 'CREATE INDEX CONCURRENTLY'",
      "REPACK a",
      "REPACK (CONCURRENTLY off) a",
      "REPACK (VERBOSE) a USING INDEX b",
      "ALTER SUBSCRIPTION a SET (binary = true)",
      "ALTER SUBSCRIPTION a ADD PUBLICATION b WITH (refresh = false)",
      "REINDEX TABLE a FROBNICATE"};
  for (const std::string_view sql : accepted) {
    CAPTURE(sql);
    CHECK(only(sql).in_transaction);
    CHECK_FALSE(only(sql).footprint);
  }
}

TEST_CASE("statements that control the transaction are recognised, savepoints are not among them") {
  for (const std::string_view sql :
       {"BEGIN", "begin work", "BEGIN ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION", "COMMIT", "COMMIT AND CHAIN",
        "END", "END WORK", "ABORT", "ROLLBACK", "ROLLBACK WORK", "ROLLBACK TRANSACTION", "PREPARE TRANSACTION 'a'",
        "COMMIT PREPARED 'a'", "ROLLBACK PREPARED 'a'", "COMMIT FROBNICATE"}) {
    CAPTURE(sql);
    CHECK(only(sql).controls_transaction);
  }
  for (const std::string_view sql :
       {"SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "ROLLBACK TO SAVEPOINT a", "ROLLBACK WORK TO a",
        "ROLLBACK TRANSACTION TO SAVEPOINT a", "PREPARE a AS SELECT 1", "SELECT 1", "DO $$ BEGIN COMMIT; END $$",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END", "SET TRANSACTION READ ONLY"}) {
    CAPTURE(sql);
    CHECK_FALSE(only(sql).controls_transaction);
  }
}

TEST_CASE("what a statement would destroy is known, or known to be unknown") {
  CHECK(losses_of("DROP TABLE a, \"S\".\"B\"") == Texts{"table a", "table S.B"});
  CHECK(losses_of("DROP TABLE IF EXISTS db.s.t") == Texts{"table s.t"});
  CHECK(losses_of("DROP TABLE a CASCADE") == Texts{"table a", "unknown DROP TABLE a CASCADE"});
  CHECK(losses_of("ALTER TABLE s.a DROP COLUMN b, ADD c int, DROP IF EXISTS \"D\"") ==
        Texts{"column s.a b", "column s.a D"});
  CHECK(losses_of("ALTER TABLE a DROP CONSTRAINT b").empty());
  CHECK(losses_of("ALTER TYPE a DROP ATTRIBUTE b") == Texts{"unknown ALTER TYPE a DROP ATTRIBUTE b"});
  CHECK(losses_of("TRUNCATE a, ONLY s.b") == Texts{"rows a", "rows s.b"});
  CHECK(losses_of("TRUNCATE a CASCADE") == Texts{"rows a", "unknown TRUNCATE a CASCADE"});
  CHECK(losses_of("DELETE FROM s.a WHERE true") == Texts{"rows s.a"});
  CHECK(losses_of("WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x") == Texts{"rows a"});
  CHECK(losses_of("INSERT INTO b WITH x AS (delete FROM a RETURNING *) SELECT * FROM x") == Texts{"rows a"});
  CHECK(losses_of("MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE") == Texts{"rows a"});
  CHECK(losses_of("MERGE INTO a USING b ON true WHEN MATCHED THEN UPDATE SET c = 1").empty());
  CHECK(losses_of("DROP SCHEMA a CASCADE") == Texts{"unknown DROP SCHEMA a CASCADE"});
  CHECK(losses_of("DROP SCHEMA a").empty());
  CHECK(losses_of("DROP TYPE a CASCADE") == Texts{"unknown DROP TYPE a CASCADE"});
  CHECK(losses_of("DROP EXTENSION a") == Texts{"unknown DROP EXTENSION a"});
  CHECK(losses_of("DROP DATABASE a") == Texts{"unknown DROP DATABASE a"});
  CHECK(losses_of("DROP OWNED BY a") == Texts{"unknown DROP OWNED BY a"});
  CHECK(losses_of("DO $$ BEGIN END $$") == Texts{"unknown DO block"});
  CHECK(losses_of("CALL\n  p()") == Texts{"unknown CALL p()"});
  CHECK(losses_of("EXECUTE p") == Texts{"unknown EXECUTE p"});
  for (const std::string_view harmless :
       {"DROP MATERIALIZED VIEW a CASCADE", "DROP VIEW a CASCADE", "DROP INDEX a", "DROP FUNCTION f",
        "DROP TRIGGER a ON b", "DROP TYPE a", "CREATE TABLE a (b int REFERENCES c ON DELETE CASCADE)",
        "UPDATE a SET b = 'DELETE'", "CREATE RULE r AS ON INSERT TO a DO ALSO DELETE FROM b",
        "ALTER TABLE a ALTER b DROP NOT NULL", "CREATE FUNCTION f() RETURNS void BEGIN ATOMIC DELETE FROM a; END",
        "SELECT 'DROP'", "DROP INDEX CONCURRENTLY a FROBNICATE", "FROBNICATE a ON DELETE b"}) {
    CAPTURE(harmless);
    CHECK(losses_of(harmless).empty());
  }
  CHECK(losses_of("FROBNICATE a DROP b") == Texts{"unknown FROBNICATE a DROP b"});
  CHECK(losses_of("DROP FROBNICATOR a") == Texts{"unknown DROP FROBNICATOR a"});
  CHECK(losses_of("DELETE FROM a FROBNICATE 1 2") == Texts{"unknown DELETE FROM a FROBNICATE 1 2"});
}

TEST_CASE("a statement too large for its tree is judged by its tokens") {
  std::string terms = "1";
  for (int i = 0; i < 200'000; ++i) {
    terms += "+1";
  }
  const Statement index = only("CREATE INDEX CONCURRENTLY a ON b ((" + terms + "))");
  CHECK(index.known);
  CHECK_FALSE(index.in_transaction);
  CHECK(index.footprint->object.name == "a");
  CHECK(losses_of("DELETE FROM a WHERE 1 = " + terms).at(0).find("unknown DELETE FROM a WHERE") == 0);
  CHECK(only("SELECT " + terms).known);
}

TEST_CASE("the deepest expression whose tree is read does not exhaust the stack") {
  for (const std::string_view part : {"- ", "NOT ", "("}) {
    std::string sql = "DELETE FROM a WHERE ";
    while (sql.size() + part.size() < 30'000) {
      sql += part;
    }
    CHECK(files::split(sql + "x", "x.sql").statements.size() == 1);
  }
  std::string sums = "DELETE FROM a WHERE x";
  while (sums.size() < 32'000) {
    sums += "+1";
  }
  CHECK(losses_of(sums) == Texts{"rows a"});
}

TEST_CASE("a statement's prefix checksum changes with everything before it and nothing behind it") {
  const auto checksums = [](std::string_view sql) {
    Texts result;
    for (const Statement& statement : files::split(sql, "x.sql").statements) {
      result.push_back(statement.prefix_checksum);
    }
    return result;
  };
  const Texts base = checksums("SELECT 1; SELECT 2; SELECT 3");
  REQUIRE(base.size() == 3);
  CHECK(base[0].size() == 64);
  CHECK(base[0] != base[1]);
  const Texts changed_end = checksums("SELECT 1;\n-- c\nSELECT 2; SELECT 4; SELECT 5");
  CHECK(changed_end[0] == base[0]);
  CHECK(changed_end[1] == base[1]);
  CHECK(changed_end[2] != base[2]);
  CHECK(checksums("SELECT 0; SELECT 2")[1] != base[1]);
  CHECK(checksums("SELECT\r\n1")[0] == checksums("SELECT\n1")[0]);
  CHECK(checksums("COPY t FROM STDIN;\n1\n\\.\n")[0] != checksums("COPY t FROM STDIN;\n2\n\\.\n")[0]);
}

TEST_CASE("a file of 50,000 statements takes time in proportion to its size") {
  const auto seconds_for = [](int count) {
    std::string sql;
    for (int i = 0; i < count; ++i) {
      sql += fmt::format("INSERT INTO \"Booking\" (id, name) VALUES ({}, 'größer; than {}') -- ok{}", i, i,
                         i % 7 == 0 ? "\n;" : "\n ; ");
    }
    const std::clock_t start = std::clock();
    const SplitResult result = files::split(sql, "x.sql");
    CHECK(result.statements.size() == static_cast<std::size_t>(count));
    return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  };
  const double small = seconds_for(5'000);
  const double large = seconds_for(50'000);
  MESSAGE("5,000 statements: ", small, " s, 50,000: ", large, " s");
  CHECK(large < 40 * small + 1);  // quadratic would be 100
}
