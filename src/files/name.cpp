#include "files/name.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lockkeeper::files {

namespace {

constexpr std::size_t k_max_digits = 64;
constexpr std::string_view k_form = "Name it <version>_<name>, for example 20250520000000_add_orders.";

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

NameProblem problem(std::string message) {
  return {std::move(message), std::string(k_form)};
}

/// Where the first bad character is, with all its bytes.
std::string bad_character(std::string_view name) {
  const auto* begin = std::find_if_not(name.begin(), name.end(), is_name_character);
  std::size_t length = 1;
  const auto rest = name.substr(static_cast<std::size_t>(begin - name.begin()));
  while (length < rest.size() && length < 4 && !util::is_valid_utf8(rest.substr(0, length))) {
    ++length;
  }
  return std::string(rest.substr(0, length));
}

}  // namespace

std::variant<DirectoryName, NameProblem> parse_directory_name(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  if (digits == 0) {
    return problem("does not start with a version (digits)");
  }
  if (digits > k_max_digits) {
    return problem(fmt::format("its version has {} digits; {} are the most", digits, k_max_digits));
  }
  DirectoryName result{core::Version(std::string(text.substr(0, digits))), {}};
  if (digits == text.size()) {
    return result;
  }
  if (text[digits] != '_') {
    return problem("has no underscore between version and name");
  }
  const std::string_view name = text.substr(digits + 1);
  if (name.empty()) {
    return problem("has no name behind the underscore");
  }
  if (!std::all_of(name.begin(), name.end(), is_name_character)) {
    return problem(
        fmt::format("has the character '{}' in its name; letters, digits and _ - . are allowed", bad_character(name)));
  }
  result.name = name;
  return result;
}

}  // namespace lockkeeper::files
