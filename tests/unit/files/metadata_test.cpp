#include "files/metadata.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace lockkeeper;
using core::Expectation;
using core::ObjectName;
using Kind = core::Expectation::Kind;

namespace {

files::Metadata read(std::string_view text) {
  files::MetadataResult result = files::read_metadata(text, "m.yaml");
  for (const util::ErrorInfo& problem : result.problems) {
    FAIL_CHECK(util::to_string(problem));
  }
  return std::move(result.metadata);
}

/// "line:column: message" of each problem.
std::vector<std::string> problems_of(std::string_view text) {
  std::vector<std::string> result;
  for (const util::ErrorInfo& problem : files::read_metadata(text, "m.yaml").problems) {
    CHECK(problem.outcome == util::Outcome::migration_files);
    CHECK_FALSE(problem.excerpt.empty());
    result.push_back(fmt::format("{}:{}: {}", problem.where->line, problem.where->column, problem.message));
  }
  return result;
}

using Problems = std::vector<std::string>;

}  // namespace

TEST_CASE("no metadata is metadata with defaults") {
  for (const std::string_view text : {"", "# nothing\n", "expect:\n", "expect: {tables: , columns: {a: }}"}) {
    CAPTURE(text);
    const files::Metadata metadata = read(text);
    CHECK(metadata.description.empty());
    CHECK(metadata.transaction == files::TransactionMode::automatic);
    CHECK(metadata.phase == core::Phase::pre);
    CHECK_FALSE(metadata.lock_timeout);
    CHECK(metadata.expect.empty());
  }
}

TEST_CASE("the simple keys are read") {
  const files::Metadata metadata = read(
      "description: adds things\ntransaction: none\nphase: post\nlock_timeout: 500ms\nstatement_timeout: 1m30s\n"
      "data_loss:\n  rows with x: SELECT count(*) FROM a WHERE x IS NOT NULL;\n");
  CHECK(metadata.description == "adds things");
  CHECK(metadata.transaction == files::TransactionMode::none);
  CHECK(metadata.transaction_where == util::SourcePosition{"m.yaml", 2, 14});
  CHECK(metadata.phase == core::Phase::post);
  CHECK(metadata.lock_timeout == std::chrono::milliseconds(500));
  CHECK(metadata.statement_timeout == std::chrono::seconds(90));
  REQUIRE(metadata.data_loss.size() == 1);
  CHECK(metadata.data_loss[0].label == "rows with x");
  CHECK(metadata.data_loss[0].sql == "SELECT count(*) FROM a WHERE x IS NOT NULL");
  CHECK(metadata.data_loss[0].where == util::SourcePosition{"m.yaml", 7, 3});
  CHECK(read("transaction: single").transaction == files::TransactionMode::single);
  CHECK(read("transaction: auto\nphase: pre").transaction == files::TransactionMode::automatic);
}

TEST_CASE("every form of expectation is read with its place") {
  const files::Metadata metadata = read(R"yaml(expect:
  tables:
    Booking: {}
    OldThing: {absent: true}
    app.Other:
  columns:
    SessionType:
      calendlyEventTypeId: {type: text, nullable: true, default: null}
      old: {absent: true}
    '"odd.schema".Booking':
      created: {default: "now()"}
      any:
  indexes:
    booking_idx: {table: Booking, unique: true, valid: true}
    app.other_idx: {}
    gone_idx: {absent: true}
  constraints:
    Booking:
      booking_fk: {validated: false}
      booking_check: {}
      gone: {absent: true}
  enums:
    BookingStatus: [PENDING, CONFIRMED]
    Old: {absent: true}
  sql:
    no orphans: SELECT NOT EXISTS (SELECT 1 FROM "Booking")
    earlier: {absent: true}
)yaml");
  const std::vector<Expectation>& all = metadata.expect;
  REQUIRE(all.size() == 17);
  CHECK(all[0].kind == Kind::table);
  CHECK(all[0].object == ObjectName{"", "Booking"});
  CHECK_FALSE(all[0].absent);
  CHECK(all[0].where == util::SourcePosition{"m.yaml", 3, 5});
  CHECK(all[1].absent);
  CHECK(all[2].object == ObjectName{"app", "Other"});
  CHECK(all[3].kind == Kind::column);
  CHECK(all[3].object == ObjectName{"", "SessionType"});
  CHECK(all[3].member == "calendlyEventTypeId");
  CHECK(all[3].type == "text");
  CHECK(all[3].nullable == true);
  CHECK(all[3].default_value == "");
  CHECK(all[3].where == util::SourcePosition{"m.yaml", 8, 7});
  CHECK(all[4].absent);
  CHECK_FALSE(all[4].default_value);
  CHECK(all[5].object == ObjectName{"odd.schema", "Booking"});
  CHECK(all[5].default_value == "now()");
  CHECK_FALSE(all[6].type);
  CHECK(all[7].kind == Kind::index);
  CHECK(all[7].table == ObjectName{"", "Booking"});
  CHECK(all[7].unique == true);
  CHECK(all[7].valid == true);
  CHECK(all[8].object == ObjectName{"app", "other_idx"});
  CHECK(all[8].valid == true);
  CHECK_FALSE(all[8].unique);
  CHECK(all[9].absent);
  CHECK_FALSE(all[9].valid);
  CHECK(all[10].kind == Kind::constraint);
  CHECK(all[10].member == "booking_fk");
  CHECK(all[10].validated == false);
  CHECK(all[11].validated == true);
  CHECK(all[12].absent);
  CHECK(all[13].kind == Kind::enum_type);
  CHECK(all[13].values == std::vector<std::string>{"PENDING", "CONFIRMED"});
  CHECK(all[14].absent);
  CHECK(all[15].kind == Kind::sql);
  CHECK(all[15].member == "no orphans");
  CHECK(all[15].sql == "SELECT NOT EXISTS (SELECT 1 FROM \"Booking\")");
  CHECK(all[16].absent);
  CHECK(all[16].sql.empty());
}

TEST_CASE("unknown keys are problems with line, column and the nearest known key") {
  CHECK(
      problems_of("descripton: x\n\n  \ntransactions: none\n") ==
      Problems{"1:1: migration.yaml: unknown key \"descripton\"", "4:1: migration.yaml: unknown key \"transactions\""});
  CHECK(files::read_metadata("descripton: x", "m.yaml").problems.at(0).hint == "Did you mean \"description\"?");
  CHECK(problems_of("expect:\n  column: {}\n") == Problems{"2:3: expect: unknown key \"column\""});
  CHECK(problems_of("expect: {columns: {a: {b: {typ: text}}}}") == Problems{"1:28: b: unknown key \"typ\""});
  CHECK(problems_of("expect: {tables: {a: {present: true}}}") == Problems{"1:23: a: unknown key \"present\""});
  CHECK(problems_of("expect: {indexes: {a: {uniqe: true}}}") == Problems{"1:24: a: unknown key \"uniqe\""});
  CHECK(problems_of("expect: {constraints: {a: {b: {valid: true}}}}") == Problems{"1:32: b: unknown key \"valid\""});
  CHECK(problems_of("expect: {enums: {a: {labels: [x]}}}") == Problems{"1:22: a: unknown key \"labels\""});
  CHECK(problems_of("expect: {sql: {a: {query: x}}}") == Problems{"1:20: a: unknown key \"query\""});
}

TEST_CASE("values of the wrong kind are problems that say what was expected") {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"description: [a]", "1:14: description: expected text, found a list"},
      {"transaction: no", "1:14: transaction: \"no\" is none of auto, single, none"},
      {"transaction:", "1:1: transaction: expected text, found nothing"},
      {"phase: later", "1:8: phase: \"later\" is neither pre nor post"},
      {"lock_timeout: 5", "1:15: lock_timeout: \"5\" is not a duration"},
      {"statement_timeout: {}", "1:20: statement_timeout: expected text, found a mapping"},
      {"expect: [a]", "1:9: expect: expected a mapping, found a list"},
      {"expect: {tables: [Booking]}", "1:18: tables: expected a mapping, found a list"},
      {"expect: {tables: {a: true}}", "1:22: a: expected a mapping, found text"},
      {"expect: {tables: {a: {absent: yes}}}", "1:31: absent: expected true or false, found \"yes\""},
      {"expect: {columns: {a: {b: text}}}", "1:27: b: expected a mapping, found text"},
      {"expect: {columns: {a: {b: {type: null}}}}", "1:34: type: expected text, found nothing"},
      {"expect: {columns: {a: {b: {type: ''}}}}", "1:34: type: expected text, found an empty one"},
      {"expect: {columns: {a: {b: {default: ''}}}}", "1:37: default: expected text, found an empty one"},
      {"expect: {columns: {a: {b: {nullable: 'true'}}}}", "1:38: nullable: expected true or false, found \"true\""},
      {"expect: {columns: {a: {b: {absent: true, type: text}}}}", "1:24: b: absent: true with other properties"},
      {"expect: {indexes: {a: {table: b.c.d}}}", "1:31: \"b.c.d\" is not a name"},
      {"expect: {tables: {a.b.c: {}}}", "1:19: \"a.b.c\" is not a name"},
      {"expect: {tables: {'\"a': {}}}", "1:19: \"\"a\" is not a name"},
      {"expect: {columns: {a.: {x: , y: }}}", "1:20: \"a.\" is not a name"},
      {"expect: {enums: {a: x}}", "1:21: a: expected a list of labels or {absent: true}, found text"},
      {"expect: {enums: {a: [[x]]}}", "1:22: a: expected text, found a list"},
      {"expect: {enums: {a: {}}}", "1:21: a: expected a list of labels or {absent: true}"},
      {"expect: {enums: {a: {absent: false}}}", "1:21: a: expected a list of labels or {absent: true}"},
      {"expect: {sql: {a: [x]}}", "1:19: a: expected a query or {absent: true}, found a list"},
      {"expect: {tables: {a: {}, '\"a\"': {}}}", "1:26: \"a\": the same object again, written in another way"},
      {"data_loss: SELECT 1", "1:12: data_loss: expected a mapping, found text"},
      {"data_loss: {a: }", "1:16: a: expected text, found nothing"},
      {"a: [", "1:1: not valid YAML: end of sequence flow not found"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    const Problems problems = problems_of(text);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0] == expected);
  }
}

TEST_CASE("all problems of a file are reported together") {
  CHECK(problems_of("phase: x\nlock_timeout: x\nexpect:\n  tables: x\n  sql:\n    a: DROP TABLE b\nfoo: 1\n").size() ==
        5);
}

TEST_CASE("an expectation in SQL is one query that only reads") {
  const auto problem_with = [](std::string_view sql) {
    const Problems problems = problems_of(fmt::format("expect:\n  sql:\n    a: >-\n      {}\n", sql));
    return problems.empty() ? std::string("none") : problems.front();
  };
  for (const std::string_view sql :
       {"SELECT true", "SELECT 1;", "select 1 -- x", "WITH a AS (SELECT 1) SELECT * FROM a", "VALUES (true)", "TABLE a",
        "(SELECT true)", "SELECT count(*) = 0 FROM \"update\"", "SELECT 1 NEWSYNTAX 2", "SELECT (update) FROM a",
        "SELECT 'DELETE FROM x; INTO'"}) {
    CAPTURE(sql);
    CHECK(problem_with(sql) == "none");
  }
  for (const std::string_view sql :
       {"DELETE FROM a", "DROP TABLE a", "WITH a AS (DELETE FROM b RETURNING 1) SELECT * FROM a",
        "WITH a AS (INSERT INTO b VALUES (1) RETURNING 1) SELECT * FROM a",
        "WITH a AS (UPDATE b SET c = 1 RETURNING 1) SELECT * FROM a", "SELECT 1 INTO a", "EXPLAIN SELECT 1", "SELCT 1",
        "COPY a FROM STDIN"}) {
    CAPTURE(sql);
    CHECK(problem_with(sql).find("3:8: a: ") == 0);
  }
  CHECK(problem_with("SELECT 1; SELECT 2") == "3:8: a: expected one query, found 2 statements");
  CHECK(problem_with("-- nothing") == "3:8: a: expected one query, found 0 statements");
  CHECK(problem_with("SELECT 'x") == "3:8: a: unterminated quoted string");
}

TEST_CASE("names of objects keep their case and may have a schema") {
  const auto parse = files::parse_object_name;
  CHECK(parse("Booking") == ObjectName{"", "Booking"});
  CHECK(parse("app.Booking") == ObjectName{"app", "Booking"});
  CHECK(parse("\"a.b\".\"c\"\"d\"") == ObjectName{"a.b", "c\"d"});
  CHECK(parse("a b.ü") == ObjectName{"a b", "ü"});
  CHECK(parse(std::string(63, 'x')) == ObjectName{"", std::string(63, 'x')});
  for (const std::string_view bad :
       {"", ".", "a.", ".a", "a.b.c", "\"a", "\"", "\"\"", "\"a\"b", "a\"b\"", "\"a\"\"", "a..b"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse(bad));
  }
  CHECK_FALSE(parse(std::string(64, 'x')));
}

TEST_CASE("positions in metadata do not move with a byte order mark") {
  const auto problems = files::read_metadata("\xEF\xBB\xBFphase: x\n", "m.yaml").problems;
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].where == util::SourcePosition{"m.yaml", 1, 8});
  CHECK(problems[0].excerpt == "    1 | phase: x\n      |        ^");
}
