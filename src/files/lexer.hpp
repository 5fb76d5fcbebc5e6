/// \file
/// PostgreSQL's lexical rules, as far as they decide what is quoted, what is a comment and where a statement may end.
///
/// Why not pg_query_scan: it cannot be told to skip psql lines and COPY data, and it refuses literals of newer servers
/// (1_000). tests/fuzz/fuzz_statements.cpp holds the two against each other. standard_conforming_strings is taken to be
/// on, as libpg_query does. Defined here because this is the inner loop over whole files.
/// Not for: numbers, operators and keywords; whatever the rules do not need is "other", a character at a time.
/// Source: https://www.postgresql.org/docs/current/sql-syntax-lexical.html, src/backend/parser/scan.l
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace lockkeeper::files {

struct Token {
  enum class Kind {
    word,    ///< keyword or unquoted name
    name,    ///< "quoted name", U&"..." included
    string,  ///< '...', E'...', B'...', $tag$...$tag$
    other,   ///< part of a number or an operator, $1
    open,    ///< (
    close,   ///< )
    semicolon,
    backslash,  ///< never valid SQL: a psql command
    unterminated,
    end,
  };
  Kind kind = Kind::end;
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string_view missing;  ///< unterminated: what is not closed, "quoted string"
};

class Lexer {
 public:
  explicit Lexer(std::string_view text, std::size_t at = 0) : m_text(text), m_at(at) {}

  /// The next token after white space and comments. After an unterminated one comes the end.
  Token next() {
    const std::size_t comment = skip_blank();
    if (comment != k_none) {
      return unterminated(comment, "/* comment");
    }
    const std::size_t begin = m_at;
    if (begin >= m_text.size()) {
      return {Token::Kind::end, begin, begin, {}};
    }
    switch (m_text[begin]) {
      case '\'': return string(begin, begin + 1, Quotes::plain);
      case '"': return quoted_name(begin, begin + 1);
      case '$': return dollar(begin);
      case ';': return take(Token::Kind::semicolon, begin + 1);
      case '(': return take(Token::Kind::open, begin + 1);
      case ')': return take(Token::Kind::close, begin + 1);
      case '\\': return take(Token::Kind::backslash, begin + 1);
      default: break;
    }
    if (starts_word(m_text[begin])) {
      return word(begin);
    }
    return is_digit(m_text[begin]) ? number(begin) : take(Token::Kind::other, begin + 1);
  }

  void jump_to(std::size_t at) { m_at = at; }

 private:
  static constexpr std::size_t k_none = std::string_view::npos;

  /// plain: '' is a quote inside. escapes: \' is one, too. bits: there is none inside B'01' and X'1F'.
  enum class Quotes { plain, escapes, bits };

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool starts_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
  }
  static bool continues_tag(char c) { return starts_word(c) || is_digit(c); }
  static bool continues_word(char c) { return continues_tag(c) || c == '$'; }
  static bool is_newline(char c) { return c == '\n' || c == '\r'; }
  static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\f' || c == '\v' || is_newline(c); }

  [[nodiscard]] char peek(std::size_t at) const { return at < m_text.size() ? m_text[at] : '\0'; }
  [[nodiscard]] bool starts_line_comment(std::size_t at) const { return peek(at) == '-' && peek(at + 1) == '-'; }
  [[nodiscard]] bool starts_block_comment(std::size_t at) const { return peek(at) == '/' && peek(at + 1) == '*'; }
  [[nodiscard]] std::size_t end_of_line(std::size_t at) const {
    return std::min(m_text.find_first_of("\n\r", at), m_text.size());
  }

  Token take(Token::Kind kind, std::size_t end) {
    const Token token{kind, m_at, end, {}};
    m_at = end;
    return token;
  }
  Token unterminated(std::size_t begin, std::string_view what) {
    m_at = m_text.size();
    return {Token::Kind::unterminated, begin, m_text.size(), what};
  }

  /// Moves to the next token; returns where a comment without an end starts, or k_none.
  std::size_t skip_blank() {
    for (;;) {
      while (m_at < m_text.size() && is_space(m_text[m_at])) {
        ++m_at;
      }
      if (starts_line_comment(m_at)) {
        m_at = end_of_line(m_at);
      } else if (starts_block_comment(m_at)) {
        const std::size_t begin = m_at;
        if (!skip_block_comment()) {
          return begin;
        }
      } else {
        return k_none;
      }
    }
  }

  /// Block comments nest in PostgreSQL.
  bool skip_block_comment() {
    std::size_t depth = 0;
    for (std::size_t at = m_at; at < m_text.size();) {
      if (starts_block_comment(at)) {
        ++depth;
        at += 2;
      } else if (peek(at) == '*' && peek(at + 1) == '/') {
        at += 2;
        if (--depth == 0) {
          m_at = at;
          return true;
        }
      } else {
        ++at;
      }
    }
    return false;
  }

  Token word(std::size_t begin) {
    std::size_t end = begin + 1;
    while (end < m_text.size() && continues_word(m_text[end])) {
      ++end;
    }
    if (end == begin + 1) {  // a one-letter prefix of a literal?
      const char letter = static_cast<char>(m_text[begin] | 0x20);
      const char next = peek(end);
      if (next == '\'' && (letter == 'e' || letter == 'b' || letter == 'x' || letter == 'n')) {
        return string(begin, end + 1, letter == 'e' ? Quotes::escapes : letter == 'n' ? Quotes::plain : Quotes::bits);
      }
      if (letter == 'u' && next == '&' && peek(end + 1) == '\'') {
        return string(begin, end + 2, Quotes::plain);
      }
      if (letter == 'u' && next == '&' && peek(end + 1) == '"') {
        return quoted_name(begin, end + 2);
      }
    }
    return take(Token::Kind::word, end);
  }

  Token number(std::size_t begin) {
    std::size_t end = begin + 1;
    while (end < m_text.size() && continues_tag(m_text[end])) {
      ++end;
    }
    return take(Token::Kind::other, end);
  }

  /// \p at is behind the opening quote.
  Token string(std::size_t begin, std::size_t at, Quotes quotes) {
    const bool escapes = quotes == Quotes::escapes;
    for (; at < m_text.size(); ++at) {
      if (escapes && m_text[at] == '\\') {
        ++at;
      } else if (m_text[at] == '\'') {
        if (peek(at + 1) == '\'' && quotes != Quotes::bits) {
          ++at;
        } else if (const std::size_t more = escapes ? continuation(at + 1) : k_none; more != k_none) {
          at = more;
        } else {
          return take(Token::Kind::string, at + 1);
        }
      }
    }
    return unterminated(begin, "quoted string");
  }

  /// 'a' <newline> 'b' is one string, and keeps the rules of the first: where the second's quote is, or k_none.
  [[nodiscard]] std::size_t continuation(std::size_t at) const {
    bool newline = false;
    while (at < m_text.size()) {
      if (is_space(m_text[at])) {
        newline = newline || is_newline(m_text[at]);
        ++at;
      } else if (starts_line_comment(at)) {
        at = end_of_line(at);
      } else {
        break;
      }
    }
    return newline && peek(at) == '\'' ? at : k_none;
  }

  Token quoted_name(std::size_t begin, std::size_t at) {
    for (; at < m_text.size(); ++at) {
      if (m_text[at] == '"') {
        if (peek(at + 1) != '"') {
          return take(Token::Kind::name, at + 1);
        }
        ++at;
      }
    }
    return unterminated(begin, "quoted name");
  }

  /// $tag$...$tag$, or $1, or a lone $.
  Token dollar(std::size_t begin) {
    std::size_t end = begin + 1;
    if (is_digit(peek(end))) {
      while (is_digit(peek(end))) {
        ++end;
      }
      return take(Token::Kind::other, end);
    }
    while (end < m_text.size() && continues_tag(m_text[end])) {
      ++end;
    }
    if (peek(end) != '$') {
      return take(Token::Kind::other, begin + 1);
    }
    const std::string_view delimiter = m_text.substr(begin, end + 1 - begin);
    const std::size_t close = m_text.find(delimiter, end + 1);
    if (close == k_none) {
      return unterminated(begin, "dollar-quoted string");
    }
    return take(Token::Kind::string, close + delimiter.size());
  }

  std::string_view m_text;
  std::size_t m_at = 0;
};

}  // namespace lockkeeper::files
