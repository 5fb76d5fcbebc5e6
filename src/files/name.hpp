/// \file
/// The grammar of a migration directory's name: <digits>[_<name>], as in 20250520000000_calendly_integration.
///
/// Digits are the version (at most 64, so that any time stamp fits); the name is of ASCII letters, digits and _ - .
/// Not for: comparing versions (core::Version), the files inside the directory.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "core/migration.hpp"

namespace lockkeeper::files {

struct DirectoryName {
  core::Version version;
  std::string name;  ///< empty when there are only digits
};

/// Why a name is none: lower case without a full stop, and what to do as a sentence.
struct NameProblem {
  std::string message;
  std::string hint;
};

std::variant<DirectoryName, NameProblem> parse_directory_name(std::string_view text);

}  // namespace lockkeeper::files
