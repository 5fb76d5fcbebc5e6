/// \file
/// From what somebody wrote to a checked value of an option, or a message that says what is wrong with it.
///
/// Not for: which options there are (config/option_table.hpp), which of several values wins (config/load.hpp).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/option_table.hpp"

namespace lockkeeper::config {

/// "a duration such as 500ms, 5s, 10m or 1h", "ok, warn or fail": completes "expected ...".
std::string expected_form(const OptionRow& option);

/// Where a value was given; later ones win.
enum class Layer { file, environment_block, variable, flag };

/// One value that one source gave to one option.
struct Given {
  const OptionRow* option = nullptr;
  Layer layer = Layer::flag;
  OptionValue value;
  std::string text;    ///< as written
  std::string source;  ///< "flag --lock-wait"
};

/// A checked value, or what is wrong with it.
struct ParsedValue {
  std::optional<OptionValue> value;
  std::string problem;  ///< "expected a duration such as 5s, not \"5 minutes\""; never a value that could be a secret
  std::string hint;
};
/// \p texts: one value; for a list its items (flags and variables are split at commas); for a flag without a value,
/// none.
ParsedValue parse_value(const OptionRow& option, Layer layer, const std::vector<std::string>& texts);

/// parse_value() for flags and variables.
/// \throws Error{usage for flags, else config}: \p source, then the problem
Given make_given(const OptionRow& option, Layer layer, const std::vector<std::string>& texts, std::string source);

/// `"value"` for a message, or "(not shown)" when it could hold a password.
std::string shown(std::string_view value);

}  // namespace lockkeeper::config
