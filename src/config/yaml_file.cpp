#include "config/yaml_file.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/text_file.hpp"
#include "util/text.hpp"
#include "yaml/document.hpp"

namespace lockkeeper::config {
namespace {

constexpr std::string_view k_environments = "environments";
constexpr std::string_view k_forbid = "forbid";

/// Reads one document; problems are collected so that all of them can be shown at once.
class YamlReader {
 public:
  explicit YamlReader(std::string file) : m_file(std::move(file)) {}

  YamlSettings read(const yaml::Value& document, const std::string& environment) {
    YamlSettings settings;
    std::vector<std::string> names;
    bool found = environment.empty();
    for (const auto& entry : document.entries) {
      if (entry.key != k_environments) {
        read_key(entry, Layer::file, settings.given);
        continue;
      }
      for (const auto& block : blocks(entry)) {
        names.push_back(block.key);
        YamlSettings chosen = read_block(block);
        if (block.key == environment) {
          found = true;
          settings.given.insert(settings.given.end(), chosen.given.begin(), chosen.given.end());
          settings.rules = std::move(chosen.rules);
        }
      }
    }
    throw_problems();
    if (!found) {
      throw_unknown_environment(environment, names);
    }
    return settings;
  }

 private:
  void add_problem(std::size_t line, std::size_t column, std::string message, std::string hint = {}) {
    m_problems.push_back({.outcome = util::Outcome::config,
                          .message = std::move(message),
                          .hint = std::move(hint),
                          .detail = {},
                          .sqlstate = {},
                          .where = util::SourcePosition{m_file, line, column},
                          .excerpt = {}});
  }

  void throw_problems() const {
    if (m_problems.empty()) {
      return;
    }
    if (m_problems.size() == 1) {
      throw util::Error(m_problems.front());
    }
    std::vector<std::string> lines;
    lines.reserve(m_problems.size());
    for (const util::ErrorInfo& problem : m_problems) {
      lines.push_back(util::to_string(problem));
    }
    throw util::Error({.outcome = util::Outcome::config,
                       .message = fmt::format("{} has {} problems", m_file, m_problems.size()),
                       .hint = {},
                       .detail = fmt::format("{}", fmt::join(lines, "\n")),
                       .sqlstate = {},
                       .where = {},
                       .excerpt = {}});
  }

  [[noreturn]] void throw_unknown_environment(const std::string& environment,
                                              const std::vector<std::string>& names) const {
    const std::string there =
        names.empty() ? "It has no `environments:`." : fmt::format("It has: {}.", fmt::join(names, ", "));
    throw util::Error(util::Outcome::config, fmt::format("{} has no environment {}", m_file, shown(environment)),
                      there);
  }

  /// The entries of `environments:`; none when it is not a mapping.
  const std::vector<yaml::Value::Entry>& blocks(const yaml::Value::Entry& environments) {
    static const std::vector<yaml::Value::Entry> k_none;
    if (environments.value.kind == yaml::Value::Kind::mapping) {
      return environments.value.entries;
    }
    add_problem(
        environments.line, environments.column,
        fmt::format("environments: expected a mapping of names, not {}", yaml::kind_name(environments.value.kind)));
    return k_none;
  }

  YamlSettings read_block(const yaml::Value::Entry& block) {
    YamlSettings settings;
    settings.rules = EnvironmentRules{block.key, {}};
    if (block.value.kind == yaml::Value::Kind::null) {
      return settings;  // `dev:` with nothing in it is an environment without settings
    }
    if (block.value.kind != yaml::Value::Kind::mapping) {
      add_problem(block.line, block.column,
                  fmt::format("environment {}: expected a mapping of options, not {}", shown(block.key),
                              yaml::kind_name(block.value.kind)));
      return settings;
    }
    for (const auto& entry : block.value.entries) {
      if (entry.key == k_forbid) {
        read_forbid(entry, *settings.rules);
      } else {
        read_key(entry, Layer::environment_block, settings.given);
      }
    }
    return settings;
  }

  void read_forbid(const yaml::Value::Entry& entry, EnvironmentRules& rules) {
    if (entry.value.kind != yaml::Value::Kind::sequence) {
      add_problem(entry.line, entry.column, "forbid: expected a list of commands such as [down]");
      return;
    }
    for (const auto& item : entry.value.items) {
      if (item.kind == yaml::Value::Kind::scalar && find_command(item.scalar) != nullptr) {
        rules.forbid.push_back(item.scalar);
        continue;
      }
      std::vector<std::string_view> names;
      for (const CommandRow& command : commands()) {
        names.push_back(command.name);
      }
      const std::string_view best = util::closest(item.scalar, names);
      add_problem(item.line, item.column, fmt::format("forbid: there is no command {}", shown(item.scalar)),
                  best.empty() ? std::string() : fmt::format("Did you mean {}?", best));
    }
  }

  void read_key(const yaml::Value::Entry& entry, Layer layer, std::vector<Given>& given) {
    const OptionRow* option = find_option_by_yaml_key(entry.key);
    if (option == nullptr || !option->in_yaml) {
      refuse_key(entry, option, layer);
      return;
    }
    std::vector<std::string> texts;
    if (!read_texts(entry, *option, texts)) {
      return;
    }
    ParsedValue parsed = parse_value(*option, layer, texts);
    if (!parsed.value) {
      add_problem(entry.value.line, entry.value.column, fmt::format("{}: {}", entry.key, parsed.problem), parsed.hint);
      return;
    }
    given.push_back({option, layer, std::move(*parsed.value), fmt::format("{}", fmt::join(texts, ",")),
                     util::to_string(util::SourcePosition{m_file, entry.value.line, entry.value.column})});
  }

  /// The value as texts, one of them unless the option is a list.
  bool read_texts(const yaml::Value::Entry& entry, const OptionRow& option, std::vector<std::string>& texts) {
    const bool several = option.type == ValueType::list || option.type == ValueType::urls;
    const bool one = option.type != ValueType::list;
    const auto& value = entry.value;
    const bool scalars = std::all_of(value.items.begin(), value.items.end(),
                                     [](const yaml::Value& item) { return item.kind == yaml::Value::Kind::scalar; });
    if (several && value.kind == yaml::Value::Kind::sequence && scalars) {
      for (const yaml::Value& item : value.items) {
        texts.push_back(item.scalar);
      }
      return true;
    }
    // 'true' in quotes is text to YAML, and so it is here.
    const bool quoted_boolean = option.type == ValueType::boolean && value.quoted;
    if (one && value.kind == yaml::Value::Kind::scalar && !quoted_boolean) {
      texts.push_back(value.scalar);
      return true;
    }
    add_problem(value.line == 0 ? entry.line : value.line, value.line == 0 ? entry.column : value.column,
                fmt::format("{}: expected {}, not {}", entry.key, one ? expected_form(option) : "a list such as [a, b]",
                            several && !scalars ? "a list of something else" : yaml::kind_name(value.kind)));
    return false;
  }

  void refuse_key(const yaml::Value::Entry& entry, const OptionRow* option, Layer layer) {
    if (option != nullptr) {
      add_problem(entry.line, entry.column, fmt::format("{} does not belong into this file", entry.key),
                  fmt::format("Use the flag {} or the variable {}.", flag_name(*option), variable_name(*option)));
    } else if (entry.key == "database_url" || entry.key == "password" || entry.key == "url") {
      add_problem(entry.line, entry.column, fmt::format("{} does not belong into this file", entry.key),
                  "A file in git is no place for secrets: name the variable with database_url_env or the file with "
                  "database_url_file.");
    } else if (entry.key == k_forbid) {
      add_problem(entry.line, entry.column, "forbid belongs into a block of environments");
    } else if (entry.key == k_environments) {
      add_problem(entry.line, entry.column, "environments cannot be nested");
    } else {
      add_problem(entry.line, entry.column, fmt::format("there is no key {}", shown(entry.key)),
                  suggestion(entry.key, layer));
    }
  }

  static std::string suggestion(const std::string& key, Layer layer) {
    std::vector<std::string> keys{std::string(layer == Layer::file ? k_environments : k_forbid)};
    for (const OptionRow& option : options()) {
      if (option.in_yaml) {
        keys.push_back(yaml_key(option));
      }
    }
    std::string folded(key);
    std::replace(folded.begin(), folded.end(), '-', '_');
    const std::string_view best = util::closest(folded, keys);
    return best.empty() ? "docs/configuration.md lists the keys." : fmt::format("Did you mean {}?", best);
  }

  std::string m_file;
  std::vector<util::ErrorInfo> m_problems;
};

}  // namespace

YamlSettings parse_yaml_settings(std::string_view text, const std::string& file, const std::string& environment) {
  return YamlReader(file).read(yaml::parse(text, file, util::Outcome::config), environment);
}

YamlSettings read_yaml_file(const std::string& path, const std::string& what, const std::string& environment) {
  return parse_yaml_settings(read_text_file(path, what, yaml::k_max_bytes), path, environment);
}

}  // namespace lockkeeper::config
