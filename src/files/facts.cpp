#include "files/facts.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <pg_query.h>

#include "files/footprint.hpp"
#include "files/lexer.hpp"
#include "files/pg_query_result.hpp"
#include "files/session_effect.hpp"
#include "files/words.hpp"
#include "util/text.hpp"

namespace lockkeeper::files {

namespace {

using core::DataLoss;
using core::ObjectName;
using core::Statement;
using Json = nlohmann::json;

// Writing the tree as JSON recurses in C without a limit: at 32 KiB the deepest expression needs a few MB of stack.
constexpr std::size_t k_max_tree_text = std::size_t{32} * 1024;

/// The one statement of \p sql as {"DropStmt": {...}}; null when the parser does not know it.
Json parse_tree(const std::string& sql) {
  const ParserTree tree(pg_query_parse(sql.c_str()));
  if (tree->error != nullptr || tree->parse_tree == nullptr) {
    return nullptr;
  }
  Json document = Json::parse(tree->parse_tree, nullptr, false);
  if (document.is_discarded() || !document.contains("stmts") || document["stmts"].size() != 1) {
    return nullptr;
  }
  return std::move(document["stmts"][0]["stmt"]);  // a copy would recurse as deep as the tree
}

// ---------------------------------------------------------------------------------------------------------------------
// What kind of statement: by its first words, which need no parser

/// The first tokens in upper case; what is not a word is its first character.
std::vector<std::string> leading_words(std::string_view sql) {
  constexpr std::size_t k_enough = 12;
  std::vector<std::string> words;
  Lexer lexer(sql);
  for (Token token = lexer.next(); token.kind != Token::Kind::end && words.size() < k_enough; token = lexer.next()) {
    const std::string_view text = sql.substr(token.begin, token.end - token.begin);
    words.push_back(token.kind == Token::Kind::word ? to_upper(text) : std::string(text.substr(0, 1)));
  }
  words.resize(k_enough);
  return words;
}

constexpr std::array<std::string_view, 50> k_verbs = {
    "ABORT",    "ANALYSE",   "ANALYZE",    "BEGIN",   "CALL",     "CHECKPOINT", "CLOSE",  "CLUSTER", "COMMENT",
    "COMMIT",   "COPY",      "DECLARE",    "DELETE",  "DISCARD",  "DO",         "END",    "EXECUTE", "EXPLAIN",
    "FETCH",    "GRANT",     "IMPORT",     "INSERT",  "LISTEN",   "LOAD",       "LOCK",   "MERGE",   "MOVE",
    "NOTIFY",   "PREPARE",   "REASSIGN",   "REFRESH", "REINDEX",  "RELEASE",    "REPACK", "RESET",   "REVOKE",
    "ROLLBACK", "SAVEPOINT", "SELECT",     "SET",     "SECURITY", "SHOW",       "START",  "TABLE",   "TRUNCATE",
    "UNLISTEN", "UPDATE",    "DEALLOCATE", "VACUUM",  "VALUES"};

/// What may stand between CREATE and the word that says what is created.
constexpr std::array<std::string_view, 13> k_create_modifiers = {
    "OR",     "REPLACE",   "TEMP",    "TEMPORARY",  "LOCAL",      "GLOBAL", "UNLOGGED",
    "UNIQUE", "RECURSIVE", "TRUSTED", "PROCEDURAL", "CONSTRAINT", "DEFAULT"};

constexpr std::array<std::string_view, 17> k_long_kinds = {"MATERIALIZED VIEW",
                                                           "FOREIGN DATA WRAPPER",
                                                           "FOREIGN TABLE",
                                                           "EVENT TRIGGER",
                                                           "ACCESS METHOD",
                                                           "USER MAPPING",
                                                           "TEXT SEARCH PARSER",
                                                           "TEXT SEARCH DICTIONARY",
                                                           "TEXT SEARCH TEMPLATE",
                                                           "TEXT SEARCH CONFIGURATION",
                                                           "OPERATOR CLASS",
                                                           "OPERATOR FAMILY",
                                                           "DEFAULT PRIVILEGES",
                                                           "LARGE OBJECT",
                                                           "INDEX CONCURRENTLY",
                                                           "PROPERTY GRAPH",
                                                           "OWNED BY"};

/// CREATE, ALTER or DROP and what it is about.
std::string definition_kind(std::span<const std::string> words) {
  std::size_t at = 1;
  while (words[0] == "CREATE" && at + 3 < words.size() && contains(k_create_modifiers, words[at])) {
    ++at;
  }
  const std::string rest = fmt::format("{} ", fmt::join(words.subspan(at, 3), " "));
  for (const std::string_view kind : k_long_kinds) {
    if (rest.starts_with(kind) && rest[kind.size()] == ' ') {
      return fmt::format("{} {}", words[0], kind == "OWNED BY" ? "OWNED" : kind);
    }
  }
  const bool is_word = !words[at].empty() && words[at][0] >= 'A' && words[at][0] <= 'Z';
  return is_word ? words[0] + " " + words[at] : "SQL";
}

/// WITH a AS (...), b AS (...) <verb>: the verb stands behind a parenthesis, unlike the name of a query.
std::string with_kind(std::string_view sql) {
  constexpr std::array<std::string_view, 7> k_queries = {"SELECT", "INSERT", "UPDATE", "DELETE",
                                                         "MERGE",  "VALUES", "TABLE"};
  Lexer lexer(sql);
  std::size_t depth = 0;
  std::string previous;
  for (Token token = lexer.next(); token.kind != Token::Kind::end; token = lexer.next()) {
    std::string word(sql.substr(token.begin, 1));
    if (token.kind == Token::Kind::open) {
      ++depth;
    } else if (token.kind == Token::Kind::close && depth > 0) {
      --depth;
    } else if (token.kind == Token::Kind::word && depth == 0) {
      word = to_upper(sql.substr(token.begin, token.end - token.begin));
      if (contains(k_queries, word) && previous != "WITH" && previous != "RECURSIVE" && previous != ",") {
        return word == "TABLE" ? "SELECT" : word;
      }
    } else if (token.kind == Token::Kind::semicolon) {
      break;
    }
    previous = std::move(word);
  }
  return "SELECT";  // WITH ... (SELECT ...)
}

/// As PostgreSQL's command tags say it, with CONCURRENTLY where that makes the difference. "SQL" = no idea.
std::string kind_of(std::string_view sql, std::span<const std::string> words) {
  const std::string& verb = words[0];
  if (verb == "CREATE" || verb == "ALTER" || verb == "DROP") {
    return definition_kind(words);
  }
  if (verb == "WITH") {
    return with_kind(sql);
  }
  if (verb == "(" || verb == "TABLE") {
    return "SELECT";
  }
  if (verb == "REINDEX" || verb == "REFRESH") {
    const std::string_view name = verb == "REINDEX" ? "REINDEX" : "REFRESH MATERIALIZED VIEW";
    return fmt::format("{}{}", name, contains(words, "CONCURRENTLY") ? " CONCURRENTLY" : "");
  }
  constexpr std::array<std::string_view, 9> k_pairs = {"START TRANSACTION", "PREPARE TRANSACTION", "COMMIT PREPARED",
                                                       "ROLLBACK PREPARED", "ROLLBACK TO",         "REASSIGN OWNED",
                                                       "SECURITY LABEL",    "IMPORT FOREIGN",      "LOCK TABLE"};
  if (const std::string pair = verb + " " + words[1]; contains(k_pairs, pair)) {
    return pair == "IMPORT FOREIGN" ? "IMPORT FOREIGN SCHEMA" : pair;
  }
  return contains(k_verbs, verb) ? verb : "SQL";
}

/// Everything that ends or starts the transaction that Lockkeeper put around the file. Savepoints do not.
bool controls_transaction(std::span<const std::string> words) {
  const std::string& verb = words[0];
  if (verb == "ROLLBACK") {
    const bool has_noise = words[1] == "WORK" || words[1] == "TRANSACTION";
    return words[has_noise ? 2 : 1] != "TO";
  }
  if (verb == "START" || verb == "PREPARE") {
    return words[1] == "TRANSACTION";
  }
  return verb == "BEGIN" || verb == "COMMIT" || verb == "END" || verb == "ABORT";
}

// ---------------------------------------------------------------------------------------------------------------------
// Facts from the parse tree

std::string one_line(std::string_view sql) {
  std::string result;
  for (const char c : sql.substr(0, 400)) {
    const bool blank = c == ' ' || static_cast<unsigned char>(c) < 0x20;
    if (!blank) {
      result += c;
    } else if (!result.empty() && result.back() != ' ') {
      result += ' ';
    }
  }
  return util::shorten(result, 80);
}

void lose_unknown(Statement& statement, std::string summary) {
  statement.losses.push_back({DataLoss::What::unknown, {}, {}, std::move(summary)});
}

std::string text_at(const Json& node, const char* key) {
  const auto found = node.find(key);
  return found != node.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool flag_at(const Json& node, const char* key) {
  const auto found = node.find(key);
  return found != node.end() && found->is_boolean() && found->get<bool>();
}

/// An empty array or object when it is not there, so that one can go on without asking.
const Json& child(const Json& node, const char* key) {
  static const Json k_nothing = Json::object();
  const auto found = node.find(key);
  return found != node.end() ? *found : k_nothing;
}

ObjectName relation_name(const Json& range_var) {
  return {text_at(range_var, "schemaname"), text_at(range_var, "relname")};
}

/// {"List": {"items": [{"String": {"sval": "a"}}, ...]}}: catalog, schema and name, of which the last two count.
ObjectName listed_name(const Json& object) {
  std::vector<std::string> parts;
  for (const Json& item : child(child(object, "List"), "items")) {
    parts.push_back(text_at(child(item, "String"), "sval"));
  }
  if (parts.empty()) {
    return {};
  }
  return {parts.size() > 1 ? parts[parts.size() - 2] : std::string(), parts.back()};
}

/// The value of an option that is a boolean: WITH (connect = off), (CONCURRENTLY), (CONCURRENTLY 0).
std::optional<bool> option(const Json& options, std::string_view name) {
  for (const Json& item : options) {
    const Json& element = child(item, "DefElem");
    if (text_at(element, "defname") != name) {
      continue;
    }
    const Json& value = child(element, "arg");
    if (value.contains("Integer")) {
      return child(value, "Integer").value("ival", 0) != 0;
    }
    if (value.contains("Boolean")) {
      return flag_at(child(value, "Boolean"), "boolval");
    }
    std::string text = text_at(child(value, "String"), "sval");
    for (const Json& word : child(child(value, "TypeName"), "names")) {  // a bare word: off
      text = text_at(child(word, "String"), "sval");
    }
    text = to_upper(text);
    return text != "FALSE" && text != "OFF";
  }
  return std::nullopt;
}

void read_drop(const Json& node, Statement& statement, std::string_view sql) {
  // What can be dropped WITH everything that depends on it and yet takes no table or column along.
  constexpr std::array<std::string_view, 8> k_holds_no_data = {
      "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX",         "OBJECT_TRIGGER",
      "OBJECT_RULE", "OBJECT_POLICY",  "OBJECT_STATISTIC_EXT", "OBJECT_EVENT_TRIGGER"};
  const std::string type = text_at(node, "removeType");
  if (type == "OBJECT_TABLE") {
    for (const Json& object : child(node, "objects")) {
      statement.losses.push_back({DataLoss::What::table, listed_name(object), {}, {}});
    }
  }
  const bool cascades = text_at(node, "behavior") == "DROP_CASCADE" && !contains(k_holds_no_data, type);
  if (cascades || type == "OBJECT_EXTENSION") {
    lose_unknown(statement, one_line(sql));
  }
}

void read_alter_table(const Json& node, Statement& statement, std::string_view sql) {
  const std::string type = text_at(node, "objtype");
  for (const Json& item : child(node, "cmds")) {
    const Json& command = child(item, "AlterTableCmd");
    const std::string subtype = text_at(command, "subtype");
    if (subtype == "AT_DropColumn" && type == "OBJECT_TABLE") {
      statement.losses.push_back(
          {DataLoss::What::column, relation_name(child(node, "relation")), text_at(command, "name"), {}});
    } else if (subtype == "AT_DropColumn" && type == "OBJECT_TYPE") {
      lose_unknown(statement, one_line(sql));
    } else if (subtype == "AT_DetachPartition" && flag_at(child(child(command, "def"), "PartitionCmd"), "concurrent")) {
      statement.in_transaction = false;
    }
  }
}

void read_reindex(const Json& node, Statement& statement) {
  const std::string kind = text_at(node, "kind");
  const bool concurrently = option(child(node, "params"), "concurrently").value_or(false);
  const bool one_object = kind == "REINDEX_OBJECT_INDEX" || kind == "REINDEX_OBJECT_TABLE";
  statement.in_transaction = one_object && !concurrently;
}

void read_truncate(const Json& node, Statement& statement, std::string_view sql) {
  for (const Json& relation : child(node, "relations")) {
    statement.losses.push_back({DataLoss::What::rows, relation_name(child(relation, "RangeVar")), {}, {}});
  }
  if (text_at(node, "behavior") == "DROP_CASCADE") {
    lose_unknown(statement, one_line(sql));
  }
}

void read_subscription(const Json& node, Statement& statement) {
  const Json& options = child(node, "options");
  const bool connect = option(options, "connect").value_or(true);
  statement.in_transaction = !option(options, "create_slot").value_or(connect);
}

void read_alter_subscription(const Json& node, Statement& statement) {
  const std::string kind = text_at(node, "kind");
  const bool changes_publications = kind.ends_with("_PUBLICATION");
  const bool refreshes = option(child(node, "options"), "refresh").value_or(true);
  const Json& options = child(node, "options");
  const bool changes_slot = option(options, "failover").has_value() || option(options, "two_phase").has_value();
  statement.in_transaction =
      !(kind == "ALTER_SUBSCRIPTION_REFRESH" || (changes_publications && refreshes) || changes_slot);
}

bool merge_deletes(const Json& node) {
  const Json& clauses = child(node, "mergeWhenClauses");
  return std::any_of(clauses.begin(), clauses.end(), [](const Json& clause) {
    return text_at(child(clause, "MergeWhenClause"), "commandType") == "CMD_DELETE";
  });
}

/// DELETE wherever it hides: WITH gone AS (DELETE ...) SELECT. Its own stack, because expressions nest deep.
void read_deletes(const Json& tree, Statement& statement) {
  std::vector<const Json*> open{&tree};
  while (!open.empty()) {
    const Json& node = *open.back();
    open.pop_back();
    for (const auto& [key, value] : node.items()) {
      if (key == "DeleteStmt" || (key == "MergeStmt" && merge_deletes(value))) {
        statement.losses.push_back({DataLoss::What::rows, relation_name(child(value, "relation")), {}, {}});
      }
      if (value.is_structured()) {
        open.push_back(&value);
      }
    }
  }
}

void read_tree(const Json& tree, Statement& statement, std::string_view sql) {
  if (!tree.is_object() || tree.empty()) {
    return;
  }
  const std::string& type = tree.begin().key();
  const Json& node = tree.begin().value();
  if (type == "DropStmt") {
    read_drop(node, statement, sql);
  } else if (type == "AlterTableStmt") {
    read_alter_table(node, statement, sql);
  } else if (type == "ReindexStmt") {
    read_reindex(node, statement);
  } else if (type == "TruncateStmt") {
    read_truncate(node, statement, sql);
  } else if (type == "ClusterStmt") {
    statement.in_transaction = node.contains("relation");
  } else if (type == "CreateSubscriptionStmt") {
    read_subscription(node, statement);
  } else if (type == "AlterSubscriptionStmt") {
    read_alter_subscription(node, statement);
  } else if (type == "AlterDatabaseStmt") {
    statement.in_transaction = !option(child(node, "options"), "tablespace").has_value();
  } else if (type != "RuleStmt" && type != "CreateFunctionStmt" && type != "PrepareStmt" && type != "ViewStmt") {
    read_deletes(tree, statement);
  }
}

/// Words of interest, wherever they stand in a statement.
class Mentions {
 public:
  explicit Mentions(std::string_view sql) {
    Lexer lexer(sql);
    bool after_on = false;
    for (Token token = lexer.next(); token.kind != Token::Kind::end; token = lexer.next()) {
      const std::string_view word = sql.substr(token.begin, token.end - token.begin);
      const bool is_word = token.kind == Token::Kind::word;
      for (std::size_t i = 0; is_word && i < k_words.size(); ++i) {
        // ON DELETE CASCADE only declares.
        m_found[i] = m_found[i] || (equals_ignoring_case(word, k_words[i]) && !(after_on && k_words[i] == "DELETE"));
      }
      after_on = is_word && equals_ignoring_case(word, "ON");
    }
  }
  [[nodiscard]] bool has(std::string_view word) const {
    return m_found[static_cast<std::size_t>(std::find(k_words.begin(), k_words.end(), word) - k_words.begin())];
  }

 private:
  static constexpr std::array<std::string_view, 8> k_words = {"CONCURRENTLY", "DETACH", "TABLESPACE", "REFRESH",
                                                              "PUBLICATION",  "DROP",   "TRUNCATE",   "DELETE"};
  std::array<bool, k_words.size()> m_found{};
};

/// A quick look first: most statements have these letters nowhere.
bool mentions_delete(std::string_view sql) {
  constexpr std::string_view k_delete = "DELETE";
  const bool may = std::search(sql.begin(), sql.end(), k_delete.begin(), k_delete.end(), [](char a, char b) {
                     return (a >= 'a' && a <= 'z' ? a - 'a' + 'A' : a) == b;
                   }) != sql.end();
  return may && Mentions(sql).has("DELETE");
}

/// Whether the tree can tell more than the kind: most statements of a large file are none of these.
bool needs_tree(const Statement& statement, std::string_view sql) {
  constexpr std::array<std::string_view, 12> k_always = {"ALTER TABLE",
                                                         "ALTER TYPE",
                                                         "ALTER DATABASE",
                                                         "ALTER SUBSCRIPTION",
                                                         "CREATE SUBSCRIPTION",
                                                         "REINDEX",
                                                         "REINDEX CONCURRENTLY",
                                                         "TRUNCATE",
                                                         "DELETE",
                                                         "MERGE",
                                                         "CLUSTER",
                                                         "DROP INDEX CONCURRENTLY"};
  constexpr std::array<std::string_view, 9> k_may_delete = {
      "SELECT", "INSERT", "UPDATE", "VALUES", "COPY", "EXPLAIN", "DECLARE", "CREATE TABLE", "CREATE MATERIALIZED VIEW"};
  if (contains(k_always, statement.kind) || statement.kind.starts_with("DROP ")) {
    return true;
  }
  return contains(k_may_delete, statement.kind) && mentions_delete(sql);
}

// ---------------------------------------------------------------------------------------------------------------------
// Facts from the kind and the tokens

/// Statements that the server always refuses inside a transaction block.
bool never_in_transaction(std::string_view kind) {
  constexpr std::array<std::string_view, 9> k_kinds = {
      "VACUUM",       "CREATE DATABASE",   "DROP DATABASE",   "CREATE INDEX CONCURRENTLY", "DROP INDEX CONCURRENTLY",
      "ALTER SYSTEM", "CREATE TABLESPACE", "DROP TABLESPACE", "DROP SUBSCRIPTION"};
  return contains(k_kinds, kind);
}

void read_kind(Statement& statement, std::span<const std::string> words, std::string_view sql) {
  constexpr std::array<std::string_view, 3> k_runs_other_code = {"CALL", "EXECUTE", "DROP OWNED"};
  if (never_in_transaction(statement.kind) || (statement.kind == "DISCARD" && words[1] == "ALL")) {
    statement.in_transaction = false;
  }
  if (statement.kind == "DO") {
    lose_unknown(statement, "DO block");
  } else if (contains(k_runs_other_code, statement.kind) || statement.kind == "DROP DATABASE") {
    lose_unknown(statement, one_line(sql));
  }
}

bool reindexes_many(std::span<const std::string> words) {
  return contains(words.first(8), "SCHEMA") || contains(words.first(8), "DATABASE") ||
         contains(words.first(8), "SYSTEM");
}

/// REPACK [(options)] [VERBOSE] [table]: of all tables, or CONCURRENTLY.
bool repacks_outside(std::string_view sql) {
  Cursor at(sql);
  at.next();
  for (Cursor option = at; at.kind() == Token::Kind::open && !option.at_end(); option.next()) {
    if (option.kind() == Token::Kind::close) {
      break;
    }
    if (option.is("CONCURRENTLY")) {
      option.next();
      return !option.is("FALSE") && !option.is("OFF") && option.text() != "0";
    }
  }
  at.skip_parentheses();
  at.skip("VERBOSE");
  return at.at_end() || at.is("USING") || at.is("CONCURRENTLY");
}

/// For statements that the parser does not know, or that are too large for its tree.
void read_tokens(Statement& statement, std::span<const std::string> words, std::string_view sql) {
  const Mentions mentions(sql);
  const std::string& kind = statement.kind;
  const bool alone = words[1].empty();
  const bool refused = kind == "REINDEX CONCURRENTLY" || (kind == "REINDEX" && reindexes_many(words)) ||
                       (kind == "ALTER TABLE" && mentions.has("DETACH") && mentions.has("CONCURRENTLY")) ||
                       (kind == "ALTER DATABASE" && mentions.has("TABLESPACE")) || kind == "CREATE SUBSCRIPTION" ||
                       (kind == "ALTER SUBSCRIPTION" && (mentions.has("REFRESH") || mentions.has("PUBLICATION"))) ||
                       (kind == "CLUSTER" && alone) || (kind == "REPACK" && repacks_outside(sql));
  statement.in_transaction = statement.in_transaction && !refused;
  const bool may_lose = mentions.has("DROP") || mentions.has("TRUNCATE") || mentions.has("DELETE");
  if (may_lose && statement.losses.empty() && !kind.starts_with("DROP INDEX")) {
    lose_unknown(statement, one_line(sql));
  }
}

}  // namespace

/// Everything but the position and the checksum. \p known: the parser has accepted it.
Statement describe(const std::string& sql, bool known) {
  Statement statement;
  const std::vector<std::string> words = leading_words(sql);
  statement.kind = kind_of(sql, words);
  statement.known = known;
  statement.controls_transaction = controls_transaction(words);
  read_kind(statement, words, sql);
  if (!statement.known) {
    read_tokens(statement, words, sql);
  } else if (needs_tree(statement, sql)) {
    const Json tree = sql.size() <= k_max_tree_text ? parse_tree(sql) : Json(nullptr);
    if (tree.is_null()) {
      read_tokens(statement, words, sql);
    } else {
      read_tree(tree, statement, sql);
    }
  }
  if (!statement.in_transaction) {
    statement.footprint = read_footprint(sql, statement.kind);
  }
  statement.session_effect = session_effect(sql, statement.kind);
  return statement;
}

}  // namespace lockkeeper::files
