#include "files/rules.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "files/words.hpp"
#include "util/text.hpp"

namespace lockkeeper::files {

namespace {

using core::Footprint;
using core::Script;
using core::Statement;
using util::ErrorInfo;

ErrorInfo statement_problem(const Script& script, const Statement& statement, std::string message, std::string hint) {
  const util::LineColumn at{statement.line, statement.column};
  ErrorInfo info;
  info.outcome = util::Outcome::migration_files;
  info.message = std::move(message);
  info.hint = std::move(hint);
  info.where = util::SourcePosition{script.path, at.line, at.column};
  info.excerpt = util::excerpt(script.text, at);
  return info;
}

bool refused_in_transaction(const Statement& statement) {
  return !statement.in_transaction;
}

bool is_unnamed_concurrent_index(const Statement& statement) {
  return statement.footprint && statement.footprint->kind == Footprint::Kind::create_index &&
         statement.footprint->object.name.empty();
}

/// ALTER TYPE name ADD VALUE [IF NOT EXISTS] 'value'
std::optional<std::string> added_enum_value(std::string_view sql) {
  Cursor at(sql);
  at.next();
  at.next();
  if (!at.object_name() || !at.skip("ADD") || !at.skip("VALUE")) {
    return std::nullopt;
  }
  if (at.skip("IF")) {
    at.skip("NOT");
    at.skip("EXISTS");
  }
  return at.kind() == Token::Kind::string ? string_of(at.text()) : std::nullopt;
}

bool has_literal(std::string_view sql, const std::string& value) {
  for (Cursor at(sql); !at.at_end(); at.next()) {
    if (at.kind() == Token::Kind::string && string_of(at.text()) == value) {
      return true;
    }
  }
  return false;
}

/// The type of \p statement, ALTER TYPE, is made by a statement before it: then newer servers allow its values at once.
bool makes_type_itself(const Script& script, const Statement& statement) {
  const auto type_of = [&](const Statement& s) {
    Cursor at(script.statement_text(s));
    at.next();
    at.next();
    return at.object_name();
  };
  return std::any_of(script.statements.begin(), script.statements.end(), [&](const Statement& other) {
    return other.begin < statement.begin && other.kind == "CREATE TYPE" && type_of(other) == type_of(statement);
  });
}

/// Source: https://www.postgresql.org/docs/current/sql-altertype.html, Notes
void check_new_enum_values(const Script& script, std::vector<ErrorInfo>& problems) {
  for (auto adds = script.statements.begin(); adds != script.statements.end(); ++adds) {
    if (adds->kind != "ALTER TYPE" || makes_type_itself(script, *adds)) {
      continue;
    }
    const std::optional<std::string> value = added_enum_value(script.statement_text(*adds));
    const auto uses =
        std::find_if(value ? std::next(adds) : script.statements.end(), script.statements.end(),
                     [&](const Statement& statement) {  // ADD VALUE ... AFTER the new one is fine
                       return statement.kind != "ALTER TYPE" && has_literal(script.statement_text(statement), *value);
                     });
    if (uses != script.statements.end()) {
      problems.push_back(statement_problem(
          script, *uses,
          fmt::format("'{}' cannot be used in the transaction that adds it to an enum (line {})", *value, adds->line),
          "Move ALTER TYPE ... ADD VALUE to an earlier migration of its own; or set transaction: none in "
          "migration.yaml, and each statement commits by itself."));
    }
  }
}

/// COMMIT or ROLLBACK in the body of a DO, or a CALL of something that may have one.
bool may_commit(std::string_view do_statement) {
  for (Cursor at(do_statement); !at.at_end(); at.next()) {
    if (at.kind() != Token::Kind::string) {
      continue;
    }
    for (Cursor body(inside_of_string(at.text())); !body.at_end(); body.next()) {
      if (body.is("COMMIT") || body.is("ROLLBACK") || body.is("CALL")) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

void check_statements(const Script& script, std::vector<ErrorInfo>& problems) {
  for (const Statement& statement : script.statements) {
    if (statement.controls_transaction) {
      problems.push_back(statement_problem(
          script, statement, fmt::format("{} in a migration", statement.kind),
          "Lockkeeper puts a transaction around the file itself; remove this statement. Files that must run without "
          "one say transaction: none in migration.yaml."));
    }
    if (is_unnamed_concurrent_index(statement)) {
      problems.push_back(
          statement_problem(script, statement, "CREATE INDEX CONCURRENTLY without a name for the index",
                            "Name it: when the build is cut, it leaves an INVALID index, which the next run must find "
                            "to drop it and build it again."));
    }
  }
}

bool is_transactional(const Script& up, TransactionMode mode) {
  const auto& statements = up.statements;
  const bool none_can =
      !statements.empty() && std::all_of(statements.begin(), statements.end(), refused_in_transaction);
  return mode == TransactionMode::single || (mode == TransactionMode::automatic && !none_can);
}

void check_transaction(const Script& script, TransactionMode mode, std::vector<ErrorInfo>& problems) {
  const auto first = std::find_if(script.statements.begin(), script.statements.end(), refused_in_transaction);
  if (first != script.statements.end()) {
    problems.push_back(statement_problem(
        script, *first, fmt::format("{} cannot run inside a transaction", first->kind),
        mode == TransactionMode::single
            ? "migration.yaml says transaction: single; move this statement to a migration of its own."
            : "Move it to a migration of its own; or set transaction: none in migration.yaml, and a failure leaves "
              "what ran before it in place."));
  }
  check_new_enum_values(script, problems);
}

void use_no_transaction(Script& script) {
  for (Statement& statement : script.statements) {
    if (!statement.in_transaction) {
      continue;
    }
    const bool rebuilds = statement.kind == "REINDEX" || statement.kind == "CLUSTER" || statement.kind == "REPACK";
    if (rebuilds || statement.kind == "CALL" ||
        (statement.kind == "DO" && may_commit(script.statement_text(statement)))) {
      statement.in_transaction = false;
      statement.footprint = Footprint{.kind = rebuilds ? Footprint::Kind::repeatable : Footprint::Kind::unknown};
    }
  }
}

}  // namespace lockkeeper::files
