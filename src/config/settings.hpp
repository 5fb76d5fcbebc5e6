/// \file
/// Everything a run can be told, resolved: default < lockkeeper.yaml < its environment block < variable < flag.
/// Never goes below app/: the core gets core::Policy and core::Limits, adapters get their own small structs.
/// Defaults stand in option_table.cpp, units in the types; this struct only names the results.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/policy.hpp"
#include "util/clock.hpp"

namespace lockkeeper::config {

enum class OutputFormat { table, json, markdown };
enum class LogFormat { automatic, text, json };  ///< automatic: text on a terminal, json otherwise

/// Where the connection URL comes from; the first that is set, in this order. The value itself is read later, and again
/// for each attempt (config/database_source.hpp).
struct DatabaseSource {
  enum class Kind { variable, file, pg_variables };
  Kind kind = Kind::variable;
  std::string name;         ///< variable name or file path
  std::string description;  ///< "environment variable DATABASE_URL", "file /run/secrets/db/url (DATABASE_URL_FILE)"
};

/// One block of `environments:` in lockkeeper.yaml, as far as it is no option.
struct EnvironmentRules {
  std::string name;
  std::vector<std::string> forbid;  ///< commands that this environment refuses (exit 22)
};

struct MetricsSettings {
  std::vector<std::string> urls;  ///< http or https (observe/push.hpp); empty = no push
  std::string file;               ///< textfile path; empty = none
  bool required = false;          ///< exit 35 when not delivered
  std::string job;                ///< group key `job`
  std::string name_space;         ///< group key `namespace`; empty = left out
  std::string username;
  std::string password_file;
  std::string bearer_token_file;
  std::string ca_file;
  std::string client_certificate;
  std::string client_key;
  util::Duration connect_timeout{0};
  util::Duration timeout{0};   ///< in all, connect included
  util::Duration interval{0};  ///< between interim pushes; zero = none
};

/// One value that was given somewhere, for `doctor` and --verbose. No option is a secret.
struct ValueOrigin {
  std::string option;  ///< lock-wait
  std::string value;   ///< as written; lists joined with commas
  std::string source;  ///< "flag --lock-wait", "environment variable LOCKKEEPER_LOCK_WAIT", "lockkeeper.yaml:3:12"
};

struct Settings {
  std::string command;                 ///< up, status, ...
  std::vector<std::string> arguments;  ///< NAME, CODE, VERSION: what the command takes without a flag

  std::string migrations;   ///< directory
  std::string config_file;  ///< the lockkeeper.yaml that was read; empty = none
  std::string environment;  ///< --env; empty = none
  std::string env_file;     ///< the .env file that was read; empty = none
  std::optional<EnvironmentRules> environment_rules;
  std::string history_schema;
  std::string history_table;
  std::vector<std::string> history_readers;
  std::string role;             ///< SET ROLE; empty = none
  bool session_pooler = false;  ///< pooler: session

  std::optional<DatabaseSource> database;  ///< nullopt: nothing is set anywhere
  util::Duration connect_wait{0};
  util::Duration connect_timeout{0};
  util::Duration auth_wait{0};

  core::Policy policy;
  core::Limits limits;

  bool yes = false;
  bool verbose = false;
  OutputFormat format = OutputFormat::table;
  LogFormat log_format = LogFormat::automatic;
  std::string termination_log;     ///< path; empty = /dev/termination-log if it is there
  bool strict = false;             ///< check
  util::Duration wait_timeout{0};  ///< wait
  bool allow_data_loss = false;    ///< down
  std::string to;                  ///< down, baseline: a version; empty = newest / all
  bool accept_checksum = false;    ///< repair

  MetricsSettings metrics;

  std::vector<ValueOrigin> origins;  ///< what was not left at its default, in the order of the option table
};

}  // namespace lockkeeper::config
