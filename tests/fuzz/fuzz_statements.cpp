/// \file
/// Any text: the pieces cover it; where the parser knows it, the statements are the parser's, by its own word and by
/// our lexer's; the lexer's tokens are the scanner's; and what is told of a statement fits together.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <pg_query.h>

#include "files/lexer.hpp"
#include "files/rules.hpp"
#include "files/statements.hpp"

using namespace lockkeeper;

namespace {

using Ranges = std::vector<std::pair<std::size_t, std::size_t>>;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check_cover(std::string_view sql, const files::SplitResult& result) {
  std::size_t at = 0;
  std::size_t statements = 0;
  for (const files::Piece& piece : result.pieces) {
    require(piece.begin == at && piece.end > piece.begin);
    at = piece.end;
    if (piece.what == files::Piece::What::statement) {
      const core::Statement& statement = result.statements.at(statements++);
      require(statement.begin == piece.begin && statement.end == piece.end);
      require(statement.line > 0 && statement.column > 0 && !statement.kind.empty());
    }
  }
  require(at == sql.size() && statements == result.statements.size());
}

/// \p script: with its statements.
void check_facts(core::Script script) {
  std::vector<util::ErrorInfo> problems;
  files::check_statements(script, problems);
  files::check_transaction(script, files::TransactionMode::automatic, problems);
  for (const util::ErrorInfo& problem : problems) {
    require(problem.where && problem.where->line > 0 && !problem.message.empty() && !problem.hint.empty());
  }
  for (const bool without_transaction : {false, true}) {
    if (without_transaction) {
      files::use_no_transaction(script);
    }
    for (const core::Statement& statement : script.statements) {
      require(statement.footprint.has_value() == !statement.in_transaction);
      if (statement.footprint) {
        require(script.statement_text(statement).ends_with(statement.footprint->definition));
      }
    }
  }
}

Ranges ranges_of(const files::SplitResult& result) {
  Ranges ranges;
  for (const core::Statement& statement : result.statements) {
    ranges.emplace_back(statement.begin, statement.end);
  }
  return ranges;
}

/// Every statement of libpg_query holds exactly one of ours.
void check_against_parser(const std::string& sql, const Ranges& ranges) {
  const PgQuerySplitResult split = pg_query_split_with_parser(sql.c_str());
  if (split.error == nullptr) {
    require(static_cast<std::size_t>(split.n_stmts) == ranges.size());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
      const auto begin = static_cast<std::size_t>(split.stmts[i]->stmt_location);
      const auto length = static_cast<std::size_t>(split.stmts[i]->stmt_len);
      require(begin <= ranges[i].first && (length == 0 || ranges[i].second <= begin + length));
    }
  }
  pg_query_free_split_result(split);
}

/// A varint of the protocol buffers wire format.
std::uint64_t take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) {
      break;
    }
  }
  return value;
}

/// start (field 1) and end (field 2) of each ScanToken in ScanResult.tokens (field 2); the rest is skipped.
Ranges decode_tokens(std::string_view bytes) {
  Ranges tokens;
  while (!bytes.empty()) {
    const std::uint64_t tag = take_varint(bytes);
    if ((tag & 7U) != 2) {
      take_varint(bytes);
      continue;
    }
    const std::size_t length = take_varint(bytes);
    std::string_view token = bytes.substr(0, length);
    bytes.remove_prefix(length);
    std::pair<std::size_t, std::size_t> range;
    while (!token.empty()) {
      const std::uint64_t field = take_varint(token) >> 3U;
      const std::uint64_t value = take_varint(token);
      range.first = field == 1 ? value : range.first;
      range.second = field == 2 ? value : range.second;
    }
    tokens.push_back(range);
  }
  return tokens;
}

/// Each of our tokens lies within one token of the scanner (which puts 'a' <newline> 'b' together), and both see the
/// same semicolons.
void check_against_scanner(const std::string& sql) {
  // libpg_query 15 does not continue a string behind a comment, as the server and our lexer do, and its ranges of
  // U&'...' and U&"..." are wrong. A vertical tab is white space from PostgreSQL 16 on.
  if (sql.find("--") != std::string::npos || sql.find_first_of("&\v") != std::string::npos) {
    return;
  }
  const PgQueryScanResult scan = pg_query_scan(sql.c_str());
  if (scan.error == nullptr) {
    const Ranges tokens = decode_tokens({scan.pbuf.data, scan.pbuf.len});
    files::Lexer lexer(sql);
    auto at = tokens.begin();
    for (files::Token token = lexer.next(); token.kind != files::Token::Kind::end; token = lexer.next()) {
      require(token.kind != files::Token::Kind::unterminated);
      const bool is_national =
          token.kind == files::Token::Kind::string && (sql[token.begin] == 'N' || sql[token.begin] == 'n');
      const std::size_t begin = token.begin + (is_national ? 1 : 0);  // the scanner makes NCHAR and a string of it
      while (at != tokens.end() && at->second <= begin) {
        require(sql.substr(at->first, at->second - at->first) != ";" || token.kind == files::Token::Kind::semicolon ||
                at->second <= token.begin);
        ++at;
      }
      require(at != tokens.end());
      const bool is_operator = token.kind == files::Token::Kind::other;
      require(is_operator || (at->first <= begin && token.end <= at->second));
      require((token.kind == files::Token::Kind::semicolon) == (sql.substr(at->first, at->second - at->first) == ";"));
    }
  }
  pg_query_free_scan_result(scan);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string sql(data, data + size);
  const files::SplitResult result = files::split(sql, "fuzz.sql");
  check_cover(sql, result);
  if (!result.problems.empty()) {
    return 0;
  }
  check_facts({.path = "fuzz.sql", .text = sql, .statements = result.statements});
  const Ranges ranges = ranges_of(result);
  require(ranges == files::split_lexically(sql));
  bool plain = true;  // nothing in it that only psql reads
  for (const files::Piece& piece : result.pieces) {
    plain = plain && (piece.what == files::Piece::What::blank || piece.what == files::Piece::What::statement);
  }
  if (plain) {
    check_against_parser(sql, ranges);
    check_against_scanner(sql);
  }
  return 0;
}
