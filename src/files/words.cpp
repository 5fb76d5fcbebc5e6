#include "files/words.hpp"

#include <utility>

namespace lockkeeper::files {

std::string to_upper(std::string_view word) {
  std::string result(word);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return result;
}

namespace {

/// Without the quotes at both ends, and with each doubled one inside as one.
std::string unquoted(std::string_view quoted) {
  std::string result;
  const char quote = quoted.front();
  for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
    result += quoted[i];
    i += quoted[i] == quote ? 1U : 0U;
  }
  return result;
}

bool is_unicode_escaped(std::string_view token) {
  return token.size() > 3 && (token[0] == 'U' || token[0] == 'u') && token[1] == '&';
}

}  // namespace

std::optional<std::string> name_of(std::string_view token) {
  if (is_unicode_escaped(token)) {
    return token.find('\\') == std::string_view::npos ? std::optional(unquoted(token.substr(2))) : std::nullopt;
  }
  if (token.starts_with('"')) {
    return unquoted(token);
  }
  std::string name(token);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return name;
}

std::string_view inside_of_string(std::string_view token) {
  if (token.starts_with('$')) {
    const std::size_t tag = token.find('$', 1) + 1;
    return token.substr(tag, token.size() - 2 * tag);
  }
  const std::size_t begin = token.find('\'') + 1;
  return token.substr(begin, token.size() - 1 - begin);
}

std::optional<std::string> string_of(std::string_view token) {
  if (token.starts_with('$')) {
    return std::string(inside_of_string(token));
  }
  const char prefix = token.front();
  const bool has_escapes = prefix != '\'' && token.find('\\') != std::string_view::npos;
  if (has_escapes || prefix == 'B' || prefix == 'b' || prefix == 'X' || prefix == 'x') {
    return std::nullopt;
  }
  return unquoted(token.substr(token.find('\'')));
}

void Cursor::skip_parentheses() {
  std::size_t depth = 0;
  while (!at_end() && (depth > 0 || kind() == Token::Kind::open)) {
    depth += kind() == Token::Kind::open ? 1U : 0U;
    depth -= kind() == Token::Kind::close ? 1U : 0U;
    next();
  }
}

std::optional<core::ObjectName> Cursor::object_name() {
  core::ObjectName result;
  for (;;) {
    if (kind() != Token::Kind::word && kind() != Token::Kind::name) {
      return std::nullopt;
    }
    std::optional<std::string> part = name_of(text());
    if (!part) {
      return std::nullopt;
    }
    result.schema = std::exchange(result.name, std::move(*part));
    next();
    if (is("UESCAPE")) {
      return std::nullopt;
    }
    if (text() != ".") {
      return result;
    }
    next();
  }
}

}  // namespace lockkeeper::files
