#include "yaml/document.hpp"

#include <algorithm>
#include <istream>
#include <iterator>
#include <streambuf>
#include <unordered_map>

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "util/text.hpp"

namespace lockkeeper::yaml {

namespace {

using Entry = Value::Entry;

/// Text and its messages. Columns of yaml-cpp count bytes from 0, ours characters from 1.
class Source {
 public:
  Source(std::string_view text, const std::string& file, util::Outcome outcome)
      : m_text(text), m_file(file), m_outcome(outcome) {
    m_lines.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') {
        m_lines.push_back(i + 1);
      }
    }
  }

  /// A mark at the very end may be past the last line; a null mark has negative numbers.
  [[nodiscard]] util::LineColumn position(const YAML::Mark& mark) const {
    if (mark.line < 0 || mark.column < 0) {
      return {0, 0};
    }
    const std::size_t line = std::min(static_cast<std::size_t>(mark.line), m_lines.size() - 1);
    const std::size_t end = line + 1 < m_lines.size() ? m_lines[line + 1] - 1 : m_text.size();
    const std::size_t bytes = std::min(static_cast<std::size_t>(mark.column), end - m_lines[line]);
    const util::LineColumn in_line = util::line_column(m_text.substr(m_lines[line], end - m_lines[line]), bytes);
    return {line + 1, in_line.column};
  }

  [[noreturn]] void fail(util::LineColumn at, std::string message, std::string hint) const {
    util::ErrorInfo info;
    info.outcome = m_outcome;
    info.message = std::move(message);
    info.hint = std::move(hint);
    info.where = util::SourcePosition{m_file, at.line, at.column};
    if (at.line != 0) {
      info.excerpt = util::excerpt(m_text, at);
    }
    throw util::Error(std::move(info));
  }

 private:
  std::string_view m_text;
  const std::string& m_file;
  util::Outcome m_outcome;
  std::vector<std::size_t> m_lines;  ///< where each line starts
};

/// Builds the Value and refuses what we do not want while yaml-cpp still parses, so that nothing deep or repeated is
/// ever built.
class Builder final : public YAML::EventHandler {
 public:
  explicit Builder(const Source& source) : m_source(source) {}

  [[nodiscard]] Value take() { return std::move(m_root); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { scalar(mark, Value::Kind::null, {}, false); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    m_source.fail(m_source.position(mark), "aliases are not supported here", "Write the value out instead of *name.");
  }

  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    m_source.fail(m_source.position(mark), fmt::format("anchors are not supported here (&{})", name),
                  "Remove the anchor and write the value out where it is needed.");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    refuse_tag(mark, tag);
    scalar(mark, Value::Kind::scalar, value, tag == "!");
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, Value::Kind::sequence);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    open(mark, tag, Value::Kind::mapping);
  }
  void OnMapEnd() override { close(); }

 private:
  /// A mapping or list whose end has not come yet.
  struct Open {
    Value value;
    bool key_is_next = true;                            ///< mapping
    std::unordered_map<std::string, std::size_t> keys;  ///< mapping: key -> line
  };

  // yaml-cpp says "?" for plain and "!" for quoted text without a tag, and "" or "?" for collections.
  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!") {
      m_source.fail(m_source.position(mark), fmt::format("tags are not supported here ({})", util::shorten(tag, 80)),
                    "Remove the tag (the word that starts with an exclamation mark).");
    }
  }

  [[nodiscard]] bool expects_key() const {
    return !m_open.empty() && m_open.back().value.kind == Value::Kind::mapping && m_open.back().key_is_next;
  }

  void scalar(const YAML::Mark& mark, Value::Kind kind, const std::string& text, bool quoted) {
    const util::LineColumn at = m_source.position(mark);
    if (expects_key()) {
      add_key(at, kind, text);
      return;
    }
    Value value;
    value.kind = kind;
    value.scalar = text;
    value.quoted = quoted;
    value.line = at.line;
    value.column = at.column;
    add(std::move(value));
  }

  void add_key(util::LineColumn at, Value::Kind kind, const std::string& key) {
    if (kind != Value::Kind::scalar || key.empty()) {
      m_source.fail(at, "a key is missing", "Write it before the colon.");
    }
    if (key == "<<") {
      m_source.fail(at, "merge keys are not supported here (<<)", "Write the keys out.");
    }
    Open& open = m_open.back();
    const auto [earlier, is_new] = open.keys.emplace(key, at.line);
    if (!is_new) {
      m_source.fail(
          at, fmt::format("duplicate key \"{}\": it is in line {} already", util::shorten(key, 80), earlier->second),
          "Keep one of the two.");
    }
    open.value.entries.push_back(Entry{key, at.line, at.column, {}});
    open.key_is_next = false;
  }

  void open(const YAML::Mark& mark, const std::string& tag, Value::Kind kind) {
    const util::LineColumn at = m_source.position(mark);
    refuse_tag(mark, tag);
    if (expects_key()) {
      m_source.fail(at, fmt::format("expected text as a key, found {}", kind_name(kind)), {});
    }
    if (m_open.size() >= k_max_depth) {
      m_source.fail(at, fmt::format("nested more than {} levels deep", k_max_depth), {});
    }
    Open open;
    open.value.kind = kind;
    open.value.line = at.line;
    open.value.column = at.column;
    m_open.push_back(std::move(open));
  }

  void close() {
    Value value = std::move(m_open.back().value);
    m_open.pop_back();
    add(std::move(value));
  }

  void add(Value value) {
    if (m_open.empty()) {
      m_root = std::move(value);
      return;
    }
    Open& open = m_open.back();
    if (open.value.kind == Value::Kind::sequence) {
      open.value.items.push_back(std::move(value));
      return;
    }
    Entry& entry = open.value.entries.back();
    // yaml-cpp puts a value that is left out where the next token is, or nowhere.
    if (value.line == 0 || (value.kind == Value::Kind::null && value.line != entry.line)) {
      value.line = entry.line;
      value.column = entry.column;
    }
    entry.value = std::move(value);
    open.key_is_next = true;
  }

  const Source& m_source;
  Value m_root;
  std::vector<Open> m_open;
};

/// Any second document is too many, an empty one included.
class SecondDocument final : public YAML::EventHandler {
 public:
  explicit SecondDocument(const Source& source) : m_source(source) {}
  void OnDocumentStart(const YAML::Mark& mark) override {
    m_source.fail(m_source.position(mark), "a second document starts here", "Keep one document in the file.");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}

 private:
  const Source& m_source;
};

/// Reads from memory without a copy.
class ViewBuffer final : public std::streambuf {
 public:
  explicit ViewBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // streambuf's get area is never written to
    setg(begin, begin, begin + text.size());
  }
};

/// What yaml-cpp would read wrong without a word: it takes the control character 0x04 for the end of the file and
/// guesses UTF-16 and UTF-32 from NUL bytes.
void check_text(std::string_view text, const std::string& file, util::Outcome outcome) {
  if (text.size() > k_max_bytes) {
    Source({}, file, outcome).fail({0, 0}, fmt::format("larger than {} KiB", k_max_bytes / 1024), {});
  }
  const Source source(text, file, outcome);
  for (std::size_t line = 1, at = 0; at < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (!util::is_valid_utf8(text.substr(at, end - at))) {
      source.fail({line, 0}, "not valid UTF-8", "Save the file as UTF-8.");
    }
    at = end + 1;
  }
  const auto control = std::find_if(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
  });
  if (control != text.end()) {
    const auto code = static_cast<unsigned>(static_cast<unsigned char>(*control));
    source.fail(util::line_column(text, static_cast<std::size_t>(control - text.begin())),
                fmt::format("control character 0x{:02x}", code), "Remove it.");
  }
}

std::string hint_for(std::string_view text, std::size_t line) {
  for (std::size_t i = 1; i < line; ++i) {
    text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  }
  const std::string_view indent = text.substr(0, text.find_first_not_of(" \t"));
  if (indent.find('\t') != std::string_view::npos) {
    return "Indent with spaces; YAML does not allow tabs.";
  }
  return "Check the indentation, the colons and the quotes in this line and the one above it.";
}

}  // namespace

Value parse(std::string_view text, const std::string& file, util::Outcome outcome) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") {
    text.remove_prefix(3);
  }
  check_text(text, file, outcome);
  const Source source(text, file, outcome);
  Builder builder(source);
  try {
    ViewBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      return Value{Value::Kind::mapping, {}, false, {}, {}, 1, 1};
    }
    SecondDocument second(source);
    parser.HandleNextDocument(second);
  } catch (const YAML::Exception& error) {
    const util::LineColumn at = source.position(error.mark);
    source.fail(at, fmt::format("not valid YAML: {}", error.msg), hint_for(text, at.line));
  }
  Value root = builder.take();
  if (root.kind == Value::Kind::null) {
    return Value{Value::Kind::mapping, {}, false, {}, {}, 1, 1};
  }
  if (root.kind != Value::Kind::mapping) {
    source.fail({root.line, root.column},
                fmt::format("expected a mapping at the top of the file, found {}", kind_name(root.kind)),
                "Write \"key: value\" lines.");
  }
  return root;
}

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::null: return "nothing";
    case Value::Kind::scalar: return "text";
    case Value::Kind::sequence: return "a list";
    case Value::Kind::mapping: return "a mapping";
  }
  return "nothing";
}

void Reader::problem(std::size_t line, std::size_t column, std::string message, std::string hint) {
  util::ErrorInfo info;
  info.outcome = m_outcome;
  info.message = std::move(message);
  info.hint = std::move(hint);
  info.where = position(line, column);
  if (line != 0) {
    info.excerpt = util::excerpt(m_text, {line, column});
  }
  m_problems.push_back(std::move(info));
}

void Reader::problem(const Value& at, std::string message, std::string hint) {
  problem(at.line, at.column, std::move(message), std::move(hint));
}

void Reader::problem(const Entry& at, std::string message, std::string hint) {
  problem(at.line, at.column, std::move(message), std::move(hint));
}

std::optional<bool> Reader::boolean(const Value& value, std::string_view what) {
  const bool plain = value.kind == Value::Kind::scalar && !value.quoted;
  if (plain && value.scalar == "true") {
    return true;
  }
  if (plain && value.scalar == "false") {
    return false;
  }
  problem(value,
          value.kind == Value::Kind::scalar
              ? fmt::format("{}: expected true or false, found \"{}\"", what, util::shorten(value.scalar, 80))
              : fmt::format("{}: expected true or false, found {}", what, kind_name(value.kind)),
          "Write true or false, without quotes.");
  return std::nullopt;
}

std::optional<std::string> Reader::text(const Value& value, std::string_view what) {
  if (value.kind == Value::Kind::scalar) {
    return value.scalar;
  }
  problem(value, fmt::format("{}: expected text, found {}", what, kind_name(value.kind)));
  return std::nullopt;
}

std::optional<std::vector<std::string>> Reader::texts(const Value& value, std::string_view what) {
  if (value.kind != Value::Kind::sequence) {
    problem(value, fmt::format("{}: expected a list, found {}", what, kind_name(value.kind)), "Write [a, b].");
    return std::nullopt;
  }
  std::vector<std::string> result;
  for (const Value& item : value.items) {
    std::optional<std::string> element = text(item, what);
    if (!element) {
      return std::nullopt;
    }
    result.push_back(std::move(*element));
  }
  return result;
}

const Value* Reader::mapping(const Value& value, std::string_view what) {
  if (value.kind == Value::Kind::mapping) {
    return &value;
  }
  problem(value, fmt::format("{}: expected a mapping, found {}", what, kind_name(value.kind)));
  return nullptr;
}

void Reader::unknown_key(const Entry& entry, std::string_view what, std::initializer_list<std::string_view> known) {
  const std::string_view close = util::closest(entry.key, known);
  problem(entry, fmt::format("{}: unknown key \"{}\"", what, util::shorten(entry.key, 80)),
          close.empty() ? fmt::format("Known keys: {}.", fmt::join(known, ", "))
                        : fmt::format("Did you mean \"{}\"?", close));
}

}  // namespace lockkeeper::yaml
