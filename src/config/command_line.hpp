/// \file
/// argv into a command, its arguments and given options, with Boost.Program_options; and the help texts.
///
/// Flags stand before or after the command, `--flag value` or `--flag=value`; no abbreviations. A message never repeats
/// the value of an unknown flag, nor an argument that looks like a URL: arguments are visible in `ps` and in job logs.
/// Source: https://www.boost.org/doc/libs/1_74_0/doc/html/program_options.html
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/option_value.hpp"

namespace lockkeeper::config {

struct CommandLine {
  enum class Request { run, help, version };
  Request request = Request::run;
  const CommandRow* command = nullptr;  ///< help: nullptr = the overview; version: nullptr
  std::vector<std::string> arguments;   ///< what follows the command without a flag
  std::vector<Given> given;
};

/// \throws Error{usage} naming the flag or argument
CommandLine parse_command_line(int argc, const char* const* argv);

/// `lockkeeper --help`: the commands.
std::string overview_help();
/// `lockkeeper COMMAND --help`: its options, grouped, with defaults, units and variables.
std::string command_help(const CommandRow& command);

}  // namespace lockkeeper::config
