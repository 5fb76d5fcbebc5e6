#include "pg/expectations.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include <fmt/format.h>

#include "util/text.hpp"

namespace lockkeeper::pg {

namespace {

using core::Expectation;
using core::ExpectationResult;

struct TypeAlias {
  std::string_view alias;
  std::string_view name;
  std::string_view after_modifier;  ///< "timestamp(3) without time zone"
};

// https://www.postgresql.org/docs/current/datatype.html, table 8.1
constexpr std::array k_aliases = {
    TypeAlias{"int", "integer", ""},
    TypeAlias{"int4", "integer", ""},
    TypeAlias{"serial", "integer", ""},
    TypeAlias{"serial4", "integer", ""},
    TypeAlias{"int8", "bigint", ""},
    TypeAlias{"bigserial", "bigint", ""},
    TypeAlias{"serial8", "bigint", ""},
    TypeAlias{"int2", "smallint", ""},
    TypeAlias{"smallserial", "smallint", ""},
    TypeAlias{"bool", "boolean", ""},
    TypeAlias{"float", "double precision", ""},
    TypeAlias{"float8", "double precision", ""},
    TypeAlias{"float4", "real", ""},
    TypeAlias{"decimal", "numeric", ""},
    TypeAlias{"varchar", "character varying", ""},
    TypeAlias{"char", "character", ""},
    TypeAlias{"bpchar", "character", ""},
    TypeAlias{"varbit", "bit varying", ""},
    TypeAlias{"timestamp", "timestamp", " without time zone"},
    TypeAlias{"timestamp without time zone", "timestamp", " without time zone"},
    TypeAlias{"timestamptz", "timestamp", " with time zone"},
    TypeAlias{"timestamp with time zone", "timestamp", " with time zone"},
    TypeAlias{"time", "time", " without time zone"},
    TypeAlias{"time without time zone", "time", " without time zone"},
    TypeAlias{"timetz", "time", " with time zone"},
    TypeAlias{"time with time zone", "time", " with time zone"},
};

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

/// One space between words, none around parentheses and commas, no quotes.
std::string squeeze(std::string_view text) {
  std::string result;
  for (const char c : util::trim(text)) {
    const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    if (c == '"') {
      continue;
    }
    if (space) {
      if (!result.empty() && result.back() != ' ' && result.back() != '(' && result.back() != ',') {
        result += ' ';
      }
      continue;
    }
    if ((c == '(' || c == ')' || c == ',' || c == '[') && !result.empty() && result.back() == ' ') {
      result.pop_back();
    }
    result += c;
  }
  return result;
}

std::string or_not(bool yes, std::string_view what) {
  return fmt::format("{}{}", yes ? "" : "not ", what);
}

/// Builds "text, nullable" lists.
class Words {
 public:
  void add(const std::string& word) { m_text += (m_text.empty() ? "" : ", ") + word; }
  [[nodiscard]] const std::string& str() const { return m_text; }

 private:
  std::string m_text;
};

std::string default_words(const std::string& expression) {
  return expression.empty() ? "no default" : "default " + expression;
}

bool same_default(const std::string& expected, const std::string& found) {
  if (squeeze(expected) == squeeze(found)) {
    return true;
  }
  const std::size_t cast = found.rfind("::");  // 'PENDING'::"Status" may be written without its cast
  return cast != std::string::npos && squeeze(expected) == squeeze(found.substr(0, cast));
}

/// Compares what is set in the expectation and collects both sides in words.
class Comparison {
 public:
  void check(bool equal, const std::string& expected, const std::string& found) {
    m_holds = m_holds && equal;
    m_expected.add(expected);
    m_found.add(found);
  }
  void fill(ExpectationResult& result) const {
    result.holds = m_holds;
    result.expected = m_expected.str().empty() ? "present" : m_expected.str();
    result.found = m_found.str().empty() ? "present" : m_found.str();
  }

 private:
  bool m_holds = true;
  Words m_expected;
  Words m_found;
};

std::string column_words(const Expectation& e) {
  Words words;
  if (e.type) {
    words.add(*e.type);
  }
  if (e.nullable) {
    words.add(*e.nullable ? "nullable" : "not null");
  }
  if (e.default_value) {
    words.add(default_words(*e.default_value));
  }
  return words.str().empty() ? "present" : words.str();
}

void judge_column(const Expectation& e, const Result& r, Comparison& comparison) {
  if (e.type) {
    const std::string found = r.text(0, 0);
    const bool same = normalise_type(*e.type) == normalise_type(found) || *e.type == found ||
                      (!r.is_null(0, 3) && r.text(0, 3) == found);
    comparison.check(same, *e.type, found);
  }
  if (e.nullable) {
    const bool nullable = r.boolean(0, 1);
    comparison.check(*e.nullable == nullable, *e.nullable ? "nullable" : "not null",
                     nullable ? "nullable" : "not null");
  }
  if (e.default_value) {
    const std::string found = r.text(0, 2);
    comparison.check(same_default(*e.default_value, found), default_words(*e.default_value), default_words(found));
  }
}

void judge_index(const Expectation& e, const Result& r, Comparison& comparison) {
  const bool valid = r.boolean(0, 0);
  comparison.check(e.valid.value_or(true) == valid, or_not(e.valid.value_or(true), "valid"), or_not(valid, "valid"));
  if (e.unique) {
    const bool unique = r.boolean(0, 1);
    comparison.check(*e.unique == unique, or_not(*e.unique, "unique"), or_not(unique, "unique"));
  }
  if (e.table) {
    comparison.check(r.boolean(0, 2), "on " + e.table->str(), "on " + r.text(0, 3));
  }
}

void judge_enum(const Expectation& e, const Result& r, Comparison& comparison) {
  std::vector<std::string> labels;
  std::string all;
  for (std::size_t row = 0; row < r.rows(); ++row) {
    if (!r.is_null(row, 0)) {
      labels.push_back(r.text(row, 0));
      all += (all.empty() ? "" : ", ") + labels.back();
    }
  }
  std::string wanted;
  bool complete = true;
  for (const std::string& value : e.values) {
    wanted += (wanted.empty() ? "" : ", ") + value;
    complete = complete && std::find(labels.begin(), labels.end(), value) != labels.end();
  }
  comparison.check(complete, "with " + wanted, "with " + all);
}

void judge_sql(const Result& r, ExpectationResult& result) {
  result.expected = "true";
  if (r.number(0, 0) != 1) {
    result.found = fmt::format("{} rows", r.number(0, 0));
    return;
  }
  const std::string value = r.text(0, 1);
  result.holds = value == "t" || value == "true";
  result.found = r.is_null(0, 1) ? "null" : (value == "f" ? "false" : util::shorten(value, 80));
  if (result.holds) {
    result.found = "true";
  }
}

/// The check's query with its parameters as constants, for use within another query. No query has ten of them.
std::string inlined(const Check& check) {
  std::string sql;
  for (std::size_t i = 0; i < check.sql.size(); ++i) {
    const bool parameter = check.sql[i] == '$' && i + 1 < check.sql.size();
    if (!parameter) {
      sql += check.sql[i];
      continue;
    }
    const auto& value = check.parameters[static_cast<std::size_t>(check.sql[++i] - '1')];
    sql += value ? quote_literal(*value) + "::text" : "NULL::text";
  }
  return sql;
}

/// What must hold of the row that the query for \p e returns, as ` (columns) WHERE condition`.
std::string conditions(const Expectation& e) {
  const auto is = [](bool wanted) { return wanted ? "" : "NOT "; };
  std::string where;
  const auto add = [&](const std::string& condition) { where += (where.empty() ? " WHERE " : " AND ") + condition; };
  if (e.absent) {
    return "";
  }
  switch (e.kind) {
    case Expectation::Kind::column:
      if (e.type) {
        add(fmt::format("(c.type IN ({}, {}) OR c.known_type = c.type)", quote_literal(*e.type),
                        quote_literal(normalise_type(*e.type))));
      }
      if (e.nullable) {
        add(fmt::format("{}c.nullable", is(*e.nullable)));
      }
      if (e.default_value) {  // or the same with a cast behind it
        const std::string wanted = quote_literal(*e.default_value);
        const std::string cast = quote_literal(*e.default_value + "::");
        add(
            fmt::format("(c.default_value = {0} OR (pg_catalog.strpos(c.default_value, {1}) = 1 AND "
                        "pg_catalog.strpos(pg_catalog.substr(c.default_value, pg_catalog.length({1}) + 1), '::') = 0))",
                        wanted, cast));
      }
      return "(type, nullable, default_value, known_type)" + where;
    case Expectation::Kind::index:
      add(fmt::format("{}c.valid", is(e.valid.value_or(true))));
      if (e.unique) {
        add(fmt::format("{}c.is_unique", is(*e.unique)));
      }
      if (e.table) {
        add("c.on_table");
      }
      return "(valid, is_unique, on_table, table_name)" + where;
    case Expectation::Kind::constraint:
      add(fmt::format("{}c.validated", is(e.validated.value_or(true))));
      return "(validated)" + where;
    case Expectation::Kind::table:
    case Expectation::Kind::enum_type:
    case Expectation::Kind::sql: return "";
  }
  return "";
}

/// "('a'), ('b')"
std::string values_of(const Expectation& e) {
  std::string values;
  for (const std::string& value : e.values) {
    values += fmt::format("{}({})", values.empty() ? "" : ", ", quote_literal(value));
  }
  return values;
}

}  // namespace

std::string normalise_type(std::string_view type) {
  std::string text = squeeze(type);
  std::string array;
  while (text.ends_with("]")) {
    const std::size_t open = text.rfind('[');
    if (open == std::string::npos) {
      break;
    }
    text.erase(open);
    array += "[]";  // PostgreSQL does not keep array sizes
  }
  std::string modifier;
  const std::size_t open = text.find('(');
  const std::size_t close = text.find(')');
  std::string base = text;
  if (open != std::string::npos && close != std::string::npos && close > open) {
    modifier = text.substr(open, close - open + 1);
    base = squeeze(text.substr(0, open) + " " + text.substr(close + 1));
  }
  const std::string folded = lower(base);
  for (const TypeAlias& alias : k_aliases) {
    if (folded == alias.alias) {
      return fmt::format("{}{}{}{}", alias.name, modifier, alias.after_modifier, array);
    }
  }
  // Built-in names are lower case; anything else may be a quoted camelCase type of Prisma's.
  const bool builtin = folded == "text" || folded == "integer" || folded == "bigint" || folded == "smallint" ||
                       folded == "boolean" || folded == "real" || folded == "double precision" || folded == "numeric" ||
                       folded == "character varying" || folded == "character" || folded == "bytea" ||
                       folded == "uuid" || folded == "json" || folded == "jsonb" || folded == "date" ||
                       folded == "interval" || folded == "bit" || folded == "bit varying" || folded == "inet" ||
                       folded == "cidr";
  return (builtin ? folded : base) + modifier + array;
}

Check make_check(const Expectation& e) {
  switch (e.kind) {
    case Expectation::Kind::column:
      // to_regtype() of the expected type settles names that only the server knows (domains, schemas, enums).
      return {
          "SELECT pg_catalog.format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, "
          "coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), ''), "
          "CASE WHEN $3 ~ '[(]' THEN NULL ELSE "
          "pg_catalog.format_type(pg_catalog.to_regtype(pg_catalog.quote_ident(nullif($3, ''))), "
          "NULL) END "
          "FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = "
          "a.attnum WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = $2 AND a.attnum > 0 AND NOT "
          "a.attisdropped",
          {e.object.quoted(), e.member, e.type.value_or("")}};
    case Expectation::Kind::table:
      return {
          "SELECT 1 FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass($1) AND relkind IN "
          "('r', 'p', 'v', 'm', 'f')",
          {e.object.quoted()}};
    case Expectation::Kind::index:
      return {
          "SELECT i.indisvalid AND i.indisready, i.indisunique, i.indrelid = pg_catalog.to_regclass($2), "
          "i.indrelid::pg_catalog.regclass::text FROM pg_catalog.pg_index i WHERE i.indexrelid = "
          "pg_catalog.to_regclass($1)",
          {e.object.quoted(), e.table ? Batch::Parameter(e.table->quoted()) : std::nullopt}};
    case Expectation::Kind::constraint:
      return {
          "SELECT c.convalidated FROM pg_catalog.pg_constraint c WHERE c.conrelid = pg_catalog.to_regclass($1) AND "
          "c.conname = $2",
          {e.object.quoted(), e.member}};
    case Expectation::Kind::enum_type:
      return {
          "SELECT e.enumlabel FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_enum e ON e.enumtypid = t.oid WHERE "
          "t.oid = pg_catalog.to_regtype($1) AND t.typtype = 'e' ORDER BY e.enumsortorder",
          {e.object.quoted()}};
    case Expectation::Kind::sql:
      // How many rows, and of one row the first column as it is shown. The line feed ends a comment in the text.
      return {
          fmt::format("SELECT r.rows, r.value FROM (SELECT pg_catalog.count(*) AS rows, pg_catalog.min(CASE WHEN q.f "
                      "IS NOT NULL THEN pg_catalog.format('%s', q.f) END) AS value FROM ({}\n) AS q(f)) r",
                      e.sql),
          {}};
  }
  return {};
}

AssertedCheck make_asserted_check(const Expectation& e, std::size_t number) {
  Check check = make_check(e);
  if (e.kind == Expectation::Kind::sql) {  // asked once: it may take long, or answer differently
    const std::string setting = fmt::format("'lockkeeper.expectation_{}'", number);
    check.sql = fmt::format(
        "SELECT a.*, pg_catalog.set_config({}, CASE WHEN a.rows = 1 AND a.value IN ('t', 'true') THEN 'holds' ELSE "
        "'broken' END, true) FROM ({}) a",
        setting, check.sql);
    return {.check = std::move(check), .holds = fmt::format("pg_catalog.current_setting({}) = 'holds'", setting)};
  }
  const std::string found = inlined(check);
  std::string holds = fmt::format("{}EXISTS (SELECT FROM ({}) AS c{})", e.absent ? "NOT " : "", found, conditions(e));
  if (e.kind == Expectation::Kind::enum_type && !e.absent && !e.values.empty()) {
    holds += fmt::format(
        " AND NOT EXISTS (SELECT FROM (VALUES {}) AS v(label) WHERE v.label NOT IN (SELECT c.label "
        "FROM ({}) AS c(label) WHERE c.label IS NOT NULL))",
        values_of(e), found);
  }
  return {.check = std::move(check), .holds = std::move(holds)};
}

ExpectationResult judge(const Expectation& e, const Result& result) {
  ExpectationResult judged{.expectation = e, .version = {}};
  judged.expected = e.absent ? "absent" : "present";
  if (!result.ok()) {
    judged.found = result.status() == Result::Status::failed
                       ? fmt::format("an error: {} (SQLSTATE {})", result.error().message, result.error().sqlstate)
                       : "not looked at, because an earlier check failed";
    return judged;
  }
  if (e.kind == Expectation::Kind::sql) {
    judge_sql(result, judged);
    return judged;
  }
  const bool present = result.rows() > 0;
  if (e.absent) {
    judged.holds = !present;
    judged.found = present ? "present" : "absent";
    return judged;
  }
  Comparison comparison;
  switch (e.kind) {
    case Expectation::Kind::column:
      if (present) {
        judge_column(e, result, comparison);
      } else {  // say what was expected all the same
        judged.expected = column_words(e);
      }
      break;
    case Expectation::Kind::index:
      if (present) {
        judge_index(e, result, comparison);
      }
      break;
    case Expectation::Kind::constraint:
      if (present) {
        const bool wanted = e.validated.value_or(true);
        comparison.check(wanted == result.boolean(0, 0), or_not(wanted, "validated"),
                         or_not(result.boolean(0, 0), "validated"));
      }
      break;
    case Expectation::Kind::enum_type:
      if (present) {
        judge_enum(e, result, comparison);
      }
      break;
    case Expectation::Kind::table:
    case Expectation::Kind::sql: break;
  }
  if (!present) {
    judged.holds = false;
    judged.found = "absent";
    return judged;
  }
  comparison.fill(judged);
  return judged;
}

}  // namespace lockkeeper::pg
