/// \file
/// Every option and every command, one row each. The command line, the environment, lockkeeper.yaml, `--help`,
/// docs/configuration.md and the messages about unknown keys are all made from these two tables.
///
/// Not for: checking values (config/option_value.hpp), combinations of options (config/load.hpp), where the database
/// URL comes from (config/database_source.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "util/clock.hpp"

namespace lockkeeper::config {

/// A set of commands: the or of CommandRow::bit.
using CommandSet = std::uint32_t;

struct CommandRow {
  std::string_view name;
  std::string_view argument;      ///< "NAME", "VERSION"; in brackets = may be left out; empty = takes none
  std::string_view help;          ///< one line, lower case
  bool changes_database = false;  ///< history only counts too
  bool needs_database = false;
  CommandSet bit = 0;
};

std::span<const CommandRow> commands();
/// nullptr when there is no such command.
const CommandRow* find_command(std::string_view name);

enum class ValueType {
  text,
  path,
  duration,  ///< 500ms, 5s, 10m, 1h, 0
  boolean,   ///< flag: no value; variable: true|false|1|0; YAML: true|false
  choice,
  list,           ///< flag: repeated or commas; variable: commas; YAML: a list
  table_name,     ///< SCHEMA.TABLE, parts may be "quoted"
  variable_name,  ///< the name of an environment variable
  urls,           ///< http or https, without user and password; one or more: as a list, in YAML one text will do
  version,        ///< digits
  count,          ///< 0 or more
};

enum class OptionGroup { files, database, limits, policy, command, output, metrics };
std::string_view title(OptionGroup group);

/// A checked value; the member that the type names is filled.
struct OptionValue {
  std::string text{};  ///< text, path, variable_name, version, choice
  bool boolean = false;
  util::Duration duration{0};
  std::size_t choice = 0;  ///< index in OptionRow::choices
  std::size_t count = 0;
  std::vector<std::string> list{};  ///< list, urls; table_name: schema and table, folded as PostgreSQL folds them
};

struct OptionRow {
  std::string_view name{};  ///< lock-wait; see flag_name(), variable_name(), yaml_key()
  ValueType type = ValueType::text;
  std::string_view argument{};       ///< what stands for the value in --help: DURATION, PATH; empty for booleans
  std::string_view fallback{};       ///< the default as one would write it; empty = none (or see fallback_note)
  std::string_view fallback_note{};  ///< a default that is not a constant: "15s; 0 on a terminal"
  std::span<const std::string_view> choices{};
  std::string_view help{};  ///< one line, lower case
  OptionGroup group = OptionGroup::command;
  CommandSet used_by = 0;
  bool in_yaml = true;     ///< false: flag and variable only
  bool positive = false;   ///< a duration that must not be 0
  bool clearable = false;  ///< an empty value means none; else it is an error
  void (*set)(Settings&, const OptionValue&) = nullptr;
};

std::span<const OptionRow> options();
/// By option name (lock-wait) or by YAML key (lock_wait); nullptr when there is none.
const OptionRow* find_option(std::string_view name);
const OptionRow* find_option_by_yaml_key(std::string_view key);

std::string flag_name(const OptionRow& option);      ///< --lock-wait
std::string variable_name(const OptionRow& option);  ///< LOCKKEEPER_LOCK_WAIT
std::string yaml_key(const OptionRow& option);       ///< lock_wait

/// The generated part of docs/configuration.md; a test keeps the file up to date.
std::string configuration_markdown();

}  // namespace lockkeeper::config
