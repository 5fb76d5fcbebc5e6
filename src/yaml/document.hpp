/// \file
/// A YAML document as plain values with positions: the only door to yaml-cpp, shared by config/ and files/.
///
/// Strict where yaml-cpp is lenient: one document, a mapping at the top (or nothing), no duplicate keys, no tags, no
/// anchors, aliases or merge keys, only text as keys, bounded size and depth. Source: https://yaml.org/spec/1.2.2/
/// Not for: writing YAML, several documents in one file.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/error.hpp"

namespace lockkeeper::yaml {

inline constexpr std::size_t k_max_bytes = std::size_t{1024} * 1024;
inline constexpr std::size_t k_max_depth = 32;

struct Value {
  enum class Kind { null, scalar, sequence, mapping };
  struct Entry;
  Kind kind = Kind::null;
  std::string scalar;          ///< as written, quotes removed
  bool quoted = false;         ///< 'x' or "x" or a block: never a boolean, a number or null
  std::vector<Value> items;    ///< sequence
  std::vector<Entry> entries;  ///< mapping, in the order of the file, keys unique
  std::size_t line = 0;        ///< from 1
  std::size_t column = 0;      ///< from 1
};

struct Value::Entry {
  std::string key;
  std::size_t line = 0;
  std::size_t column = 0;
  Value value;
};

/// Parses \p text; \p file is only for messages. An empty document is an empty mapping.
/// \throws Error{outcome} with file, line and column
Value parse(std::string_view text, const std::string& file, util::Outcome outcome);

/// "a mapping", "a list", "text", "nothing": for messages.
std::string_view kind_name(Value::Kind kind);

/// Reads typed values out of a parsed document and collects what is wrong, so that a file's problems are reported
/// together. Every function that returns an optional (or nullptr) has noted a problem when it returns nothing.
/// \p what names the value in messages: "lock_timeout".
class Reader {
 public:
  /// \p text is the document that was parsed, for excerpts; it must outlive the reader.
  Reader(std::string file, std::string_view text, util::Outcome outcome)
      : m_file(std::move(file)), m_text(text), m_outcome(outcome) {}

  /// true or false as YAML 1.2 writes them; yes, no, on and off are refused, and so is quoted text.
  std::optional<bool> boolean(const Value& value, std::string_view what);
  /// Any scalar as it is written; numbers are text, too.
  std::optional<std::string> text(const Value& value, std::string_view what);
  std::optional<std::vector<std::string>> texts(const Value& value, std::string_view what);
  /// The value itself when it is a mapping, else nullptr and a problem.
  const Value* mapping(const Value& value, std::string_view what);
  /// An unknown key, with "did you mean" when one of \p known is close.
  void unknown_key(const Value::Entry& entry, std::string_view what, std::initializer_list<std::string_view> known);
  void problem(const Value& at, std::string message, std::string hint = {});
  void problem(const Value::Entry& at, std::string message, std::string hint = {});

  [[nodiscard]] util::SourcePosition position(std::size_t line, std::size_t column) const {
    return {m_file, line, column};
  }
  [[nodiscard]] const std::vector<util::ErrorInfo>& problems() const { return m_problems; }

 private:
  void problem(std::size_t line, std::size_t column, std::string message, std::string hint);

  std::string m_file;
  std::string_view m_text;
  util::Outcome m_outcome;
  std::vector<util::ErrorInfo> m_problems;
};

}  // namespace lockkeeper::yaml
