#include "pg/lock.hpp"

#include <fmt/format.h>

namespace lockkeeper::pg {

namespace {

constexpr std::string_view k_lock_lost = "lockkeeper: the lock is lost";
constexpr std::string_view k_out_of_order = "lockkeeper: the migration before is not recorded";
constexpr std::string_view k_bad_integer = "22P02";

/// FROM and WHERE of pg_locks for our key.
std::string lock_rows(const HistoryTable& table) {
  return fmt::format(
      "pg_catalog.pg_locks l, (SELECT {} AS key) k WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND "
      "l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) AND "
      "l.classid = "
      "((k.key >> 32) & 4294967295)::oid AND l.objid = (k.key & 4294967295)::oid",
      lock_key(table));
}

/// Condition: the newest row of the history is that of \p migration, applied.
std::string newest_is(const HistoryTable& table, const core::Migration& migration) {
  return fmt::format(
      "(SELECT h.version || ' ' || h.checksum || ' ' || h.direction || ' ' || h.outcome FROM {} h WHERE h.outcome <> "
      "'failed' ORDER BY h.id DESC LIMIT 1) = '{} {} up applied'",
      table.quoted(), migration.version.str(), migration.up.checksum);
}

}  // namespace

std::string lock_key(const HistoryTable& table) {
  return fmt::format("pg_catalog.hashtextextended(pg_catalog.current_database()::text || ':' || {}, 0)",
                     quote_literal(table.str()));
}

std::string try_lock_query(const HistoryTable& table, bool shared_backend) {
  if (shared_backend) {
    return fmt::format(
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM {} AND l.pid = pg_catalog.pg_backend_pid()) THEN false ELSE "
        "pg_catalog.pg_try_advisory_lock({}) END, pg_catalog.pg_backend_pid()",
        lock_rows(table), lock_key(table));
  }
  return fmt::format("SELECT pg_catalog.pg_try_advisory_lock({}), pg_catalog.pg_backend_pid()", lock_key(table));
}

std::string try_transaction_lock_query(const HistoryTable& table) {
  return fmt::format("SELECT pg_catalog.pg_try_advisory_xact_lock({})", lock_key(table));
}

std::string unlock_query(const HistoryTable& table) {
  return fmt::format("SELECT pg_catalog.pg_advisory_unlock({})", lock_key(table));
}

std::string end_idle_holder_query(const HistoryTable& table) {
  return fmt::format(
      "SELECT CASE WHEN a.state = 'idle' THEN pg_catalog.pg_terminate_backend(a.pid) ELSE false END FROM (SELECT l.pid "
      "FROM {}) l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid WHERE a.pid = $1::integer",
      lock_rows(table));
}

std::string holder_query(const HistoryTable& table) {
  return fmt::format(
      "SELECT l.pid, a.application_name, pg_catalog.host(a.client_addr), a.usename, "
      "pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - a.backend_start)::bigint "
      "FROM (SELECT l.pid FROM {}) l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
      "WHERE l.pid <> pg_catalog.pg_backend_pid() LIMIT 1",
      lock_rows(table));
}

std::optional<core::LockHolder> parse_holder(const Result& result) {
  if (result.rows() == 0) {
    return std::nullopt;
  }
  core::LockHolder holder{.pid = static_cast<int>(result.number(0, 0)), .application_name = result.text(0, 1)};
  if (!result.is_null(0, 2)) {
    holder.client = result.text(0, 2);
  }
  if (!result.is_null(0, 3)) {
    holder.user = result.text(0, 3);
  }
  if (!result.is_null(0, 4)) {
    holder.session_age = std::chrono::seconds(result.number(0, 4));
  }
  return holder;
}

std::string lock_guard(const HistoryTable& table) {
  // The text is made at run time: the planner would evaluate the cast of a constant while it plans.
  return fmt::format(
      "SELECT CASE WHEN EXISTS (SELECT 1 FROM {} AND l.pid = pg_catalog.pg_backend_pid()) AND "
      "pg_catalog.pg_try_advisory_xact_lock({}) THEN 0 ELSE ('{}, backend ' || pg_catalog.pg_backend_pid())::integer "
      "END",
      lock_rows(table), lock_key(table), k_lock_lost);
}

bool is_lock_lost(const ServerError& error) {
  return error.sqlstate == k_bad_integer && error.message.find(k_lock_lost) != std::string::npos;
}

std::string order_guard(const HistoryTable& table, const core::Migration& before) {
  return fmt::format("SELECT CASE WHEN {} THEN 0 ELSE ('{}, backend ' || pg_catalog.pg_backend_pid())::integer END",
                     newest_is(table, before), k_out_of_order);
}

bool is_out_of_order(const ServerError& error) {
  return error.sqlstate == k_bad_integer && error.message.find(k_out_of_order) != std::string::npos;
}

std::string unlock_behind_query(const HistoryTable& table, const core::Migration& last) {
  return fmt::format("{} WHERE {}", unlock_query(table), newest_is(table, last));
}

}  // namespace lockkeeper::pg
