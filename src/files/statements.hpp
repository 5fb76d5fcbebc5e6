/// \file
/// Splits an SQL script into statements and says what PostgreSQL's own grammar knows about each.
///
/// Stands on libpg_query: its parser (pg_query_split_with_parser, pg_query_parse) where it knows the syntax, else the
/// tokens of files/lexer.hpp. Never pg_query_split_with_scanner: it drops statements without a keyword and cuts BEGIN
/// ATOMIC bodies. A statement that the grammar does not know is not an error: a newer server may.
/// Not for: validating SQL, rewriting it.
/// Source: https://github.com/pganalyze/libpg_query
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/migration.hpp"
#include "util/error.hpp"

namespace lockkeeper::files {

/// The version of PostgreSQL whose grammar the parser knows: "15.1".
std::string_view grammar_version();

/// A stretch of the file. The pieces, in order, cover it without gap or overlap.
struct Piece {
  enum class What {
    blank,      ///< white space, comments, semicolons
    statement,  ///< one statement, from its first token to its last
    copy_data,  ///< the lines after COPY ... FROM STDIN; up to and including the \. line
    ignored,    ///< \restrict and \unrestrict lines of pg_dump; other psql lines, which are problems
  };
  What what = What::blank;
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct SplitResult {
  std::vector<Piece> pieces;
  std::vector<core::Statement> statements;  ///< facts filled, prefix_checksum included
  std::vector<util::ErrorInfo> problems;    ///< unterminated quote, psql meta command, COPY data without \. ...
};

/// \p file is only for messages. Text with NUL bytes or that is not UTF-8 is one problem and no statement.
SplitResult split(std::string_view text, const std::string& file);

/// Only the statements' byte ranges, by files/lexer.hpp alone: what split() falls back to for text that the parser does
/// not know. On text that it knows the two agree; the tests and the fuzz target assert that.
std::vector<std::pair<std::size_t, std::size_t>> split_lexically(std::string_view text);

}  // namespace lockkeeper::files
