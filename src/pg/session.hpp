/// \file
/// The session that migrations run in: our settings, and a reset between two migrations that keeps the lock.
#pragma once

#include <string>
#include <vector>

#include "pg/connection.hpp"

namespace lockkeeper::pg {

struct SessionSettings {
  std::string role;             ///< SET ROLE; empty = none
  std::string search_path;      ///< one schema, from Prisma's ?schema=; empty = the role's own
  bool session_pooler = false;  ///< a pooler is known to keep the backend for the whole session
};

/// Two queries in segments of their own: settings (answers with one text, for parse_overridden()), then role. Behind an
/// unknown pooler (another backend answers than the one we connected to) they do nothing, because
/// they would stay on a backend that others use next.
void add_session(Batch& batch, const Connection& connection, const SessionSettings& settings);
/// The limits of the role, database or server that the first answer of add_session() says were put out of force:
/// "statement_timeout = 1s". Empty when it was not the first in its session.
std::vector<std::string> parse_overridden(const Result& answer);

/// The same for one transaction, and nothing of it stays: what another client of the pooler left on the backend does
/// not count, and what we set ends with the transaction. To stand behind BEGIN.
void add_transaction_session(Batch& batch, const Connection& connection, const SessionSettings& settings);

/// What an earlier migration left behind (settings, role, temporary tables, prepared statements) goes; the lock stays.
/// add_session() must follow.
void add_reset(Batch& batch);

/// For the rest of a transaction, whatever the script did: our own role and search_path.
void add_own_identity(Batch& batch, const SessionSettings& settings, const std::string& search_path);

}  // namespace lockkeeper::pg
