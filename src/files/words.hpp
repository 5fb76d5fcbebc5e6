/// \file
/// Words, names and strings of SQL as they are compared: keywords without regard to case, names as the server folds
/// them. Not for: deciding what a token is (lexer.hpp).
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "core/expectation.hpp"
#include "files/lexer.hpp"

namespace lockkeeper::files {

/// \p upper: in upper case.
inline bool equals_ignoring_case(std::string_view word, std::string_view upper) {
  return std::equal(word.begin(), word.end(), upper.begin(), upper.end(),
                    [](char a, char b) { return a == b || (a >= 'a' && a <= 'z' && a - 'a' == b - 'A'); });
}

std::string to_upper(std::string_view word);

template <typename Range>
bool contains(const Range& range, std::string_view word) {
  return std::find(std::begin(range), std::end(range), word) != std::end(range);
}

/// What a word or a quoted name means to the server: folded, or without its quotes. nullopt: U&"..." with escapes.
std::optional<std::string> name_of(std::string_view token);
/// What a string constant means; nullopt: one with escapes (E'\n', U&'\0061'), or B'1', X'F'.
std::optional<std::string> string_of(std::string_view token);
/// The text between the quotes, as it is written.
std::string_view inside_of_string(std::string_view token);

/// One token after the other, with what the grammar asks for most.
class Cursor {
 public:
  explicit Cursor(std::string_view sql) : m_sql(sql), m_lexer(sql), m_token(m_lexer.next()) {}

  [[nodiscard]] Token::Kind kind() const { return m_token.kind; }
  [[nodiscard]] bool at_end() const { return kind() == Token::Kind::end || kind() == Token::Kind::unterminated; }
  [[nodiscard]] std::string_view text() const { return m_sql.substr(m_token.begin, m_token.end - m_token.begin); }
  [[nodiscard]] bool is(std::string_view upper) const {
    return kind() == Token::Kind::word && equals_ignoring_case(text(), upper);
  }
  /// From here to the end.
  [[nodiscard]] std::string_view rest() const { return m_sql.substr(m_token.begin); }
  void next() { m_token = m_lexer.next(); }

  /// True, and behind it, when the word is there.
  bool skip(std::string_view upper) {
    const bool found = is(upper);
    if (found) {
      next();
    }
    return found;
  }
  /// "( ... )", with what it nests, if it is there.
  void skip_parentheses();
  /// [schema.]name; nullopt when there is none, or one that cannot be told.
  std::optional<core::ObjectName> object_name();

 private:
  std::string_view m_sql;
  Lexer m_lexer;
  Token m_token;
};

}  // namespace lockkeeper::files
