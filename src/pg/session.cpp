#include "pg/session.hpp"

#include <array>

#include <fmt/format.h>

namespace lockkeeper::pg {

namespace {

struct Setting {
  std::string_view name;
  std::string_view value;
  int since;  ///< server version
};

// Limits that a role may carry do not kill a run in silence, and the server notices within half a minute that a node is
// gone, so that its lock is free. https://www.postgresql.org/docs/current/runtime-config-connection.html
constexpr std::array k_settings = {
    Setting{"statement_timeout", "0", 0},
    Setting{"lock_timeout", "0", 0},
    Setting{"idle_in_transaction_session_timeout", "0", 0},
    Setting{"idle_session_timeout", "0", 140000},
    Setting{"transaction_timeout", "0", 170000},
    Setting{"tcp_keepalives_idle", "15", 0},
    Setting{"tcp_keepalives_interval", "5", 0},
    Setting{"tcp_keepalives_count", "3", 0},
    Setting{"tcp_user_timeout", "30000", 0},
    Setting{"default_transaction_isolation", "read committed", 0},
    Setting{"default_transaction_deferrable", "off", 0},
    Setting{"standard_conforming_strings", "on", 0},
    Setting{"row_security", "on", 0},
};

// DISCARD ALL without its pg_advisory_unlock_all(): https://www.postgresql.org/docs/current/sql-discard.html
constexpr std::array<const char*, 8> k_reset = {"CLOSE ALL",         "SET SESSION AUTHORIZATION DEFAULT",
                                                "RESET ALL",         "DEALLOCATE ALL",
                                                "UNLISTEN *",        "DISCARD PLANS",
                                                "DISCARD SEQUENCES", "DISCARD TEMP"};

const std::string& role_or_none(const SessionSettings& settings) {
  static const std::string k_none = "none";
  return settings.role.empty() ? k_none : settings.role;
}

}  // namespace

void add_session(Batch& batch, const Connection& connection, const SessionSettings& settings) {
  std::string sql = "SELECT ";
  for (const Setting& setting : k_settings) {
    if (connection.server_version() >= setting.since) {
      sql += fmt::format("pg_catalog.set_config('{}', '{}', false), ", setting.name, setting.value);
    }
  }
  if (!settings.search_path.empty()) {
    sql += fmt::format("pg_catalog.set_config('search_path', {}, false), ",
                       quote_literal(quote_identifier(settings.search_path)));
  }
  sql += "1";
  std::string where;
  std::vector<Batch::Parameter> pid;
  if (!settings.session_pooler) {
    where = " WHERE pg_catalog.pg_backend_pid() = $1::integer";
    pid.emplace_back(std::to_string(connection.backend_pid()));
  }
  batch.add(sql + where, pid);
  batch.sync();
  batch.add(
      fmt::format("SELECT pg_catalog.set_config('role', {}, false)", quote_literal(role_or_none(settings))) + where,
      pid);
  batch.sync();
}

void add_reset(Batch& batch) {
  for (const char* sql : k_reset) {
    batch.add(sql);
  }
  batch.sync();
}

void add_own_identity(Batch& batch, const SessionSettings& settings, const std::string& search_path) {
  batch.add("SET LOCAL SESSION AUTHORIZATION DEFAULT");
  batch.add("SELECT pg_catalog.set_config('role', $1, true), pg_catalog.set_config('search_path', $2, true)",
            {role_or_none(settings), search_path});
}

}  // namespace lockkeeper::pg
