#include "files/statements.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <pg_query.h>

#include "files/checksum.hpp"
#include "files/facts.hpp"
#include "files/lexer.hpp"
#include "files/pg_query_result.hpp"
#include "files/words.hpp"
#include "util/text.hpp"

namespace lockkeeper::files {

namespace {

using core::Statement;

// libpg_query's offsets are ints. files/directory.cpp refuses larger files with a message of its own.
constexpr std::size_t k_max_text = std::size_t{64} * 1024 * 1024;
// A file of nothing but problems would otherwise cost a scan of the file for each.
constexpr std::size_t k_max_problems = 100;

// ---------------------------------------------------------------------------------------------------------------------
// Positions

/// Line and column of growing offsets, in one pass over the text.
class PositionCounter {
 public:
  explicit PositionCounter(std::string_view text) : m_text(text) {}

  util::LineColumn at(std::size_t offset) {
    for (; m_offset < offset && m_offset < m_text.size(); ++m_offset) {
      if (m_text[m_offset] == '\n') {
        ++m_position.line;
        m_position.column = 1;
      } else if ((static_cast<unsigned char>(m_text[m_offset]) & 0xC0U) != 0x80U) {
        ++m_position.column;
      }
    }
    // Inside a character (after its first byte) the column has been counted already.
    return m_position;
  }

 private:
  std::string_view m_text;
  std::size_t m_offset = 0;
  util::LineColumn m_position;
};

// ---------------------------------------------------------------------------------------------------------------------
// Splitting by tokens

struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct CopyData {
  Range lines;  ///< with the \. line
  Range data;   ///< without it
};

struct Problem {
  std::size_t offset = 0;
  std::string message;
  std::string hint;
};

/// What the tokens say about a script. Also finds the parts that are not SQL, which the parser must not see.
struct LexicalSplit {
  std::vector<Range> statements;
  std::vector<CopyData> copies;
  std::vector<Range> psql_lines;
  std::vector<Problem> problems;
};

class LexicalSplitter {
 public:
  explicit LexicalSplitter(std::string_view text) : m_text(text), m_lexer(text) {}

  LexicalSplit run() {
    for (Token token = m_lexer.next(); token.kind != Token::Kind::end; token = m_lexer.next()) {
      take(token);
    }
    if (m_now.copies_from_stdin) {
      problem(m_now.begin, "COPY ... FROM STDIN without data", k_copy_hint);
    }
    finish_statement();
    return std::move(m_result);
  }

 private:
  static constexpr std::size_t k_none = std::string_view::npos;
  static constexpr std::string_view k_copy_hint =
      "End the statement with a semicolon, put the data on the lines below it, and end the data with a line of \\. "
      "alone.";

  /// The statement whose end has not come yet.
  struct Current {
    std::size_t begin = k_none;
    std::size_t end = 0;
    bool is_create = false;   ///< so far: CREATE [OR REPLACE]
    bool is_rule = false;     ///< CREATE RULE ... DO ALSO (a; b)
    bool is_routine = false;  ///< CREATE FUNCTION ... BEGIN ATOMIC a; b; END
    bool is_copy = false;
    bool copies_from_stdin = false;
    bool in_atomic_body = false;
    std::size_t depth = 0;
    std::string_view previous;  ///< the text of the token before
  };

  void take(const Token& token) {
    switch (token.kind) {
      case Token::Kind::semicolon: take_semicolon(token); return;
      case Token::Kind::backslash: take_psql_line(token.begin); return;
      case Token::Kind::unterminated:
        problem(token.begin, fmt::format("unterminated {}", token.missing),
                "Everything from here to the end of the file belongs to it; close it where it should end.");
        break;
      case Token::Kind::open: ++m_now.depth; break;
      case Token::Kind::close: m_now.depth -= m_now.depth == 0 ? 0U : 1U; break;
      case Token::Kind::word: take_word(m_text.substr(token.begin, token.end - token.begin)); break;
      case Token::Kind::name:
      case Token::Kind::string:
      case Token::Kind::other: m_now.is_create = false; break;
      case Token::Kind::end: return;
    }
    if (m_now.begin == k_none) {
      m_now.begin = token.begin;
    }
    m_now.end = token.end;
    m_now.previous = m_text.substr(token.begin, token.end - token.begin);
  }

  void take_word(std::string_view word) {
    if (m_now.begin == k_none) {
      m_now.is_create = equals_ignoring_case(word, "CREATE");
      m_now.is_copy = equals_ignoring_case(word, "COPY");
      return;
    }
    if (m_now.is_create && !equals_ignoring_case(word, "OR") && !equals_ignoring_case(word, "REPLACE")) {
      m_now.is_create = false;
      m_now.is_rule = equals_ignoring_case(word, "RULE");
      m_now.is_routine = equals_ignoring_case(word, "FUNCTION") || equals_ignoring_case(word, "PROCEDURE");
    }
    if (m_now.depth != 0) {
      return;
    }
    if (m_now.is_copy && equals_ignoring_case(word, "STDIN") && equals_ignoring_case(m_now.previous, "FROM")) {
      m_now.copies_from_stdin = true;
    }
    if (m_now.is_routine && equals_ignoring_case(word, "ATOMIC") && equals_ignoring_case(m_now.previous, "BEGIN")) {
      m_now.in_atomic_body = true;
    } else if (m_now.in_atomic_body && equals_ignoring_case(word, "END") &&
               (m_now.previous == ";" || equals_ignoring_case(m_now.previous, "ATOMIC"))) {
      // Each statement of the body ends with a semicolon, so the END of a CASE never follows one.
      m_now.in_atomic_body = false;
    }
  }

  void take_semicolon(const Token& token) {
    if (m_now.in_atomic_body || (m_now.is_rule && m_now.depth > 0)) {
      m_now.end = token.end;
      m_now.previous = ";";
      return;
    }
    const bool copies = m_now.copies_from_stdin;
    const std::size_t begin = m_now.begin;
    finish_statement();
    if (copies) {
      take_copy_data(begin, token.end);
    }
  }

  void finish_statement() {
    if (m_now.begin != k_none) {
      m_result.statements.push_back({m_now.begin, m_now.end});
    }
    m_now = Current{};
  }

  [[nodiscard]] std::size_t behind_line(std::size_t at) const {
    const std::size_t newline = m_text.find('\n', at);
    return newline == k_none ? m_text.size() : newline + 1;
  }

  /// \p at is behind the semicolon of COPY ... FROM STDIN, which starts at \p statement.
  void take_copy_data(std::size_t statement, std::size_t at) {
    const std::size_t first = behind_line(at);
    const std::string_view rest = util::trim(m_text.substr(at, first - at));
    if (!rest.empty() && !rest.starts_with("--")) {
      problem(at, "text behind COPY ... FROM STDIN; on the same line", k_copy_hint);
    }
    for (std::size_t line = first; line < m_text.size();) {
      const std::size_t next = behind_line(line);
      std::string_view content = m_text.substr(line, next - line);
      content = content.substr(0, content.find_first_of("\r\n"));
      if (content == "\\.") {
        m_result.copies.push_back({{first, next}, {first, line}});
        m_lexer.jump_to(next);
        return;
      }
      line = next;
    }
    problem(statement, "COPY ... FROM STDIN without a line of \\. that ends its data", k_copy_hint);
    m_result.copies.push_back({{first, m_text.size()}, {first, m_text.size()}});
    m_lexer.jump_to(m_text.size());
  }

  /// A backslash outside of quotes is never SQL. pg_dump's \restrict lines say nothing that matters here.
  void take_psql_line(std::size_t begin) {
    const std::size_t end = std::min(m_text.find_first_of("\r\n", begin), m_text.size());
    const std::string_view line = m_text.substr(begin, end - begin);
    const std::string_view command = line.substr(0, line.find_first_of(" \t"));
    const bool harmless = command == "\\restrict" || command == "\\unrestrict";
    if (!harmless || m_now.begin != k_none) {
      problem(begin, fmt::format("{} is a psql command, not SQL", util::shorten(command, 40)), psql_hint(command));
    }
    m_result.psql_lines.push_back({begin, end});
    m_lexer.jump_to(end);
  }

  static std::string psql_hint(std::string_view command) {
    if (command == "\\i" || command == "\\ir" || command == "\\include" || command == "\\include_relative") {
      return "Lockkeeper runs plain SQL; put the other file's statements here.";
    }
    if (command == "\\copy") {
      return "Lockkeeper runs plain SQL; write COPY ... FROM STDIN; with the data below it, or INSERT.";
    }
    if (command == "\\.") {
      return "It ends the data of COPY ... FROM STDIN; and there is none here.";
    }
    return "Lockkeeper runs plain SQL; remove the line.";
  }

  void problem(std::size_t offset, std::string message, std::string_view hint) {
    if (m_result.problems.size() < k_max_problems) {
      m_result.problems.push_back({offset, std::move(message), std::string(hint)});
    }
  }

  std::string_view m_text;
  Lexer m_lexer;
  Current m_now;
  LexicalSplit m_result;
};

/// The SQL alone, at the same offsets: what is not SQL becomes white space.
std::string masked(std::string_view text, const LexicalSplit& lexical) {
  std::string result(text);
  const auto blank = [&](const Range& range) {
    std::fill(result.begin() + static_cast<std::ptrdiff_t>(range.begin),
              result.begin() + static_cast<std::ptrdiff_t>(range.end), ' ');
  };
  for (const CopyData& copy : lexical.copies) {
    blank(copy.lines);
  }
  for (const Range& line : lexical.psql_lines) {
    blank(line);
  }
  return result;
}

// ---------------------------------------------------------------------------------------------------------------------
// libpg_query

/// From the first token to the end of the last in \p range.
Range trim_to_tokens(std::string_view text, Range range) {
  Lexer lexer(text.substr(0, range.end), range.begin);
  const Token first = lexer.next();
  Range result{first.begin, first.end};
  for (Token token = first; token.kind != Token::Kind::end; token = lexer.next()) {
    result.end = token.end;
  }
  return result;
}

/// nullopt: the parser does not know all of \p sql.
std::optional<std::vector<Range>> split_by_parser(const std::string& sql) {
  const ParserSplit split(pg_query_split_with_parser(sql.c_str()));
  if (split->error != nullptr) {
    return std::nullopt;
  }
  std::vector<Range> ranges;
  for (const PgQuerySplitStmt* statement : std::span(split->stmts, static_cast<std::size_t>(split->n_stmts))) {
    const auto begin = static_cast<std::size_t>(statement->stmt_location);
    const auto length = static_cast<std::size_t>(statement->stmt_len);
    ranges.push_back(trim_to_tokens(sql, {begin, length == 0 ? sql.size() : begin + length}));
  }
  return ranges;
}

bool is_known(const std::string& sql) {
  const ParserSplit split(pg_query_split_with_parser(sql.c_str()));
  return split->error == nullptr;
}

// ---------------------------------------------------------------------------------------------------------------------
// Putting it together

std::vector<Piece> cover(std::size_t size, std::span<const Range> statements, const LexicalSplit& lexical) {
  std::vector<Piece> parts;
  for (const Range& range : statements) {
    parts.push_back({Piece::What::statement, range.begin, range.end});
  }
  for (const CopyData& copy : lexical.copies) {
    parts.push_back({Piece::What::copy_data, copy.lines.begin, copy.lines.end});
  }
  // A psql line in the middle of a statement is a problem and part of the statement.
  for (const Range& line : lexical.psql_lines) {
    const auto next = std::upper_bound(statements.begin(), statements.end(), line.begin,
                                       [](std::size_t at, const Range& range) { return at < range.begin; });
    if (next == statements.begin() || std::prev(next)->end <= line.begin) {
      parts.push_back({Piece::What::ignored, line.begin, line.end});
    }
  }
  std::sort(parts.begin(), parts.end(), [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  std::vector<Piece> pieces;
  std::size_t at = 0;
  for (const Piece& part : parts) {
    if (part.end == part.begin) {
      continue;
    }
    if (part.begin > at) {
      pieces.push_back({Piece::What::blank, at, part.begin});
    }
    pieces.push_back(part);
    at = part.end;
  }
  if (at < size) {
    pieces.push_back({Piece::What::blank, at, size});
  }
  return pieces;
}

util::ErrorInfo to_error(std::string_view text, const std::string& file, const Problem& problem) {
  const util::LineColumn at = util::line_column(text, problem.offset);
  util::ErrorInfo info;
  info.outcome = util::Outcome::migration_files;
  info.message = problem.message;
  info.hint = problem.hint;
  info.where = util::SourcePosition{file, at.line, at.column};
  info.excerpt = util::excerpt(text, at);
  return info;
}

std::optional<Problem> unsuitable(std::string_view text) {
  if (text.size() > k_max_text) {
    return Problem{0, fmt::format("larger than {} MiB", k_max_text / 1024 / 1024), {}};
  }
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    return Problem{nul, "NUL byte", "Save the file as UTF-8 text."};
  }
  if (!util::is_valid_utf8(text)) {
    return Problem{0, "not valid UTF-8", "Save the file as UTF-8 text."};
  }
  return std::nullopt;
}

/// Each checksum is over the one before and the statement, so that a resumed file is known to start as it did. Line
/// ends do not count, as in the checksum of the file.
void chain_checksums(std::string_view text, std::vector<Statement>& statements) {
  std::string chain;
  for (Statement& statement : statements) {
    chain += '\n';
    chain += text.substr(statement.begin, statement.end - statement.begin);
    if (statement.copy_data) {
      chain += '\n';
      chain += text.substr(statement.copy_data->first, statement.copy_data->second - statement.copy_data->first);
    }
    chain = script_checksum(chain);
    statement.prefix_checksum = chain;
  }
}

/// Data belongs to the last statement that ends before it.
void assign_copy_data(std::vector<Statement>& statements, std::span<const CopyData> copies) {
  auto next = statements.begin();
  for (const CopyData& copy : copies) {
    while (next != statements.end() && next->end <= copy.lines.begin) {
      ++next;
    }
    if (next != statements.begin()) {
      std::prev(next)->copy_data = {copy.data.begin, copy.data.end};
    }
  }
}

}  // namespace

std::string_view grammar_version() {
  return PG_VERSION;
}

SplitResult split(std::string_view text, const std::string& file) {
  SplitResult result;
  if (const std::optional<Problem> problem = unsuitable(text)) {
    result.problems.push_back(to_error(text, file, *problem));
    result.pieces = cover(text.size(), {}, {});
    return result;
  }
  const LexicalSplit lexical = LexicalSplitter(text).run();
  for (const Problem& problem : lexical.problems) {
    result.problems.push_back(to_error(text, file, problem));
  }
  const std::string sql = masked(text, lexical);
  // The parser has nothing to say about a file that is refused anyway, and would need time in the square of its size
  // for a comment that is opened again and again.
  const bool parse = lexical.problems.empty();
  const std::optional<std::vector<Range>> parsed = parse ? split_by_parser(sql) : std::nullopt;
  const std::vector<Range>& ranges = parsed ? *parsed : lexical.statements;
  PositionCounter positions(text);
  for (const Range& range : ranges) {
    const std::string statement_sql = sql.substr(range.begin, range.end - range.begin);
    Statement statement = describe(statement_sql, parsed.has_value() || (parse && is_known(statement_sql)));
    const util::LineColumn at = positions.at(range.begin);
    statement.begin = range.begin;
    statement.end = range.end;
    statement.line = at.line;
    statement.column = at.column;
    result.statements.push_back(std::move(statement));
  }
  assign_copy_data(result.statements, lexical.copies);
  chain_checksums(text, result.statements);
  result.pieces = cover(text.size(), ranges, lexical);
  return result;
}

std::vector<std::pair<std::size_t, std::size_t>> split_lexically(std::string_view text) {
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const Range& range : LexicalSplitter(text).run().statements) {
    ranges.emplace_back(range.begin, range.end);
  }
  return ranges;
}

}  // namespace lockkeeper::files
