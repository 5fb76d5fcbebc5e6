/// \file
/// postgres:// URLs and "host=... dbname=..." strings into libpq parameters.
///
/// An own reader, because libpq rejects Prisma's parameters (?schema=public&pgbouncer=true), stops at the first '@' or
/// '/' of a raw password, and repeats parts of the string in its messages. No message or note of this file holds a
/// value of the URL; they name the parameter. Values are checked only as far as the place can be named better here.
/// Sources: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING
///          https://www.prisma.io/docs/orm/overview/databases/postgresql#arguments
/// Not for: PG* variables, service files and password files (libpq reads them), opening connections.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/error.hpp"
#include "util/secret.hpp"

namespace lockkeeper::config {

struct DatabaseAddress {
  /// libpq keywords and values, each once, without the password. Several hosts are comma lists, as libpq wants them.
  /// Not for logs: sslpassword and the like are among them.
  std::vector<std::pair<std::string, std::string>> parameters;
  util::Secret password;
  bool has_password = false;       ///< an empty password was given too
  std::string search_path_schema;  ///< Prisma's ?schema=; empty = none
  std::vector<std::string> notes;  ///< what was ignored or translated; for the log, never with a value
  bool pgbouncer = false;          ///< Prisma's pgbouncer=true, or port 6543: likely a pooler in transaction mode
  bool multi_host = false;

  /// The value of \p keyword; nullptr when it is not given.
  [[nodiscard]] const std::string* find(std::string_view keyword) const;
};

/// \p text: a URL or key=value pairs, white space around it ignored. \p source is only for messages:
/// "environment variable DATABASE_URL".
/// \throws Error{config} naming \p source and the part that is wrong, never its value
DatabaseAddress parse_database_url(std::string_view text, const std::string& source);

}  // namespace lockkeeper::config
