/// \file
/// The process environment as a value, and the .env file that can stand below it.
///
/// Nothing below app/ calls getenv, so that a test can say what is set. A variable that is empty counts as not set:
/// Helm and Compose write `NAME: ""` for a value that nobody chose.
/// Not for: expanding ${OTHER} in values, reading a .env file that nobody named.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/option_value.hpp"

namespace lockkeeper::config {

using Environment = std::map<std::string, std::string, std::less<>>;

/// \p envp as main gets it (NAME=VALUE, nullptr at the end); nullptr is an empty environment.
Environment capture(const char* const* envp);

/// The value of \p name; nullopt when it is not set or empty.
std::optional<std::string> find_variable(const Environment& environment, std::string_view name);

/// One line of a .env file.
struct DotenvEntry {
  std::string name;
  std::string value;
  std::size_t line = 0;
};

/// Parses `KEY=VALUE` lines: `export ` in front, # comments, 'single' (as is) and "double" quotes (\n \r \t \" \\ \$),
/// CRLF and a BOM are understood. A quoted value may span lines. The last of two lines with the same name counts.
/// \p file is only for messages, which never hold a value.
/// \throws Error{config} with file and line
std::vector<DotenvEntry> parse_dotenv(std::string_view text, const std::string& file);

/// \throws Error{config} when the file cannot be read or parsed
std::vector<DotenvEntry> read_dotenv(const std::string& path);

/// The values of LOCKKEEPER_<OPTION> variables. Variables of that prefix that are no option are ignored: a Kubernetes
/// Service called lockkeeper injects LOCKKEEPER_PORT and more. DEBUG=1, exactly, is LOCKKEEPER_VERBOSE=1.
/// \p dotenv_places names the place of the variables that come from a .env file ("deploy/.env:3").
/// \throws Error{config} naming the variable and what is expected
std::vector<Given> read_variables(const Environment& environment,
                                  const std::map<std::string, std::string, std::less<>>& dotenv_places = {});

}  // namespace lockkeeper::config
