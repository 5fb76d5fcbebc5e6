#include "config/environment.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "config/text_file.hpp"
#include "util/text.hpp"

namespace lockkeeper::config {
namespace {

constexpr std::size_t k_max_dotenv_bytes = std::size_t{1024} * 1024;

/// Reads one file from front to back; every step names the line it is on.
class DotenvReader {
 public:
  DotenvReader(std::string_view text, const std::string& file) : m_text(text), m_file(file) {}

  std::vector<DotenvEntry> read() {
    std::vector<DotenvEntry> entries;
    while (skip_to_entry()) {
      entries.push_back(read_entry());
    }
    return entries;
  }

 private:
  [[nodiscard]] bool at_end() const { return m_at >= m_text.size(); }
  [[nodiscard]] char peek() const { return at_end() ? '\n' : m_text[m_at]; }
  [[nodiscard]] bool at_line_end() const {
    return peek() == '\n' || (peek() == '\r' && m_text.substr(m_at).starts_with("\r\n"));
  }

  [[noreturn]] void fail(std::string message) const {
    throw util::Error({.outcome = util::Outcome::config,
                       .message = std::move(message),
                       .hint = "A line is NAME=VALUE; quote a value with spaces or # in it.",
                       .detail = {},
                       .sqlstate = {},
                       .where = util::SourcePosition{m_file, m_line, 0},
                       .excerpt = {}});
  }

  void skip_blanks() {
    while (!at_end() && (peek() == ' ' || peek() == '\t')) {
      ++m_at;
    }
  }

  void skip_line() {
    m_at = std::min(m_text.find('\n', m_at), m_text.size());
    if (!at_end()) {
      ++m_at;
      ++m_line;
    }
  }

  bool skip_to_entry() {
    while (!at_end()) {
      skip_blanks();
      if (at_end()) {
        return false;
      }
      if (!at_line_end() && peek() != '#') {
        return true;
      }
      skip_line();
    }
    return false;
  }

  std::string read_name() {
    const std::size_t begin = m_at;
    const auto fits = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    while (!at_end() && fits(peek())) {
      ++m_at;
    }
    return std::string(m_text.substr(begin, m_at - begin));
  }

  DotenvEntry read_entry() {
    constexpr std::string_view k_export = "export";
    DotenvEntry entry;
    entry.line = m_line;
    entry.name = read_name();
    if (entry.name == k_export && (peek() == ' ' || peek() == '\t')) {
      skip_blanks();
      entry.name = read_name();
    }
    skip_blanks();
    if (entry.name.empty() || (entry.name.front() >= '0' && entry.name.front() <= '9') || peek() != '=') {
      fail("expected NAME=VALUE");
    }
    ++m_at;
    const bool blank_before = peek() == ' ' || peek() == '\t';
    skip_blanks();
    if (peek() == '\'' || peek() == '"') {
      entry.value = read_quoted();
      finish_quoted_line();
    } else {
      entry.value = read_plain(blank_before);
    }
    if (entry.value.find('\0') != std::string::npos) {
      fail(fmt::format("the value of {} holds a NUL byte", entry.name));
    }
    return entry;
  }

  /// Up to the end of the line, or a # after a blank.
  std::string read_plain(bool blank_before) {
    std::size_t end = std::min(m_text.find('\n', m_at), m_text.size());
    bool blank = blank_before;
    for (std::size_t at = m_at; at < end; ++at) {
      if (m_text[at] == '#' && blank) {
        end = at;
        break;
      }
      blank = m_text[at] == ' ' || m_text[at] == '\t';
    }
    const std::string_view value = util::trim(m_text.substr(m_at, end - m_at));
    skip_line();
    return std::string(value);
  }

  std::string read_quoted() {
    const char quote = peek();
    const std::size_t first_line = m_line;
    std::string value;
    for (++m_at; !at_end(); ++m_at) {
      const char c = peek();
      if (c == quote) {
        ++m_at;
        return value;
      }
      m_line += c == '\n' ? 1 : 0;
      if (c == '\\' && quote == '"' && m_at + 1 < m_text.size()) {
        value += read_escape();
      } else {
        value += c;
      }
    }
    m_line = first_line;
    fail("a quote is not closed");
  }

  /// Leaves m_at on the last character of the escape.
  std::string read_escape() {
    const char next = m_text[m_at + 1];
    ++m_at;
    switch (next) {
      case 'n': return "\n";
      case 'r': return "\r";
      case 't': return "\t";
      case '"':
      case '\\':
      case '$': return {next};
      default: break;
    }
    m_line += next == '\n' ? 1 : 0;
    return {'\\', next};
  }

  void finish_quoted_line() {
    skip_blanks();
    if (!at_end() && !at_line_end() && peek() != '#') {
      fail("something follows the closing quote");
    }
    skip_line();
  }

  std::string_view m_text;
  const std::string& m_file;
  std::size_t m_at = 0;
  std::size_t m_line = 1;
};

std::string source_of(std::string_view name, const std::map<std::string, std::string, std::less<>>& dotenv_places) {
  const auto place = dotenv_places.find(name);
  return place == dotenv_places.end() ? fmt::format("environment variable {}", name)
                                      : fmt::format("{} in {}", name, place->second);
}

}  // namespace

Environment capture(const char* const* envp) {
  Environment environment;
  for (; envp != nullptr && *envp != nullptr; ++envp) {
    const std::string_view entry(*envp);
    const std::size_t equals = entry.find('=');
    if (equals != std::string_view::npos && equals > 0) {
      // getenv returns the first of two entries with one name; so does this.
      environment.emplace(entry.substr(0, equals), entry.substr(equals + 1));
    }
  }
  return environment;
}

std::optional<std::string> find_variable(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  if (found == environment.end() || found->second.empty()) {
    return std::nullopt;
  }
  return found->second;
}

std::vector<DotenvEntry> parse_dotenv(std::string_view text, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF")) {
    text.remove_prefix(3);
  }
  return DotenvReader(text, file).read();
}

std::vector<DotenvEntry> read_dotenv(const std::string& path) {
  return parse_dotenv(read_text_file(path, "file " + path, k_max_dotenv_bytes), path);
}

std::vector<Given> read_variables(const Environment& environment,
                                  const std::map<std::string, std::string, std::less<>>& dotenv_places) {
  std::vector<Given> given;
  for (const OptionRow& option : options()) {
    const std::string name = variable_name(option);
    if (const auto value = find_variable(environment, name)) {
      given.push_back(make_given(option, Layer::variable, {*value}, source_of(name, dotenv_places)));
    } else if (option.name == "verbose" && find_variable(environment, "DEBUG") == "1") {
      given.push_back(make_given(option, Layer::variable, {"1"}, source_of("DEBUG", dotenv_places)));
    }
  }
  return given;
}

}  // namespace lockkeeper::config
