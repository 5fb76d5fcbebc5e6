// What `doctor` says about a server, a role and a database.
#include "pg/doctor.hpp"

#include <string>

#include <doctest/doctest.h>

#include "support/pg_session.hpp"

using namespace lockkeeper;
using test::PgSession;
using test::TempDatabase;
using test::TempRole;
using Verdict = pg::Examination::Verdict;

namespace {

std::string quoted(const std::string& name) {
  return "\"" + name + "\"";
}

pg::Examination about(const std::string& subject, PgSession& session) {
  for (pg::Examination& one : pg::examine(session.connection(), {}, session.snapshot(), false)) {
    if (one.subject == subject) {
      return one;
    }
  }
  FAIL("nothing was said about ", subject);
  return {};
}

}  // namespace

TEST_CASE("doctor finds nothing to warn of where a superuser has room") {
  const TempDatabase database;
  PgSession session(database);
  const std::vector<pg::Examination> found = pg::examine(session.connection(), {}, session.snapshot(), false);
  CHECK(found.size() == 12);
  CHECK(about("watcher", session).verdict == Verdict::good);
  CHECK(about("watcher", session).found.ends_with("connections are free (max_connections)"));
  CHECK(about("pg_read_all_stats", session).verdict == Verdict::good);
  CHECK(about("time limits", session).found == "none set for this role, database or server");
  const pg::Examination lost = about("lost clients", session);
  CHECK((lost.verdict == Verdict::good) == (session.connection().server_version() >= 140000));
}

TEST_CASE("limits of role and database that a run puts out of force are named") {
  TempDatabase database;
  const TempRole login;
  database.admin().run("ALTER ROLE " + quoted(login.name()) + " SET statement_timeout = '90s'");
  database.admin().run("ALTER DATABASE " + quoted(database.name()) + " SET lock_timeout = 250");
  PgSession session(database, test::plain_settings(), {.user = login.name()});
  const pg::Examination limits = about("time limits", session);
  CHECK(limits.verdict == Verdict::good);
  CHECK(limits.found ==
        "lock_timeout = 250ms, statement_timeout = 1m30s; not in force in a run, which has --statement-timeout and "
        "--lock-timeout");
}

TEST_CASE("a role that may connect only once is told that there will be no watcher") {
  TempDatabase database;
  const TempRole login;
  database.admin().run("ALTER ROLE " + quoted(login.name()) + " CONNECTION LIMIT 1");
  PgSession session(database, test::plain_settings(), {.user = login.name()});
  const pg::Examination none = about("watcher", session);
  CHECK(none.verdict == Verdict::warning);
  CHECK(none.found == "0 of 1 connections are free (role " + login.name() + ")");
  CHECK_FALSE(none.hint.empty());
  database.admin().run("ALTER ROLE " + quoted(login.name()) + " CONNECTION LIMIT 2");
  CHECK(about("watcher", session).verdict == Verdict::good);
  CHECK(about("watcher", session).found == "1 of 2 connections are free (role " + login.name() + ")");
}

TEST_CASE("a database that admits no more connections is told, but a superuser is not bound by it") {
  TempDatabase database;
  const TempRole login;
  PgSession session(database, test::plain_settings(), {.user = login.name()});
  database.admin().run("ALTER DATABASE " + quoted(database.name()) + " CONNECTION LIMIT 1");
  const pg::Examination none = about("watcher", session);
  CHECK(none.verdict == Verdict::warning);
  CHECK(none.found == "0 of 1 connections are free (this database)");
  PgSession superuser(database);
  CHECK(about("watcher", superuser).verdict == Verdict::good);
}

TEST_CASE(
    "who may not see other sessions is told which GRANT is missing: for the login role, then for the acting one") {
  TempDatabase database;
  const TempRole owner("NOLOGIN");
  const TempRole login("LOGIN NOINHERIT");
  database.admin().run("GRANT " + quoted(owner.name()) + " TO " + quoted(login.name()));
  pg::DatabaseSettings settings = test::plain_settings();
  settings.session.role = owner.name();
  PgSession session(database, settings, {.user = login.name()});
  const auto asked_for = [&](const std::string& role) {
    const pg::Examination stats = about("pg_read_all_stats", session);
    return stats.verdict == Verdict::warning &&
           stats.hint.ends_with("GRANT pg_read_all_stats TO " + quoted(role) + ";");
  };
  CHECK(asked_for(login.name()));
  database.admin().run("GRANT pg_read_all_stats TO " + quoted(owner.name()));
  CHECK(asked_for(login.name()));
  database.admin().run("REVOKE pg_read_all_stats FROM " + quoted(owner.name()));
  // As a member that inherits, on the versions that keep this with the role as on those that keep it with the grant.
  database.admin().run("ALTER ROLE " + quoted(login.name()) + " INHERIT");
  database.admin().run("GRANT pg_read_all_stats TO " + quoted(login.name()));
  CHECK(asked_for(owner.name()));
  database.admin().run("GRANT pg_read_all_stats TO " + quoted(owner.name()));
  CHECK(about("pg_read_all_stats", session).verdict == Verdict::good);
}

TEST_CASE("behind a pooler migrations in a transaction work, unless nothing stands in between or a session is kept") {
  const TempDatabase database;
  PgSession session(database);
  core::Snapshot snapshot = session.snapshot();
  const auto pooler = [&](bool session_pooler) {
    return pg::examine(session.connection(), {}, snapshot, session_pooler).at(6);
  };
  CHECK(pooler(false).subject == "pooler");
  CHECK(pooler(false).found == "none seen");
  snapshot.server.pooled = true;
  CHECK(pooler(false).verdict == Verdict::warning);
  CHECK(pooler(false).found == "transaction pooling assumed: migrations in a transaction only");
  CHECK(pooler(false).hint.find("DIRECT_URL") != std::string::npos);
  CHECK(pooler(false).outcome == util::Outcome::ok);
  CHECK(pooler(true).verdict == Verdict::good);
}
