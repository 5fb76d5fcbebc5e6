#include "files/metadata.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "files/lexer.hpp"
#include "files/statements.hpp"
#include "util/duration.hpp"
#include "yaml/document.hpp"

namespace lockkeeper::files {

namespace {

using core::Expectation;
using core::ObjectName;
using yaml::Value;
using Entry = Value::Entry;
using Kind = Expectation::Kind;

// PostgreSQL cuts longer names off (NAMEDATALEN), so that nothing of that name could be there.
constexpr std::size_t k_max_name = 63;

/// SELECT ... INTO, or WITH x AS (DELETE ...): the verb of a query that writes stands behind a parenthesis.
bool writes(std::string_view sql) {
  std::size_t depth = 0;
  std::string before;  // the two tokens before this one, in upper case
  std::string previous;
  Lexer lexer(sql);
  for (Token token = lexer.next(); token.kind != Token::Kind::end; token = lexer.next()) {
    std::string word(sql.substr(token.begin, token.kind == Token::Kind::word ? token.end - token.begin : 1));
    std::transform(word.begin(), word.end(), word.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
    const bool is_name = token.kind == Token::Kind::word || token.kind == Token::Kind::name;
    if (before == "(" && ((previous == "INSERT" && word == "INTO") || (previous == "MERGE" && word == "INTO") ||
                          (previous == "DELETE" && word == "FROM") || (previous == "UPDATE" && is_name))) {
      return true;
    }
    depth += token.kind == Token::Kind::open ? 1U : 0U;
    depth -= token.kind == Token::Kind::close && depth > 0 ? 1U : 0U;
    if (depth == 0 && word == "INTO") {
      return true;
    }
    before = std::exchange(previous, std::move(word));
  }
  return false;
}

class MetadataReader {
 public:
  MetadataReader(std::string_view text, const std::string& file)
      : m_reader(file, text, util::Outcome::migration_files), m_file(file) {}

  MetadataResult run(const Value& document) {
    for (const Entry& entry : document.entries) {
      read_key(entry);
    }
    return {std::move(m_metadata), m_reader.problems()};
  }

 private:
  void read_key(const Entry& entry) {
    const Value& value = entry.value;
    if (entry.key == "description") {
      m_metadata.description = m_reader.text(value, entry.key).value_or("");
    } else if (entry.key == "transaction") {
      read_transaction(value);
    } else if (entry.key == "phase") {
      read_phase(value);
    } else if (entry.key == "lock_timeout") {
      m_metadata.lock_timeout = duration(entry);
    } else if (entry.key == "statement_timeout") {
      m_metadata.statement_timeout = duration(entry);
    } else if (entry.key == "expect") {
      read_expect(value);
    } else if (entry.key == "data_loss") {
      read_data_loss(value);
    } else {
      m_reader.unknown_key(
          entry, "migration.yaml",
          {"description", "transaction", "phase", "lock_timeout", "statement_timeout", "expect", "data_loss"});
    }
  }

  void read_transaction(const Value& value) {
    const std::optional<std::string> text = m_reader.text(value, "transaction");
    m_metadata.transaction_where = m_reader.position(value.line, value.column);
    if (text == "single") {
      m_metadata.transaction = TransactionMode::single;
    } else if (text == "none") {
      m_metadata.transaction = TransactionMode::none;
    } else if (text && text != "auto") {
      m_reader.problem(value, fmt::format("transaction: \"{}\" is none of auto, single, none", *text));
    }
  }

  void read_phase(const Value& value) {
    const std::optional<std::string> text = m_reader.text(value, "phase");
    if (text == "post") {
      m_metadata.phase = core::Phase::post;
    } else if (text && text != "pre") {
      m_reader.problem(value, fmt::format("phase: \"{}\" is neither pre nor post", *text));
    }
  }

  std::optional<util::Duration> duration(const Entry& entry) {
    const std::optional<std::string> text = m_reader.text(entry.value, entry.key);
    if (!text) {
      return std::nullopt;
    }
    const std::optional<util::Duration> result = util::parse_duration(*text);
    if (!result) {
      m_reader.problem(entry.value, fmt::format("{}: \"{}\" is not a duration", entry.key, *text),
                       "Write a number and a unit, for example 500ms, 2s or 5m.");
    }
    return result;
  }

  void read_data_loss(const Value& value) {
    for (const Entry& entry : entries(value, "data_loss")) {
      if (const std::optional<std::string> sql = query(entry.value, entry.key)) {
        m_metadata.data_loss.push_back({entry.key, *sql, m_reader.position(entry.line, entry.column)});
      }
    }
  }

  void read_expect(const Value& value) {
    for (const Entry& section : entries(value, "expect")) {
      if (section.key == "tables") {
        each(section, &MetadataReader::read_table);
      } else if (section.key == "columns") {
        each(section, &MetadataReader::read_columns);
      } else if (section.key == "indexes") {
        each(section, &MetadataReader::read_index);
      } else if (section.key == "constraints") {
        each(section, &MetadataReader::read_constraints);
      } else if (section.key == "enums") {
        each(section, &MetadataReader::read_enum);
      } else if (section.key == "sql") {
        each(section, &MetadataReader::read_sql);
      } else {
        m_reader.unknown_key(section, "expect", {"tables", "columns", "indexes", "constraints", "enums", "sql"});
      }
    }
  }

  void each(const Entry& section, void (MetadataReader::*read)(const Entry&)) {
    for (const Entry& entry : entries(section.value, section.key)) {
      (this->*read)(entry);
    }
  }

  void read_table(const Entry& entry) {
    Expectation expectation = start(Kind::table, entry);
    set_object(expectation, entry);
    for (const Entry& key : entries(entry.value, entry.key)) {
      if (!read_absent(expectation, key)) {
        m_reader.unknown_key(key, entry.key, {"absent"});
      }
    }
    finish(std::move(expectation), entry);
  }

  void read_columns(const Entry& table) {
    for (const Entry& entry : entries(table.value, table.key)) {
      Expectation expectation = start(Kind::column, entry);
      set_object(expectation, table);
      set_member(expectation, entry);
      for (const Entry& key : entries(entry.value, entry.key)) {
        read_column_key(expectation, entry, key);
      }
      finish(std::move(expectation), entry);
    }
  }

  void read_column_key(Expectation& expectation, const Entry& entry, const Entry& key) {
    if (key.key == "type") {
      expectation.type = non_empty(key);
    } else if (key.key == "nullable") {
      expectation.nullable = m_reader.boolean(key.value, key.key);
    } else if (key.key == "default") {
      expectation.default_value = key.value.kind == Value::Kind::null ? std::string() : non_empty(key);
    } else if (!read_absent(expectation, key)) {
      m_reader.unknown_key(key, entry.key, {"type", "nullable", "default", "absent"});
    }
  }

  void read_index(const Entry& entry) {
    Expectation expectation = start(Kind::index, entry);
    set_object(expectation, entry);
    for (const Entry& key : entries(entry.value, entry.key)) {
      if (key.key == "table") {
        expectation.table = object_name(key.value, non_empty(key));
      } else if (key.key == "unique") {
        expectation.unique = m_reader.boolean(key.value, key.key);
      } else if (key.key == "valid") {
        expectation.valid = m_reader.boolean(key.value, key.key);
      } else if (!read_absent(expectation, key)) {
        m_reader.unknown_key(key, entry.key, {"table", "unique", "valid", "absent"});
      }
    }
    if (!expectation.absent && !expectation.valid) {
      expectation.valid = true;
    }
    finish(std::move(expectation), entry);
  }

  void read_constraints(const Entry& table) {
    for (const Entry& entry : entries(table.value, table.key)) {
      Expectation expectation = start(Kind::constraint, entry);
      set_object(expectation, table);
      set_member(expectation, entry);
      for (const Entry& key : entries(entry.value, entry.key)) {
        if (key.key == "validated") {
          expectation.validated = m_reader.boolean(key.value, key.key);
        } else if (!read_absent(expectation, key)) {
          m_reader.unknown_key(key, entry.key, {"validated", "absent"});
        }
      }
      if (!expectation.absent && !expectation.validated) {
        expectation.validated = true;
      }
      finish(std::move(expectation), entry);
    }
  }

  void read_enum(const Entry& entry) {
    Expectation expectation = start(Kind::enum_type, entry);
    set_object(expectation, entry);
    if (entry.value.kind == Value::Kind::sequence) {
      expectation.values = m_reader.texts(entry.value, entry.key).value_or(std::vector<std::string>{});
    } else {
      read_only_absent(expectation, entry, "a list of labels");
    }
    finish(std::move(expectation), entry);
  }

  void read_sql(const Entry& entry) {
    Expectation expectation = start(Kind::sql, entry);
    expectation.member = entry.key;
    if (entry.value.kind == Value::Kind::scalar) {
      expectation.sql = query(entry.value, entry.key).value_or("");
    } else {
      read_only_absent(expectation, entry, "a query");
    }
    finish(std::move(expectation), entry);
  }

  /// {absent: true} in the place of \p usual.
  void read_only_absent(Expectation& expectation, const Entry& entry, std::string_view usual) {
    if (entry.value.kind != Value::Kind::mapping) {
      m_reader.problem(entry.value, fmt::format("{}: expected {} or {{absent: true}}, found {}", entry.key, usual,
                                                yaml::kind_name(entry.value.kind)));
      return;
    }
    const std::size_t problems = m_reader.problems().size();
    for (const Entry& key : entry.value.entries) {
      if (!read_absent(expectation, key)) {
        m_reader.unknown_key(key, entry.key, {"absent"});
      }
    }
    if (!expectation.absent && m_reader.problems().size() == problems) {
      m_reader.problem(entry.value, fmt::format("{}: expected {} or {{absent: true}}", entry.key, usual));
    }
  }

  [[nodiscard]] Expectation start(Kind kind, const Entry& entry) const {
    Expectation expectation;
    expectation.kind = kind;
    expectation.where = m_reader.position(entry.line, entry.column);
    return expectation;
  }

  bool read_absent(Expectation& expectation, const Entry& key) {
    if (key.key != "absent") {
      return false;
    }
    expectation.absent = m_reader.boolean(key.value, key.key).value_or(false);
    return true;
  }

  /// What is absent has no properties, and what is said twice would be checked against itself.
  void finish(Expectation expectation, const Entry& entry) {
    const bool has_properties = expectation.type || expectation.nullable || expectation.default_value ||
                                expectation.table || expectation.valid || expectation.unique || expectation.validated;
    if (expectation.absent && has_properties) {
      m_reader.problem(entry, fmt::format("{}: absent: true with other properties", entry.key),
                       "Remove absent, or everything else.");
    }
    if (!m_subjects.emplace(expectation.kind, expectation.object, expectation.member).second) {
      m_reader.problem(entry, fmt::format("{}: the same object again, written in another way", entry.key),
                       "Keep one of the two.");
    }
    m_metadata.expect.push_back(std::move(expectation));
  }

  void set_object(Expectation& expectation, const Entry& entry) {
    const std::optional<ObjectName> name = parse_object_name(entry.key);
    if (name) {
      expectation.object = *name;
      return;
    }
    // A table's name is read once for each of its columns; one message is enough.
    if (m_bad_names.emplace(entry.line, entry.column).second) {
      report_bad_name(entry.line, entry.column, entry.key);
    }
  }

  void set_member(Expectation& expectation, const Entry& entry) {
    expectation.member = entry.key;
    if (entry.key.size() > k_max_name) {
      m_reader.problem(entry, fmt::format("{}: longer than {} bytes", entry.key, k_max_name));
    }
  }

  std::optional<ObjectName> object_name(const Value& at, const std::optional<std::string>& text) {
    if (!text) {
      return std::nullopt;
    }
    std::optional<ObjectName> name = parse_object_name(*text);
    if (!name) {
      report_bad_name(at.line, at.column, *text);
    }
    return name;
  }

  void report_bad_name(std::size_t line, std::size_t column, const std::string& text) {
    Value at;
    at.line = line;
    at.column = column;
    m_reader.problem(at, fmt::format("\"{}\" is not a name", text),
                     fmt::format("Write name or schema.name, each at most {} bytes; put a part with a dot into double "
                                 "quotes: '\"odd.schema\".name'.",
                                 k_max_name));
  }

  std::optional<std::string> non_empty(const Entry& entry) {
    std::optional<std::string> text = m_reader.text(entry.value, entry.key);
    if (text && text->empty()) {
      m_reader.problem(entry.value, fmt::format("{}: expected text, found an empty one", entry.key),
                       entry.key == "default" ? "Write default: null when there must be none." : "");
      return std::nullopt;
    }
    return text;
  }

  /// One query that only reads.
  std::optional<std::string> query(const Value& value, const std::string& label) {
    std::optional<std::string> sql = m_reader.text(value, label);
    if (!sql) {
      return std::nullopt;
    }
    const SplitResult result = split(*sql, m_file);
    std::string message;
    if (!result.problems.empty()) {
      message = fmt::format("{}: {}", label, result.problems.front().message);
    } else if (result.statements.size() != 1) {
      message = fmt::format("{}: expected one query, found {} statements", label, result.statements.size());
    } else if (const core::Statement& only = result.statements.front();
               (only.kind != "SELECT" && only.kind != "VALUES") || only.copy_data || writes(*sql)) {
      message = fmt::format("{}: expected a query that only reads", label);
    }
    if (message.empty()) {
      const core::Statement& only = result.statements.front();
      return sql->substr(only.begin, only.end - only.begin);
    }
    m_reader.problem(value, std::move(message), "Write one SELECT.");
    return std::nullopt;
  }

  /// The entries of a mapping; nothing at all is an empty one.
  const std::vector<Entry>& entries(const Value& value, std::string_view what) {
    static const std::vector<Entry> k_none;
    if (value.kind == Value::Kind::null) {
      return k_none;
    }
    const Value* mapping = m_reader.mapping(value, what);
    return mapping == nullptr ? k_none : mapping->entries;
  }

  yaml::Reader m_reader;
  std::string m_file;
  Metadata m_metadata;
  std::set<std::tuple<Kind, ObjectName, std::string>> m_subjects;
  std::set<std::pair<std::size_t, std::size_t>> m_bad_names;
};

/// One part of a name, quoted or not, cut off the front of \p text.
std::optional<std::string> take_name_part(std::string_view& text) {
  std::string part;
  if (!text.starts_with('"')) {
    const std::size_t end = std::min(text.find_first_of(".\""), text.size());
    part = text.substr(0, end);
    text.remove_prefix(end);
  } else {
    std::size_t at = 1;
    for (bool closed = false; !closed;) {
      const std::size_t quote = text.find('"', at);
      if (quote == std::string_view::npos) {
        return std::nullopt;
      }
      part += text.substr(at, quote - at);
      closed = quote + 1 == text.size() || text[quote + 1] != '"';
      part += closed ? "" : "\"";
      at = quote + (closed ? 1 : 2);
    }
    text.remove_prefix(at);
  }
  return part.empty() || part.size() > k_max_name ? std::nullopt : std::optional(part);
}

}  // namespace

std::optional<ObjectName> parse_object_name(std::string_view text) {
  std::optional<std::string> first = take_name_part(text);
  if (!first) {
    return std::nullopt;
  }
  if (text.empty()) {
    return ObjectName{{}, std::move(*first)};
  }
  if (!text.starts_with('.')) {
    return std::nullopt;
  }
  text.remove_prefix(1);
  std::optional<std::string> second = take_name_part(text);
  if (!second || !text.empty()) {
    return std::nullopt;
  }
  return ObjectName{std::move(*first), std::move(*second)};
}

MetadataResult read_metadata(std::string_view text, const std::string& file) {
  try {
    const Value document = yaml::parse(text, file, util::Outcome::migration_files);
    text.remove_prefix(text.starts_with("\xEF\xBB\xBF") ? 3 : 0);  // no part of what the positions count
    return MetadataReader(text, file).run(document);
  } catch (const util::Error& error) {
    return {{}, {error.info()}};
  }
}

}  // namespace lockkeeper::files
