// SET ROLE, and permissions.
#include <string>

#include <doctest/doctest.h>

#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using test::contains;
using test::error_of;
using test::PgSession;
using test::plain_settings;
using test::sql_migration;
using test::TempDatabase;
using test::TempRole;
using util::Outcome;

namespace {

pg::DatabaseSettings with_role(const std::string& role) {
  pg::DatabaseSettings settings = plain_settings();
  settings.session.role = role;
  return settings;
}

}  // namespace

TEST_CASE("with a role, what migrations make belongs to it, in every migration of the run") {
  const TempRole owner("NOLOGIN");
  const TempRole login;
  TempDatabase database;
  database.admin().run("GRANT \"" + owner.name() + "\" TO \"" + login.name() + "\"");
  database.admin().run("GRANT CREATE ON DATABASE \"" + database.name() + "\" TO \"" + owner.name() + "\"");
  database.admin().run("GRANT CREATE ON SCHEMA public TO \"" + owner.name() + "\"");
  PgSession session(database, with_role(owner.name()), {.user = login.name()});
  CHECK(session.snapshot().server.user == owner.name());
  session.prepare();
  CHECK(session.apply(sql_migration("1", "CREATE TABLE one ();\nRESET ROLE;")).applied());
  CHECK(session.apply(sql_migration("2", "CREATE TABLE two ();")).applied());
  CHECK(
      database.admin().query("SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('one', 'two', "
                             "'history') ORDER BY relname") ==
      test::Rows{{"history", owner.name()}, {"one", owner.name()}, {"two", owner.name()}});
  CHECK(database.admin().value("SELECT string_agg(DISTINCT applied_by, ' ') FROM lockkeeper.history") == login.name());
}

TEST_CASE("a role that does not exist is a configuration error that names it") {
  TempDatabase database;
  for (const std::string name : {"no such role", "it's", "back\\slash"}) {
    const util::ErrorInfo error = error_of([&] { const PgSession session(database, with_role(name)); });
    CAPTURE(name);
    CHECK(error.outcome == Outcome::config);
    CHECK(contains(error.message, "cannot SET ROLE " + name + ": role \"" + name + "\" does not exist"));
  }
}

TEST_CASE("a role that ours is not a member of is a permission error") {
  const TempRole owner("NOLOGIN");
  const TempRole login;
  TempDatabase database;
  const util::ErrorInfo error =
      error_of([&] { const PgSession session(database, with_role(owner.name()), {.user = login.name()}); });
  CHECK(error.outcome == Outcome::permission);
  CHECK(contains(error.message, "cannot SET ROLE " + owner.name()));
  const std::string grant = "GRANT \"" + owner.name() + "\" TO \"" + login.name() + "\";";
  CHECK(error.hint == grant);
  database.admin().run(grant);  // what we say works
  CHECK(PgSession(database, with_role(owner.name()), {.user = login.name()}).snapshot().server.user == owner.name());
}

TEST_CASE("a statement that our role may not run is told with what to grant, and that works") {
  const TempRole owner("NOLOGIN");
  const TempRole login;
  TempDatabase database;
  database.admin().run("REVOKE CREATE ON SCHEMA public FROM PUBLIC");
  database.admin().run("CREATE TABLE t (id int); ALTER TABLE t OWNER TO \"" + owner.name() + "\"");
  database.admin().run("GRANT CREATE ON DATABASE \"" + database.name() + "\" TO \"" + login.name() + "\"");
  PgSession session(database, plain_settings(), {.user = login.name()});
  session.prepare();

  const core::Migration create = sql_migration("1", "CREATE TABLE made ();");
  core::AttemptResult result = session.apply(create);
  REQUIRE(result.failure);
  CHECK(result.failure->error.outcome == Outcome::permission);
  CHECK(result.failure->error.message == "permission denied for schema public");
  CHECK(result.failure->error.hint == "GRANT USAGE, CREATE ON SCHEMA \"public\" TO \"" + login.name() + "\";");
  database.admin().run(result.failure->error.hint);
  CHECK(session.apply(create).applied());

  const core::Migration alter = sql_migration("2", "ALTER TABLE t ADD COLUMN x int;");
  result = session.apply(alter);
  REQUIRE(result.failure);
  CHECK(result.failure->error.outcome == Outcome::permission);
  CHECK(contains(result.failure->error.hint, "GRANT \"" + owner.name() + "\" TO \"" + login.name() + "\""));
  CHECK(contains(result.failure->error.hint, "--role " + owner.name()));
  database.admin().run("GRANT \"" + owner.name() + "\" TO \"" + login.name() + "\"");
  CHECK(session.apply(alter).applied());
}
