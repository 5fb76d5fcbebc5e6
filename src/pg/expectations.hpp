/// \file
/// Expectations as catalog queries, and their answers judged: expected and found, in words.
///
/// Names go to the server as parameters or quoted; only free SQL expectations are sent as written.
/// Sources: https://www.postgresql.org/docs/current/catalogs.html
#pragma once

#include <string>

#include "core/expectation.hpp"
#include "pg/connection.hpp"

namespace lockkeeper::pg {

struct Check {
  std::string sql;
  std::vector<Batch::Parameter> parameters;
};

/// The query for one expectation. Returns no row when the object is absent.
Check make_check(const core::Expectation& expectation);

/// A check whose outcome the server knows too.
struct AssertedCheck {
  Check check;        ///< answers as make_check()'s
  std::string holds;  ///< SQL expression for later in the same transaction: true only if judge() says that it holds
};
/// `holds` is the stricter one: a default that is the same but for its spelling may hold for judge() alone.
/// \p number: of the expectation in its transaction.
AssertedCheck make_asserted_check(const core::Expectation& expectation, std::size_t number);
/// \p result: the answer to make_check().
core::ExpectationResult judge(const core::Expectation& expectation, const Result& result);

/// A type name as format_type() would show it: "INT4" -> "integer", "varchar(20)" -> "character varying(20)",
/// "timestamp(3)" -> "timestamp(3) without time zone". Unknown names keep their case and lose their quotes.
std::string normalise_type(std::string_view type);

}  // namespace lockkeeper::pg
