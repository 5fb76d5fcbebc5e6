#include "pg/doctor.hpp"

#include <fmt/format.h>

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
  return bad("pooler", "the backend is not the one that we connected to",
             "Give a direct URL (DIRECT_URL), or set --pooler session if the pooler keeps one backend a session.",
             Outcome::unsupported_server);
}

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
  batch.add(
      "SELECT pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), "
      "pg_catalog.current_setting('search_path'), session_user, current_user");
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
  if (results[2].ok()) {
    found.push_back(
        results[2].boolean(0, 0)
            ? good("pg_read_all_stats", "yes")
            : warning("pg_read_all_stats", "no",
                      fmt::format("Client and age of a lock's holder stay hidden: GRANT pg_read_all_stats TO {};",
                                  quote_identifier(server.user))));
  }
  return found;
}

}  // namespace lockkeeper::pg
