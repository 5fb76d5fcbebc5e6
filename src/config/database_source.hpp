/// \file
/// Which variable or file holds the connection URL, and reading it, anew for each attempt: a secret that rotates or
/// that is mounted late is seen. The value appears in no message; the source does.
///
/// Order, first that is set: the flags --database-url-env and --database-url-file, the chosen environment's
/// database_url_env and database_url_file, LOCKKEEPER_DATABASE_URL, LOCKKEEPER_DATABASE_URL_ENV and _FILE, the top
/// level of lockkeeper.yaml, DIRECT_URL, DATABASE_URL, DATABASE_URL_FILE, libpq's PG* variables. What is named and then
/// not there is an error: falling through to another database would be worse.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "config/database_url.hpp"
#include "config/environment.hpp"
#include "config/option_value.hpp"
#include "config/settings.hpp"

namespace lockkeeper::config {

/// A URL is short; a larger file is not one.
inline constexpr std::size_t k_max_url_file_bytes = std::size_t{64} * 1024;

/// nullopt when nothing is set anywhere. Reads no file.
/// \p given are the values of the options database-url-env and database-url-file; others are skipped.
/// \throws Error{usage|config} when one source gives both
std::optional<DatabaseSource> choose_database_source(const std::vector<Given>& given, const Environment& environment);

/// Reads and parses the URL now. With PG* variables the parameters are empty: libpq reads those by itself.
/// \throws Error{config} naming the source: not set, missing, unreadable, empty, a directory, too large, or not a URL
DatabaseAddress read_database_address(const DatabaseSource& source, const Environment& environment);

/// The same for Settings::database, which may be nullopt.
/// \throws Error{config} "DATABASE_URL is not set" with how to set it, in a shell and in a Job
DatabaseAddress read_database_address(const std::optional<DatabaseSource>& source, const Environment& environment);

}  // namespace lockkeeper::config
