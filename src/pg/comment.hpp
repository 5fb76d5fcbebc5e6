/// \file
/// The comment behind each statement of a migration, by which pg_stat_activity, the server's log and auto_explain lead
/// back to the run: who, which migration, which trace.
///
/// In the form of sqlcommenter: key='value', sorted, percent-encoded, behind the statement, so that positions in error
/// messages stay right. What the database keeps of a statement (function bodies, views) does not have it.
/// Source: https://google.github.io/sqlcommenter/spec/
#pragma once

#include <string>
#include <string_view>

namespace lockkeeper::pg {

/// Every comment begins so. The line feed ends a line comment that the statement may end with.
inline constexpr std::string_view k_comment_begin = "\n/*application='lockkeeper'";

/// \p traceparent: W3C, of the run; empty = not traced.
std::string statement_comment(std::string_view tool_version, std::string_view migration, std::string_view traceparent);

}  // namespace lockkeeper::pg
