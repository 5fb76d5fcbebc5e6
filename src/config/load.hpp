/// \file
/// All sources of configuration into one Settings: default < lockkeeper.yaml < its environment block < variable < flag.
///
/// Every mistake is found here, before a file of migrations is read or a connection opened. The database URL itself is
/// not read: Settings::database only says where it is (config/database_source.hpp).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/environment.hpp"
#include "config/settings.hpp"

namespace lockkeeper::config {

struct LoadResult {
  enum class Action {
    run,      ///< settings say what
    print,    ///< print `text` (it ends with a newline) and exit 0
    version,  ///< print the version and exit 0; settings.verbose says how much
  };
  Action action = Action::run;
  std::string text;
  Settings settings;
  Environment environment;  ///< the process environment with the .env file's values below it
  /// What the .env file adds to the process environment: the caller hands it to setenv, because libpq reads PGHOST and
  /// its like by itself.
  std::vector<std::pair<std::string, std::string>> dotenv;
};

/// What load() looks at outside its arguments; tests point it elsewhere.
struct LoadContext {
  bool stdin_is_terminal = false;
  std::string default_config_file = "lockkeeper.yaml";  ///< read only when it is there
  std::string namespace_file = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
};

/// \throws Error{usage} for the command line, Error{config} for variables and files; each names the source
LoadResult load(int argc, const char* const* argv, const Environment& environment, const LoadContext& context);
LoadResult load(int argc, const char* const* argv, const Environment& environment, bool stdin_is_terminal);

}  // namespace lockkeeper::config
