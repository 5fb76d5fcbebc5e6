/// \file
/// SHA-256 of scripts, by OpenSSL (which uses the CPU's instructions).
#pragma once

#include <string>
#include <string_view>

namespace lockkeeper::files {

/// Lower-case hex.
std::string sha256_hex(std::string_view bytes);
/// The checksum of a script as the history stores it: SHA-256 of the text with CRLF read as LF. \p text has no BOM.
std::string script_checksum(std::string_view text);
/// OpenSSL's version, as it says itself at run time: "3.5.7".
std::string openssl_version();

}  // namespace lockkeeper::files
