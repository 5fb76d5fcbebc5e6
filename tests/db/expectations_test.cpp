#include "pg/expectations.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::Expectation;
using core::ExpectationResult;
using core::ObjectName;
using test::contains;
using test::PgSession;
using test::TempDatabase;
using Kind = core::Expectation::Kind;

namespace {

const char* const k_objects = R"(
  CREATE SCHEMA app;
  CREATE TYPE "BookingStatus" AS ENUM ('PENDING', 'CONFIRMED');
  CREATE TYPE app."Level" AS ENUM ('low');
  CREATE TYPE no_enum AS (a int);
  CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
  CREATE DOMAIN app.amount AS numeric(10, 2);
  CREATE TABLE "Booking" (
    id serial PRIMARY KEY,
    i2 int2, i4 int4 NOT NULL, i8 int8,
    t text, v varchar, v20 varchar(20), c3 char(3), b boolean,
    f4 float4, f8 float8, n numeric, n102 numeric(10,2),
    ts timestamp, ts3 timestamp(3), tz timestamptz, tz3 timestamptz(3), ti time, titz timetz(2),
    d date, u uuid, j jsonb, iv interval, by bytea, bits bit varying(5),
    ints int[], names varchar(10)[][],
    status "BookingStatus" DEFAULT 'PENDING', statuses "BookingStatus"[],
    level app."Level", mail email, amount app.amount,
    "calendlyEventId" text,
    created timestamptz DEFAULT now(), word text DEFAULT 'a b''c', number int DEFAULT 42, flag boolean DEFAULT true,
    CONSTRAINT positive CHECK (i4 > 0)
  );
  ALTER TABLE "Booking" ADD CONSTRAINT later CHECK (i8 > 0) NOT VALID;
  ALTER TABLE "Booking" ADD COLUMN dropped int;
  ALTER TABLE "Booking" DROP COLUMN dropped;
  CREATE INDEX plain ON "Booking" (t);
  CREATE UNIQUE INDEX "uniqueIndex" ON "Booking" (v);
  CREATE INDEX broken ON "Booking" (v20);
  UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass;
  CREATE TABLE app."Booking" (elsewhere int);
  CREATE TABLE parted (id int) PARTITION BY RANGE (id);
  CREATE VIEW seen AS SELECT 1 AS one;
  CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one;
  CREATE SEQUENCE counted;
)";

struct Case {
  Expectation expectation;
  bool holds;
  std::string expected;
  std::string found;
};

const ObjectName k_booking{.name = "Booking"};

Expectation column(const std::string& name) {
  return {.kind = Kind::column, .object = k_booking, .member = name};
}
Expectation typed(const std::string& name, const std::string& type) {
  Expectation e = column(name);
  e.type = type;
  return e;
}
Expectation nullable(const std::string& name, bool yes) {
  Expectation e = column(name);
  e.nullable = yes;
  return e;
}
Expectation defaulted(const std::string& name, const std::string& value) {
  Expectation e = column(name);
  e.default_value = value;
  return e;
}
Expectation gone(Expectation e) {
  e.absent = true;
  return e;
}
Expectation table(const std::string& name, const std::string& schema = "") {
  return {.kind = Kind::table, .object = {.schema = schema, .name = name}};
}
Expectation index(const std::string& name) {
  return {.kind = Kind::index, .object = {.name = name}};
}
Expectation constraint(const std::string& name) {
  return {.kind = Kind::constraint, .object = k_booking, .member = name};
}
Expectation enum_type(const std::string& name, std::vector<std::string> values, const std::string& schema = "") {
  return {.kind = Kind::enum_type, .object = {.schema = schema, .name = name}, .values = std::move(values)};
}
Expectation sql(const std::string& text) {
  return {.kind = Kind::sql, .member = "x", .sql = text};
}

/// Checks all of \p cases on one database, and that a migration stating each alone is applied exactly when it holds.
void check_all(const std::vector<Case>& cases) {
  TempDatabase database;
  database.admin().run(k_objects);
  PgSession session(database);
  session.prepare();
  std::vector<Expectation> expectations;
  for (const Case& one : cases) {
    expectations.push_back(one.expectation);
  }
  const std::vector<ExpectationResult> results = session.database().check(expectations);
  REQUIRE(results.size() == cases.size());
  int version = 0;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const Expectation& e = cases[i].expectation;
    const std::string about = e.subject() + " " + e.type.value_or("") + e.default_value.value_or("") + e.sql;
    CAPTURE(about);
    CHECK(results[i].holds == cases[i].holds);
    CHECK(results[i].expected == cases[i].expected);
    CHECK(results[i].found == cases[i].found);

    core::Migration migration = test::sql_migration(std::to_string(++version), "SELECT 1;");
    migration.expect = {e};
    CHECK(session.apply(migration).applied() == cases[i].holds);
  }
}

}  // namespace

TEST_CASE("tables: present, absent, of every kind that rows can be read from") {
  check_all({
      {table("Booking"), true, "present", "present"},
      {gone(table("Booking")), false, "absent", "present"},
      {table("Booking", "app"), true, "present", "present"},
      {table("parted"), true, "present", "present"},
      {table("seen"), true, "present", "present"},
      {table("kept"), true, "present", "present"},
      {table("booking"), false, "present", "absent"},  // never folded
      {gone(table("booking")), true, "absent", "absent"},
      {table("Booking", "nowhere"), false, "present", "absent"},
      {gone(table("Booking", "nowhere")), true, "absent", "absent"},
      {table("counted"), false, "present", "absent"},
      {table("plain"), false, "present", "absent"},
      {table("odd\"name"), false, "present", "absent"},
  });
}

TEST_CASE("columns: present, absent, nullable") {
  check_all({
      {column("calendlyEventId"), true, "present", "present"},
      {gone(column("calendlyEventId")), false, "absent", "present"},
      {column("calendlyeventid"), false, "present", "absent"},
      {gone(column("calendlyeventid")), true, "absent", "absent"},
      {gone(column("dropped")), true, "absent", "absent"},
      {column("ctid"), false, "present", "absent"},  // no system columns
      {typed("missing", "text"), false, "text", "absent"},
      {nullable("t", true), true, "nullable", "nullable"},
      {nullable("t", false), false, "not null", "nullable"},
      {nullable("i4", false), true, "not null", "not null"},
      {nullable("i4", true), false, "nullable", "not null"},
      {{.kind = Kind::column, .object = {.name = "Nowhere"}, .member = "t"}, false, "present", "absent"},
      {gone({.kind = Kind::column, .object = {.name = "Nowhere"}, .member = "t"}), true, "absent", "absent"},
      {{.kind = Kind::column, .object = {.schema = "app", .name = "Booking"}, .member = "t"},
       false,
       "present",
       "absent"},
      {{.kind = Kind::column, .object = k_booking, .member = "i4", .type = "text", .nullable = true},
       false,
       "text, nullable",
       "integer, not null"},
      {{.kind = Kind::column,
        .object = k_booking,
        .member = "i4",
        .type = "int",
        .nullable = false,
        .default_value = ""},
       true,
       "int, not null, no default",
       "integer, not null, no default"},
  });
}

TEST_CASE("column types: every way to write one that PostgreSQL has") {
  std::vector<Case> cases;
  const auto same = [&](const std::string& name, const std::string& found, const std::vector<std::string>& written) {
    for (const std::string& type : written) {
      cases.push_back({typed(name, type), true, type, found});
    }
    cases.push_back({typed(name, "circle"), false, "circle", found});
  };
  same("i2", "smallint", {"smallint", "int2", "SMALLINT"});
  same("i4", "integer", {"integer", "int", "int4", "INT4", " Integer "});
  same("i8", "bigint", {"bigint", "int8"});
  same("t", "text", {"text", "TEXT"});
  same("v", "character varying", {"varchar", "character varying", "CHARACTER  VARYING"});
  same("v20", "character varying(20)", {"varchar(20)", "VARCHAR (20)", "character varying(20)", "varchar( 20 )"});
  same("c3", "character(3)", {"char(3)", "character(3)"});
  same("b", "boolean", {"bool", "boolean"});
  same("f4", "real", {"real", "float4"});
  same("f8", "double precision", {"double precision", "float8", "float"});
  same("n", "numeric", {"numeric", "decimal"});
  same("n102", "numeric(10,2)", {"numeric(10,2)", "decimal(10, 2)"});
  same("ts", "timestamp without time zone", {"timestamp", "timestamp without time zone"});
  same("ts3", "timestamp(3) without time zone", {"timestamp(3)", "timestamp(3) without time zone", "TIMESTAMP (3)"});
  same("tz", "timestamp with time zone", {"timestamptz", "timestamp with time zone"});
  same("tz3", "timestamp(3) with time zone", {"timestamptz(3)", "timestamp(3) with time zone"});
  same("ti", "time without time zone", {"time", "time without time zone"});
  same("titz", "time(2) with time zone", {"timetz(2)", "time(2) with time zone"});
  same("d", "date", {"date"});
  same("u", "uuid", {"uuid", "UUID"});
  same("j", "jsonb", {"jsonb", "JSONB"});
  same("iv", "interval", {"interval"});
  same("by", "bytea", {"bytea"});
  same("bits", "bit varying(5)", {"bit varying(5)", "varbit(5)"});
  same("ints", "integer[]", {"int[]", "integer[]", "int4[]", "int[3]"});
  same("names", "character varying(10)[]", {"varchar(10)[]"});
  same("status", "\"BookingStatus\"", {"BookingStatus", "\"BookingStatus\""});
  same("statuses", "\"BookingStatus\"[]", {"BookingStatus[]", "\"BookingStatus\"[]"});
  same("level", "app.\"Level\"", {"app.Level", "app.\"Level\""});
  same("mail", "email", {"email"});
  same("amount", "app.amount", {"app.amount"});
  check_all(cases);
}

TEST_CASE("column types: near is not the same") {
  check_all({
      {typed("v20", "varchar"), false, "varchar", "character varying(20)"},
      {typed("v20", "varchar(21)"), false, "varchar(21)", "character varying(20)"},
      {typed("v", "varchar(20)"), false, "varchar(20)", "character varying"},
      {typed("ts", "timestamptz"), false, "timestamptz", "timestamp without time zone"},
      {typed("tz", "timestamp"), false, "timestamp", "timestamp with time zone"},
      {typed("ts3", "timestamp"), false, "timestamp", "timestamp(3) without time zone"},
      {typed("ts", "timestamp(3)"), false, "timestamp(3)", "timestamp without time zone"},
      {typed("i4", "bigint"), false, "bigint", "integer"},
      {typed("i4", "int[]"), false, "int[]", "integer"},
      {typed("ints", "int"), false, "int", "integer[]"},
      {typed("mail", "text"), false, "text", "email"},
      {typed("status", "bookingstatus"), false, "bookingstatus", "\"BookingStatus\""},
      {typed("n102", "numeric(10,3)"), false, "numeric(10,3)", "numeric(10,2)"},
      {typed("i4", "no such type"), false, "no such type", "integer"},
      {typed("i4", "'; DROP TABLE \"Booking\"; --"), false, "'; DROP TABLE \"Booking\"; --", "integer"},
  });
}

TEST_CASE("column defaults: as PostgreSQL shows them, with or without the cast of a constant") {
  check_all({
      {defaulted("t", ""), true, "no default", "no default"},
      {defaulted("t", "now()"), false, "default now()", "no default"},
      {defaulted("created", "now()"), true, "default now()", "default now()"},
      {defaulted("created", ""), false, "no default", "default now()"},
      {defaulted("status", "'PENDING'"), true, "default 'PENDING'", "default 'PENDING'::\"BookingStatus\""},
      {defaulted("status", "'PENDING'::\"BookingStatus\""), true, "default 'PENDING'::\"BookingStatus\"",
       "default 'PENDING'::\"BookingStatus\""},
      {defaulted("status", "'CONFIRMED'"), false, "default 'CONFIRMED'", "default 'PENDING'::\"BookingStatus\""},
      {defaulted("word", "'a b''c'"), true, "default 'a b''c'", "default 'a b''c'::text"},
      {defaulted("number", "42"), true, "default 42", "default 42"},
      {defaulted("number", "43"), false, "default 43", "default 42"},
      {defaulted("flag", "true"), true, "default true", "default true"},
  });
}

TEST_CASE("indexes: present, absent, valid, unique, on their table") {
  Expectation invalid = index("broken");
  invalid.valid = false;
  Expectation plain_invalid = index("plain");
  plain_invalid.valid = false;
  Expectation unique = index("uniqueIndex");
  unique.unique = true;
  Expectation not_unique = index("uniqueIndex");
  not_unique.unique = false;
  Expectation plain_unique = index("plain");
  plain_unique.unique = true;
  Expectation on = index("plain");
  on.table = k_booking;
  Expectation on_other = index("plain");
  on_other.table = ObjectName{.schema = "app", .name = "Booking"};
  Expectation on_nothing = index("plain");
  on_nothing.table = ObjectName{.name = "Nowhere"};
  check_all({
      {index("plain"), true, "valid", "valid"},
      {gone(index("plain")), false, "absent", "present"},
      {index("Plain"), false, "present", "absent"},
      {gone(index("Plain")), true, "absent", "absent"},
      {index("Booking"), false, "present", "absent"},  // a table is no index
      {index("broken"), false, "valid", "not valid"},
      {invalid, true, "not valid", "not valid"},
      {plain_invalid, false, "not valid", "valid"},
      {unique, true, "valid, unique", "valid, unique"},
      {not_unique, false, "valid, not unique", "valid, unique"},
      {plain_unique, false, "valid, unique", "valid, not unique"},
      {on, true, "valid, on Booking", "valid, on \"Booking\""},
      {on_other, false, "valid, on app.Booking", "valid, on \"Booking\""},
      {on_nothing, false, "valid, on Nowhere", "valid, on \"Booking\""},
  });
}

TEST_CASE("constraints: present, absent, validated") {
  Expectation not_validated = constraint("later");
  not_validated.validated = false;
  Expectation positive_not = constraint("positive");
  positive_not.validated = false;
  Expectation elsewhere = constraint("positive");
  elsewhere.object.schema = "app";
  check_all({
      {constraint("positive"), true, "validated", "validated"},
      {gone(constraint("positive")), false, "absent", "present"},
      {constraint("Positive"), false, "present", "absent"},
      {gone(constraint("Positive")), true, "absent", "absent"},
      {constraint("Booking_pkey"), true, "validated", "validated"},
      {constraint("later"), false, "validated", "not validated"},
      {not_validated, true, "not validated", "not validated"},
      {positive_not, false, "not validated", "validated"},
      {elsewhere, false, "present", "absent"},
  });
}

TEST_CASE("enums: present, absent, with the labels that are named") {
  check_all({
      {enum_type("BookingStatus", {}), true, "with ", "with PENDING, CONFIRMED"},
      {enum_type("BookingStatus", {"CONFIRMED"}), true, "with CONFIRMED", "with PENDING, CONFIRMED"},
      {enum_type("BookingStatus", {"CONFIRMED", "PENDING"}), true, "with CONFIRMED, PENDING",
       "with PENDING, CONFIRMED"},
      {enum_type("BookingStatus", {"PENDING", "NO_SHOW"}), false, "with PENDING, NO_SHOW", "with PENDING, CONFIRMED"},
      {enum_type("BookingStatus", {"pending"}), false, "with pending", "with PENDING, CONFIRMED"},
      {enum_type("Level", {"low"}, "app"), true, "with low", "with low"},
      {enum_type("Level", {"low"}), false, "present", "absent"},
      {gone(enum_type("BookingStatus", {})), false, "absent", "present"},
      {gone(enum_type("bookingstatus", {})), true, "absent", "absent"},
      {enum_type("no_enum", {}), false, "present", "absent"},
      {enum_type("email", {}), false, "present", "absent"},
  });
}

TEST_CASE("free SQL holds when it returns one row that is true") {
  check_all({
      {sql("SELECT true"), true, "true", "true"},
      {sql("SELECT count(*) = 0 FROM \"Booking\""), true, "true", "true"},
      {sql("SELECT 'true'::text"), true, "true", "true"},
      {sql("SELECT false"), false, "true", "false"},
      {sql("SELECT NULL::boolean"), false, "true", "null"},
      {sql("SELECT true WHERE false"), false, "true", "0 rows"},
      {sql("SELECT true FROM generate_series(1, 2)"), false, "true", "2 rows"},
      {sql("SELECT 17"), false, "true", "17"},
      {sql("SELECT 1/0 = 0"), false, "present", "an error: division by zero (SQLSTATE 22012)"},
      {sql("SELECT true FROM nowhere"), false, "present",
       "an error: relation \"nowhere\" does not exist (SQLSTATE 42P01)"},
  });
}

TEST_CASE("free SQL that changes something is refused by `verify`") {
  TempDatabase database;
  database.admin().run("CREATE TABLE t (id int)");
  database.admin().run("CREATE FUNCTION f() RETURNS boolean LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING true'");
  PgSession session(database);
  const auto results = session.database().check({sql("SELECT f()"), sql("SELECT count(*) = 0 FROM t")});
  CHECK_FALSE(results[0].holds);
  CHECK(contains(results[0].found, "25006"));
  CHECK(results[1].holds);
  CHECK(database.admin().value("SELECT count(*) FROM t") == "0");
}

TEST_CASE("all expectations of a migration that do not hold are reported, with what states them") {
  TempDatabase database;
  database.admin().run(k_objects);
  PgSession session(database);
  session.prepare();
  for (const bool transactional : {true, false}) {
    core::Migration migration = test::sql_migration(transactional ? "17" : "18", "SELECT 1;", transactional);
    migration.expect = {table("Booking"), table("missing"), sql("SELECT 1/0 = 0"), index("gone")};
    const core::Attempt attempt{.migration = &migration};
    core::AttemptResult result;
    if (transactional) {
      result = session.database().apply_transaction(attempt);
    } else {
      const std::int64_t row = session.database().record_started(attempt);
      result = session.database().record_finished(attempt, row);
    }
    CAPTURE(transactional);
    REQUIRE(result.broken.size() == 3);
    for (const ExpectationResult& one : result.broken) {
      CHECK(one.version == migration.version.str());
    }
    CHECK(result.broken[0].found == "absent");
    CHECK(contains(result.broken[1].found, "22012"));
    // In a transaction nothing more can be asked after an error.
    CHECK(result.broken[2].found == (transactional ? "not looked at, because an earlier check failed" : "absent"));
  }
}

TEST_CASE("names of types are normalised as format_type() shows them") {
  CHECK(pg::normalise_type("INT4") == "integer");
  CHECK(pg::normalise_type("varchar (20)") == "character varying(20)");
  CHECK(pg::normalise_type("timestamp(3)") == "timestamp(3) without time zone");
  CHECK(pg::normalise_type("timestamp(3) with time zone") == "timestamp(3) with time zone");
  CHECK(pg::normalise_type("INT [3][4]") == "integer[][]");
  CHECK(pg::normalise_type("\"BookingStatus\"") == "BookingStatus");
  CHECK(pg::normalise_type("") == "");
  CHECK(pg::normalise_type("]") == "]");
  CHECK(pg::normalise_type(")(") == ")(");
}
