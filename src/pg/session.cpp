#include "pg/session.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace lockkeeper::pg {

namespace {

struct Setting {
  enum class What { limit, network, meaning };
  std::string_view name;
  std::string_view value;
  int since;  ///< server version
  What what;
};

// Limits that a role may carry do not kill a run in silence, and the server notices within half a minute that a node is
// gone, so that its lock is free. https://www.postgresql.org/docs/current/runtime-config-connection.html
constexpr std::array k_settings = {
    Setting{"statement_timeout", "0", 0, Setting::What::limit},
    Setting{"lock_timeout", "0", 0, Setting::What::limit},
    Setting{"idle_in_transaction_session_timeout", "0", 0, Setting::What::limit},
    Setting{"idle_session_timeout", "0", 140000, Setting::What::limit},
    Setting{"transaction_timeout", "0", 170000, Setting::What::limit},
    Setting{"tcp_keepalives_idle", "15", 0, Setting::What::network},
    Setting{"tcp_keepalives_interval", "5", 0, Setting::What::network},
    Setting{"tcp_keepalives_count", "3", 0, Setting::What::network},
    Setting{"tcp_user_timeout", "30000", 0, Setting::What::network},
    Setting{"default_transaction_isolation", "read committed", 0, Setting::What::meaning},
    Setting{"default_transaction_deferrable", "off", 0, Setting::What::meaning},
    Setting{"standard_conforming_strings", "on", 0, Setting::What::meaning},
    Setting{"row_security", "on", 0, Setting::What::meaning},
};

// The server looks that often whether we are still there while a statement of ours runs: a dead pod's statement ends.
// Not every operating system can, and elsewhere the server refuses the setting.
// https://www.postgresql.org/docs/current/runtime-config-connection.html#GUC-CLIENT-CONNECTION-CHECK-INTERVAL
constexpr std::string_view k_check_interval = "client_connection_check_interval";
constexpr std::string_view k_check_every = "2s";
constexpr int k_check_since = 140000;

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
  // The limits in force so far; a target list is evaluated from left to right.
  std::string sql = "SELECT pg_catalog.concat_ws(', '";
  for (const Setting& setting : k_settings) {
    if (setting.what == Setting::What::limit && connection.server_version() >= setting.since) {
      sql += fmt::format(", '{0} = ' || nullif(pg_catalog.current_setting('{0}'), '0')", setting.name);
    }
  }
  sql += ")";
  for (const Setting& setting : k_settings) {
    if (connection.server_version() >= setting.since) {
      sql += fmt::format(", pg_catalog.set_config('{}', '{}', false)", setting.name, setting.value);
    }
  }
  if (connection.server_version() >= k_check_since) {
    sql += fmt::format(", CASE WHEN pg_catalog.version() ~ 'linux' THEN pg_catalog.set_config('{}', '{}', false) END",
                       k_check_interval, k_check_every);
  }
  if (!settings.search_path.empty()) {
    sql += fmt::format(", pg_catalog.set_config('search_path', {}, false)",
                       quote_literal(quote_identifier(settings.search_path)));
  }
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

std::vector<std::string> parse_overridden(const Result& answer) {
  std::vector<std::string> limits;
  std::string text = answer.ok() && answer.rows() == 1 ? answer.text(0, 0) : std::string();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(", "), text.size());
    limits.push_back(text.substr(0, end));
    text.erase(0, std::min(end + 2, text.size()));
  }
  return limits;
}

void add_transaction_session(Batch& batch, const Connection& connection, const SessionSettings& settings) {
  batch.add("SET LOCAL SESSION AUTHORIZATION DEFAULT");
  batch.add("SET LOCAL search_path TO DEFAULT");
  std::string sql =
      fmt::format("SELECT pg_catalog.set_config('role', {}, true)", quote_literal(role_or_none(settings)));
  for (const Setting& setting : k_settings) {
    if (setting.what != Setting::What::network && connection.server_version() >= setting.since) {
      sql += fmt::format(", pg_catalog.set_config('{}', '{}', true)", setting.name, setting.value);
    }
  }
  if (!settings.search_path.empty()) {
    sql += fmt::format(", pg_catalog.set_config('search_path', {}, true)",
                       quote_literal(quote_identifier(settings.search_path)));
  }
  batch.add(std::move(sql));
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
