/// \file
/// SHA-256 of scripts, by OpenSSL (which uses the CPU's instructions).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/migration.hpp"

namespace lockkeeper::files {

/// Lower-case hex.
std::string sha256_hex(std::string_view bytes);
/// The checksum of a script as the history stores it: SHA-256 of the text with CRLF read as LF. \p text has no BOM.
std::string script_checksum(std::string_view text);
/// SHA-256 of what the history says when exactly \p migrations are applied: a line "version checksum" for each, in the
/// order of the versions as text. The server makes the same (pg::rows_query).
std::string history_checksum(std::span<const core::Migration> migrations);
/// OpenSSL's version, as it says itself at run time: "3.5.7".
std::string openssl_version();

}  // namespace lockkeeper::files
