#include "files/session_effect.hpp"

#include <string>

#include <doctest/doctest.h>

#include "files/statements.hpp"

using namespace lockkeeper;

namespace {

std::string effect_of(std::string_view sql) {
  const files::SplitResult result = files::split(sql, "x.sql");
  REQUIRE(result.statements.size() == 1);
  return result.statements.front().session_effect;
}

}  // namespace

TEST_CASE("what a statement would leave in the session has a name") {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"SET search_path = a", "SET"},
      {"SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET"},
      {"SET ROLE a", "SET"},
      {"SET SESSION AUTHORIZATION a", "SET"},
      {"SET TIME ZONE 'UTC'", "SET"},
      {"RESET ALL", "RESET"},
      {"LISTEN a", "LISTEN"},
      {"UNLISTEN *", "UNLISTEN"},
      {"PREPARE a AS SELECT 1", "PREPARE"},
      {"DEALLOCATE a", "DEALLOCATE"},
      {"LOAD 'a'", "LOAD"},
      {"DISCARD PLANS", "DISCARD"},
      {"DECLARE a CURSOR WITH HOLD FOR SELECT 1", "DECLARE ... WITH HOLD"},
      {"CREATE TEMP TABLE a (b int)", "a temporary table"},
      {"CREATE LOCAL TEMPORARY TABLE a (b int) ON COMMIT DELETE ROWS", "a temporary table"},
      {"CREATE TEMP TABLE a AS SELECT 1", "a temporary table"},
      {"CREATE TABLE IF NOT EXISTS pg_temp.a (b int)", "a temporary table"},
      {"SELECT 1 INTO TEMP a", "a temporary table"},
      {"SELECT 1 INTO TEMPORARY TABLE a", "a temporary table"},
      {"CREATE OR REPLACE TEMP VIEW a AS SELECT 1", "a temporary object"},
      {"CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "a temporary object"},
      {"SELECT pg_catalog.set_config('search_path', '', false)", "SET"},
      {"SELECT set_config('a.b', coalesce(x, (SELECT true)), f(true)) FROM t", "SET"},
      {"SELECT \"set_config\"('a.b', 'true', x)", "SET"},
      {"INSERT INTO a SELECT set_config('a.b', 'c', true), SET_CONFIG('a.b', 'c', false)", "SET"},
      {"SELECT pg_advisory_lock(1)", "a session advisory lock"},
      {"SELECT pg_try_advisory_lock_shared(1, 2)", "a session advisory lock"},
      {"UPDATE a SET b = 1 WHERE pg_catalog.pg_advisory_lock_shared(1) IS NULL", "a session advisory lock"},
      {"SELECT pg_advisory_unlock_all()", "a session advisory lock"},
      {"DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$", "a session advisory lock"},
      {"DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$", "SET"},
      // The parser does not know it.
      {"SET FROBNICATE (a) b", "SET"},
  };
  for (const auto& [sql, effect] : cases) {
    CAPTURE(sql);
    CHECK(effect_of(sql) == effect);
  }
}

TEST_CASE("what ends with its transaction leaves nothing in the session") {
  for (const std::string_view sql : {"SET LOCAL search_path = a",
                                     "SET TRANSACTION READ ONLY",
                                     "SET CONSTRAINTS ALL DEFERRED",
                                     "PREPARE TRANSACTION 'a'",
                                     "DECLARE a CURSOR FOR SELECT 1",
                                     "DECLARE a CURSOR WITHOUT HOLD FOR SELECT 1",
                                     "CREATE TEMP TABLE a (b int) ON COMMIT DROP",
                                     "CREATE TEMP TABLE a ON COMMIT DROP AS SELECT 1",
                                     "CREATE TABLE temp (a int)",
                                     "CREATE TABLE a (temp int)",
                                     "SELECT temp FROM a",
                                     "SELECT set_config('a.b', 'c', true)",
                                     "SELECT set_config('a.b', f('x', false), TRUE)",
                                     "SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(1)",
                                     "SELECT 'pg_advisory_lock(1)'",
                                     "CREATE TABLE a (pg_advisory_lock int)",
                                     "ALTER ROLE a SET work_mem = '1MB'",
                                     "UPDATE a SET b = 1",
                                     "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_lock(1)'",
                                     "NOTIFY a"}) {
    CAPTURE(sql);
    CHECK(effect_of(sql).empty());
  }
}
