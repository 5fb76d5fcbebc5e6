/// \file
/// The advisory lock as SQL: its key, who holds it, and the proof that we do.
///
/// A session lock, polled: a blocking wait would pin a snapshot, and another runner's CREATE INDEX CONCURRENTLY would
/// wait for it while we wait for that runner. Source:
/// https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
#pragma once

#include <string>

#include "core/events.hpp"
#include "core/migration.hpp"
#include "pg/connection.hpp"
#include "pg/history.hpp"

namespace lockkeeper::pg {

/// SQL expression (bigint) of the key; anybody can compute it in psql (docs/history.md).
std::string lock_key(const HistoryTable& table);
/// \p shared_backend: behind a pooler another session may hold it on this very backend; then it is not to be had.
std::string try_lock_query(const HistoryTable& table, bool shared_backend);
/// The same lock until the end of the transaction: for where no session is ours (a pooler in transaction mode).
std::string try_transaction_lock_query(const HistoryTable& table);
std::string unlock_query(const HistoryTable& table);
/// Ends the backend $1 if it holds the lock and does nothing at this moment; no row: it does not hold it (any more).
std::string end_idle_holder_query(const HistoryTable& table);
/// Who else holds the lock: at most one row, for parse_holder().
std::string holder_query(const HistoryTable& table);
std::optional<core::LockHolder> parse_holder(const Result& result);

/// Fails on the server unless our backend holds the lock: stands behind each BEGIN, so that nothing runs without it.
/// Takes the lock once more, until the end of the transaction: a migration that calls pg_advisory_unlock_all() lets
/// nobody in before it has committed.
std::string lock_guard(const HistoryTable& table);
/// The error is lock_guard()'s.
bool is_lock_lost(const ServerError& error);

/// For transactions that are sent before the one ahead of them is answered. Fails on the server unless \p before is
/// what the history has last: a transaction that failed, for whatever reason, lets nothing behind it commit.
std::string order_guard(const HistoryTable& table, const core::Migration& before);
/// The error is order_guard()'s.
bool is_out_of_order(const ServerError& error);
/// Gives the lock back if \p last is what the history has last: answers with one row, "t". No row: it is kept.
std::string unlock_behind_query(const HistoryTable& table, const core::Migration& last);

}  // namespace lockkeeper::pg
