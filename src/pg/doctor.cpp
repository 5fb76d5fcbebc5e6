#include "pg/doctor.hpp"

#include <chrono>

#include <fmt/format.h>

#include "util/duration.hpp"

namespace lockkeeper::pg {

namespace {

using util::Outcome;
using Verdict = Examination::Verdict;

Examination good(std::string subject, std::string found) {
  return {.subject = std::move(subject), .found = std::move(found), .hint = {}};
}

Examination warning(std::string subject, std::string found, std::string hint) {
  return {
      .subject = std::move(subject), .verdict = Verdict::warning, .found = std::move(found), .hint = std::move(hint)};
}

Examination bad(std::string subject, std::string found, std::string hint, Outcome outcome) {
  return {.subject = std::move(subject),
          .verdict = Verdict::bad,
          .found = std::move(found),
          .hint = std::move(hint),
          .outcome = outcome};
}

Examination writable(const core::Server& server) {
  if (server.in_recovery) {
    return bad("writable", "a standby in recovery", "Give the address of the primary.", Outcome::unsupported_server);
  }
  if (server.read_only) {
    return bad("writable", "transactions are read-only by default",
               "Reset default_transaction_read_only for this role or database.", Outcome::unsupported_server);
  }
  return good("writable", "yes");
}

Examination pooler(const core::Server& server, bool session_pooler) {
  if (!server.pooled) {
    return good("pooler", "none seen");
  }
  if (session_pooler) {
    return good("pooler", "yes; pooler: session is set");
  }
  return warning("pooler", "transaction pooling assumed: migrations in a transaction only",
                 "Give a direct URL (DIRECT_URL), or set --pooler session if the pooler keeps one backend a session.");
}

/// Slots for connections, and how many are taken; ours is.
struct Slots {
  std::string of;  ///< "max_connections", "of role app"
  long long limit = 0;
  long long used = 0;
  [[nodiscard]] long long free() const { return limit > used ? limit - used : 0; }
};

/// The answer to k_slots. Superusers are bound by max_connections only.
Slots tightest_slots(const Result& answer) {
  Slots tightest{.of = "max_connections", .limit = answer.number(0, 0), .used = answer.number(0, 1)};
  const bool superuser = answer.boolean(0, 7);
  const Slots others[] = {
      {.of = "role " + answer.text(0, 6), .limit = answer.number(0, 2), .used = answer.number(0, 3)},
      {.of = "this database", .limit = answer.number(0, 4), .used = answer.number(0, 5)}};
  for (const Slots& slots : others) {
    if (!superuser && slots.limit >= 0 && slots.free() < tightest.free()) {
      tightest = slots;
    }
  }
  return tightest;
}

/// Whether a run would get the second connection on which it looks who blocks it.
Examination watcher(const Result& answer) {
  const Slots slots = tightest_slots(answer);
  const std::string found = fmt::format("{} of {} connections are free ({})", slots.free(), slots.limit, slots.of);
  return slots.free() > 0 ? good("watcher", found)
                          : warning("watcher", found,
                                    "Raise that limit by one. Without a second connection a run cannot say who blocks "
                                    "it, and does not give way to a queue (--watch).");
}

/// What a run puts out of force, so that nobody looks for it there. The answer to k_limits: names and milliseconds.
Examination time_limits(const Result& answer) {
  std::string limits;
  for (std::size_t row = 0; row < answer.rows(); ++row) {
    const util::Duration limit(answer.number(row, 1));
    limits += fmt::format("{}{} = {}", row == 0 ? "" : ", ", answer.text(row, 0), util::to_string(limit));
  }
  return good("time limits", limits.empty() ? "none set for this role, database or server"
                                            : limits +
                                                  "; not in force in a run, which has --statement-timeout and "
                                                  "--lock-timeout");
}

Examination lost_clients(bool noticed) {
  return noticed ? good("lost clients", "the server notices while a statement runs")
                 : warning("lost clients", "the server notices when a statement ends",
                           "A run whose node is lost leaves its statement running. PostgreSQL 14 and later on Linux "
                           "notice it at once (client_connection_check_interval).");
}

Examination stats(const Result& answer) {
  if (answer.boolean(0, 0) && answer.boolean(0, 4)) {
    return good("pg_read_all_stats", "yes");
  }
  // The watcher acts as the role that logs in; whoever holds the migration lock is looked up as the acting one.
  const std::string role = answer.boolean(0, 4) ? answer.text(0, 3) : answer.text(0, 2);
  return warning(
      "pg_read_all_stats", "no",
      fmt::format("Of whoever blocks a migration or holds its lock, state, client, age and query stay hidden: "
                  "GRANT pg_read_all_stats TO {};",
                  quote_identifier(role)));
}

// Sessions of other roles hide what kind they are, so that a few background workers may be counted.
constexpr const char* k_slots =
    "SELECT pg_catalog.current_setting('max_connections')::pg_catalog.int4 - CASE WHEN r.rolsuper THEN 0 ELSE "
    "pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4 + coalesce(nullif("
    "pg_catalog.current_setting('reserved_connections', true), '')::pg_catalog.int4, 0) END, "
    "s.everywhere, r.rolconnlimit, s.of_role, d.datconnlimit, s.here, r.rolname, r.rolsuper "
    "FROM pg_catalog.pg_roles r, pg_catalog.pg_database d, (SELECT pg_catalog.count(*) AS everywhere, "
    "pg_catalog.count(*) FILTER (WHERE a.usename = session_user) AS of_role, "
    "pg_catalog.count(*) FILTER (WHERE a.datname = pg_catalog.current_database()) AS here "
    "FROM pg_catalog.pg_stat_activity a WHERE a.datid IS NOT NULL AND "
    "coalesce(a.backend_type, 'client backend') = 'client backend') s "
    "WHERE r.rolname = session_user AND d.datname = pg_catalog.current_database()";

// reset_val: what role, database or server say; the session's own value is ours already.
constexpr const char* k_limits =
    "SELECT name, reset_val FROM pg_catalog.pg_settings WHERE name IN ('statement_timeout', 'lock_timeout', "
    "'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout') AND reset_val <> '0' "
    "ORDER BY name";

constexpr const char* k_role =
    "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), "
    "pg_catalog.current_setting('search_path'), session_user, current_user, "
    "pg_catalog.pg_has_role(session_user, 'pg_read_all_stats', 'USAGE'), "
    "pg_catalog.current_setting('client_connection_check_interval', true) IS NOT NULL "
    "AND pg_catalog.version() ~ 'linux'";

Examination history(const HistoryTable& table, const core::Snapshot& snapshot, const Result& rights) {
  if (snapshot.history.exists) {
    const bool may_write = rights.ok() && !rights.is_null(0, 2) && rights.boolean(0, 2);
    const std::string found =
        fmt::format("{}, layout {}, {} rows", table.str(), snapshot.history.layout, snapshot.history.rows.size());
    return may_write ? good("history", found)
                     : bad("history", found + ", not writable for this role",
                           fmt::format("GRANT SELECT, INSERT, UPDATE ON {} TO {};", table.quoted(),
                                       quote_identifier(snapshot.server.user)),
                           Outcome::permission);
  }
  const bool schema_there = rights.ok() && rights.boolean(0, 3);
  const bool may_create = rights.ok() && rights.boolean(0, schema_there ? 1 : 0);
  if (may_create) {
    return good("history", fmt::format("{} is not there yet; `up` will create it", table.str()));
  }
  return bad("history", fmt::format("{} is not there, and this role may not create it", table.str()),
             schema_there ? fmt::format("GRANT USAGE, CREATE ON SCHEMA {} TO {};", quote_identifier(table.schema),
                                        quote_identifier(snapshot.server.user))
                          : fmt::format("CREATE SCHEMA {} AUTHORIZATION {};", quote_identifier(table.schema),
                                        quote_identifier(snapshot.server.user)),
             Outcome::permission);
}

}  // namespace

std::vector<Examination> examine(Connection& connection, const HistoryTable& table, const core::Snapshot& snapshot,
                                 bool session_pooler) {
  const std::string schema = quote_literal(quote_identifier(table.schema));
  const std::string name = quote_literal(table.quoted());
  Batch batch;
  batch.add(
      fmt::format("SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), "
                  "pg_catalog.has_schema_privilege(pg_catalog.to_regnamespace({0})::oid, 'CREATE'), "
                  "pg_catalog.has_table_privilege(pg_catalog.to_regclass({1})::oid, 'INSERT') AND "
                  "pg_catalog.has_table_privilege(pg_catalog.to_regclass({1})::oid, 'UPDATE'), "
                  "pg_catalog.to_regnamespace({0}) IS NOT NULL",
                  schema, name));
  batch.sync();
  batch.add("SELECT ssl, version, cipher FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()");
  batch.sync();
  batch.add(k_role);
  batch.sync();
  batch.add(k_slots);
  batch.sync();
  batch.add(k_limits);
  const std::vector<Result> results = connection.run(std::move(batch));

  std::vector<Examination> found;
  const core::Server& server = snapshot.server;
  found.push_back(good("connection", connection.target()));
  found.push_back(server.version_number >= k_oldest_server
                      ? good("server", "PostgreSQL " + server.version)
                      : bad("server", "PostgreSQL " + server.version, "Lockkeeper needs PostgreSQL 13 or later.",
                            Outcome::unsupported_server));
  if (results[1].ok() && results[1].rows() == 1 && results[1].boolean(0, 0)) {
    found.push_back(good("encryption", results[1].text(0, 1) + ", " + results[1].text(0, 2)));
  } else {
    found.push_back(warning("encryption", "none", "Set sslmode=require, or verify-full with sslrootcert, in the URL."));
  }
  if (results[2].ok()) {
    const Result& r = results[2];
    const bool set_role = r.text(0, 2) != r.text(0, 3);
    found.push_back(good("role", set_role ? fmt::format("{} (as {})", r.text(0, 2), r.text(0, 3)) : r.text(0, 3)));
    found.push_back(good("search_path", r.text(0, 1)));
  }
  found.push_back(writable(server));
  found.push_back(pooler(server, session_pooler));
  found.push_back(history(table, snapshot, results[0]));
  if (results[3].ok() && results[3].rows() == 1) {
    found.push_back(watcher(results[3]));
  }
  if (results[2].ok()) {
    found.push_back(stats(results[2]));
  }
  if (results[4].ok()) {
    found.push_back(time_limits(results[4]));
  }
  if (results[2].ok()) {
    found.push_back(lost_clients(results[2].boolean(0, 5)));
  }
  return found;
}

}  // namespace lockkeeper::pg
