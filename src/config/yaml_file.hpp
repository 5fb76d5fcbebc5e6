/// \file
/// lockkeeper.yaml: any option by its key, and named blocks of them under `environments:`.
///
/// Every block is checked, also those that are not chosen, and all problems are reported together. Relative paths are
/// relative to the working directory, as everywhere else.
/// Not for: secrets. `database_url:` is refused; files in git name the variable or the file that holds it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/option_value.hpp"

namespace lockkeeper::config {

struct YamlSettings {
  std::vector<Given> given;               ///< the top level, then the chosen environment's
  std::optional<EnvironmentRules> rules;  ///< of the chosen environment
};

/// \p environment: the block to choose; empty = none.
/// \throws Error{config} with file, line and column; an environment that is not there lists those that are
YamlSettings parse_yaml_settings(std::string_view text, const std::string& file, const std::string& environment);

/// \p what names the file in messages about reading it: "file deploy/lk.yaml (flag --config)".
/// \throws Error{config} also when the file cannot be read
YamlSettings read_yaml_file(const std::string& path, const std::string& what, const std::string& environment);

}  // namespace lockkeeper::config
