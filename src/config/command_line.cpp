#include "config/command_line.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/text.hpp"

namespace lockkeeper::config {
namespace {

namespace po = boost::program_options;

[[noreturn]] void usage_error(std::string message, std::string hint = {}) {
  throw util::Error(util::Outcome::usage, std::move(message), std::move(hint));
}

/// What people try instead of a variable. Their value is a secret.
constexpr auto k_secret_flags =
    std::to_array<std::string_view>({"database-url", "db-url", "database", "url", "dsn", "uri", "conninfo",
                                     "connection-string", "password", "pgpassword"});

constexpr std::string_view k_secret_hint =
    "Arguments are visible to everyone in `ps` and in the pod's spec. Set the environment variable DATABASE_URL, or "
    "name "
    "a variable with --database-url-env NAME or a file with --database-url-file PATH.";

bool looks_like_address(std::string_view argument) {
  return argument.find("://") != std::string_view::npos || argument.find("password=") != std::string_view::npos;
}

/// Words a person typed by mistake can be repeated; anything else could be a secret.
bool is_plain_word(std::string_view word) {
  constexpr std::size_t k_longest_word = 30;
  return !word.empty() && word.size() <= k_longest_word &&
         std::all_of(word.begin(), word.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '-' || c == '_'; });
}

/// The closest name, else those that begin like \p word: abbreviations are not guessed, but explained.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& candidates,
                         std::string_view prefix) {
  std::vector<std::string> names;
  if (const std::string_view best = util::closest(word, candidates); !best.empty()) {
    names.push_back(fmt::format("{}{}", prefix, best));
  } else {
    for (const std::string_view candidate : candidates) {
      if (candidate.starts_with(word)) {
        names.push_back(fmt::format("{}{}", prefix, candidate));
      }
    }
  }
  return names.empty() ? std::string() : fmt::format("Did you mean {}?", fmt::join(names, ", "));
}

std::vector<std::string_view> command_names() {
  std::vector<std::string_view> names{"help"};
  for (const CommandRow& command : commands()) {
    names.push_back(command.name);
  }
  return names;
}

std::vector<std::string_view> option_names(const CommandRow* command) {
  std::vector<std::string_view> names{"help"};
  for (const OptionRow& option : options()) {
    if (command == nullptr || (option.used_by & command->bit) != 0) {
      names.push_back(option.name);
    }
  }
  return names;
}

std::string commands_of(const OptionRow& option) {
  std::vector<std::string_view> names;
  for (const CommandRow& command : commands()) {
    if ((option.used_by & command.bit) != 0) {
      names.push_back(command.name);
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// The name in a token like --name=value; empty when the token is not a flag.
std::string_view flag_in(std::string_view token) {
  if (!token.starts_with("--")) {
    return {};
  }
  const std::string_view name = token.substr(2);
  return name.substr(0, name.find('='));
}

void refuse_secret_flags(const std::vector<std::string>& tokens) {
  for (const std::string& token : tokens) {
    if (token == "--") {
      return;
    }
    const std::string_view name = flag_in(token);
    if (std::find(k_secret_flags.begin(), k_secret_flags.end(), name) != k_secret_flags.end()) {
      usage_error(fmt::format("there is no flag --{}", name), std::string(k_secret_hint));
    }
  }
}

po::options_description describe_options() {
  po::options_description description;
  for (const OptionRow& option : options()) {
    const std::string name(option.name);
    if (option.type == ValueType::boolean) {
      description.add_options()(name.c_str(), "");
    } else {
      description.add_options()(name.c_str(), po::value<std::vector<std::string>>(), "");
    }
  }
  description.add_options()("help,h", "")("version", "");
  return description;
}

[[noreturn]] void throw_value_missing(const OptionRow& option) {
  usage_error(fmt::format("flag {} needs a value: {}", flag_name(option), expected_form(option)));
}

/// What the library has to say, without what it repeats of the command line.
[[noreturn]] void rethrow(const po::error_with_option_name& error, const CommandRow* command) {
  std::string name = error.get_option_name();
  name = name.substr(0, name.find('='));
  const std::string_view bare = std::string_view(name).substr(std::min(name.find_first_not_of('-'), name.size()));
  const OptionRow* option = find_option(bare);
  if (option != nullptr && option->type == ValueType::boolean) {
    usage_error(fmt::format("flag {} takes no value", flag_name(*option)));
  }
  if (option != nullptr) {
    throw_value_missing(*option);
  }
  if (bare == "help" || bare == "version") {
    usage_error(fmt::format("flag --{} takes no value", bare));
  }
  if (!is_plain_word(bare)) {
    // Not repeated: `-postgres://...` is read as a flag too.
    usage_error("there is an unknown flag (not shown: it could hold a password)", "See lockkeeper --help.");
  }
  std::string hint = did_you_mean(bare, option_names(command), "--");
  if (hint.empty()) {
    hint = fmt::format("See lockkeeper {}--help.", command == nullptr ? "" : fmt::format("{} ", command->name));
  }
  usage_error(fmt::format("there is no flag {}{}", bare.size() == 1 ? "-" : "--", bare), std::move(hint));
}

/// The first token that is a command: for better messages when the line as a whole cannot be read.
const CommandRow* guess_command(const std::vector<std::string>& tokens) {
  for (const std::string& token : tokens) {
    if (const CommandRow* command = find_command(token)) {
      return command;
    }
  }
  return nullptr;
}

struct Tokens {
  std::vector<po::option> flags;
  std::vector<std::string> words;
};

Tokens split_tokens(const std::vector<std::string>& tokens) {
  using Style = po::command_line_style::style_t;
  // Of the short forms only -h exists; they are enabled so that -x is an unknown flag, not an argument.
  constexpr int k_style = Style::allow_long | Style::long_allow_adjacent | Style::long_allow_next | Style::allow_short |
                          Style::allow_dash_for_short | Style::short_allow_adjacent | Style::short_allow_next;
  const po::options_description description = describe_options();
  Tokens result;
  try {
    const auto parsed = po::command_line_parser(tokens).options(description).style(k_style).run();
    for (const po::option& option : parsed.options) {
      if (option.position_key >= 0) {
        result.words.insert(result.words.end(), option.value.begin(), option.value.end());
      } else {
        result.flags.push_back(option);
      }
    }
  } catch (const po::error_with_option_name& error) {
    rethrow(error, guess_command(tokens));
  } catch (const po::error&) {
    usage_error("the command line cannot be read", "See lockkeeper --help.");
  }
  return result;
}

const CommandRow& required_command(const std::string& word) {
  if (looks_like_address(word)) {
    usage_error("a connection string stands where the command is expected (not shown)", std::string(k_secret_hint));
  }
  if (const CommandRow* command = find_command(word)) {
    return *command;
  }
  std::string hint = did_you_mean(word, command_names(), "lockkeeper ");
  if (hint.empty()) {
    hint = "See lockkeeper --help for the commands.";
  }
  usage_error(is_plain_word(word) ? fmt::format("there is no command {}", word)
                                  : std::string("there is an unknown command (not shown: it could hold a password)"),
              std::move(hint));
}

void check_arguments(const CommandRow& command, const std::vector<std::string>& arguments) {
  if (std::any_of(arguments.begin(), arguments.end(), looks_like_address)) {
    usage_error(fmt::format("a connection string stands among the arguments of {} (not shown)", command.name),
                std::string(k_secret_hint));
  }
  const std::size_t expected = command.argument.empty() ? 0 : 1;
  if (arguments.size() < expected && !command.argument.starts_with('[')) {
    usage_error(fmt::format("{} needs {}", command.name, command.argument),
                fmt::format("See lockkeeper {} --help.", command.name));
  }
  if (arguments.size() > expected) {
    usage_error(expected == 0 ? fmt::format("{} takes no arguments, {} given", command.name, arguments.size())
                              : fmt::format("{} takes one argument, {} given", command.name, arguments.size()),
                fmt::format("See lockkeeper {} --help.", command.name));
  }
}

/// Flags into values; the last of several counts, lists are joined.
std::vector<Given> collect_flags(const std::vector<po::option>& flags, const CommandRow* command) {
  std::vector<std::pair<const OptionRow*, std::vector<std::string>>> texts;
  for (const po::option& flag : flags) {
    const OptionRow* option = find_option(flag.string_key);
    if (option == nullptr) {
      continue;  // help and version
    }
    if (command != nullptr && (option->used_by & command->bit) == 0) {
      usage_error(fmt::format("flag {} is not for {}", flag_name(*option), command->name),
                  fmt::format("It is for: {}.", commands_of(*option)));
    }
    // `--migrations --yes`: the library takes the second flag for a value.
    const bool adjacent = !flag.original_tokens.empty() && flag.original_tokens.front().find('=') != std::string::npos;
    if (!adjacent && !flag.value.empty() && flag.value.front().starts_with("--")) {
      throw_value_missing(*option);
    }
    const auto same =
        std::find_if(texts.begin(), texts.end(), [&](const auto& entry) { return entry.first == option; });
    if (same == texts.end()) {
      texts.emplace_back(option, flag.value);
    } else {
      same->second.insert(same->second.end(), flag.value.begin(), flag.value.end());
    }
  }
  std::vector<Given> given;
  given.reserve(texts.size());
  for (const auto& [option, values] : texts) {
    given.push_back(make_given(*option, Layer::flag, values, fmt::format("flag {}", flag_name(*option))));
  }
  return given;
}

bool has_flag(const Tokens& tokens, std::string_view name) {
  return std::any_of(tokens.flags.begin(), tokens.flags.end(),
                     [&](const po::option& flag) { return flag.string_key == name; });
}

/// `lockkeeper help [COMMAND]`, `lockkeeper [COMMAND] --help`.
CommandLine help_request(const std::vector<std::string>& words) {
  CommandLine line;
  line.request = CommandLine::Request::help;
  if (!words.empty() && words.front() != "help") {
    line.command = &required_command(words.front());
  }
  return line;
}

std::string default_text(const OptionRow& option) {
  if (!option.fallback.empty()) {
    return fmt::format(" [{}]", option.fallback);
  }
  return option.fallback_note.empty() ? "" : fmt::format(" [{}]", option.fallback_note);
}

std::string option_help(const OptionRow& option) {
  const std::string argument = option.argument.empty() ? "" : fmt::format(" {}", option.argument);
  const std::string choices = option.choices.empty() ? "" : fmt::format(": {}", fmt::join(option.choices, ", "));
  return fmt::format("  {}{}\n      {}{}{}\n      {}{}\n", flag_name(option), argument, option.help, choices,
                     default_text(option), variable_name(option),
                     option.in_yaml ? fmt::format(", key {}", yaml_key(option)) : "");
}

}  // namespace

CommandLine parse_command_line(int argc, const char* const* argv) {
  const std::vector<std::string> all(argv + std::min(argc, 1), argv + argc);
  refuse_secret_flags(all);
  // Help comes first: who asks for it may have got the rest wrong.
  if (std::any_of(all.begin(), all.end(),
                  [](const std::string& token) { return token == "--help" || token == "-h"; })) {
    const CommandRow* command = guess_command(all);
    return {CommandLine::Request::help, command, {}, {}};
  }
  const Tokens tokens = split_tokens(all);
  if (has_flag(tokens, "version")) {
    return {CommandLine::Request::version, nullptr, {}, collect_flags(tokens.flags, nullptr)};
  }
  if (tokens.words.empty()) {
    usage_error("no command is given", "See lockkeeper --help; the deploy step is lockkeeper up.");
  }
  std::vector<std::string> arguments(tokens.words.begin() + 1, tokens.words.end());
  if (tokens.words.front() == "help") {
    return help_request(arguments);
  }
  const CommandRow& command = required_command(tokens.words.front());
  check_arguments(command, arguments);
  return {CommandLine::Request::run, &command, std::move(arguments), collect_flags(tokens.flags, &command)};
}

std::string overview_help() {
  std::string text =
      "lockkeeper applies PostgreSQL migrations before a deploy: locked, verified, observable.\n"
      "\n"
      "usage: lockkeeper COMMAND [options]\n"
      "\n"
      "commands:\n";
  for (const CommandRow& command : commands()) {
    const std::string name =
        command.argument.empty() ? std::string(command.name) : fmt::format("{} {}", command.name, command.argument);
    text += fmt::format("  {:<16} {}{}\n", name, command.help, command.changes_database ? " *" : "");
  }
  text +=
      "  help COMMAND     show the options of a command (also: COMMAND --help)\n"
      "  * changes the database\n"
      "\n"
      "  --version        show the version; with --verbose also how it was built\n"
      "\n"
      "The database URL comes from DATABASE_URL or another source listed in docs/configuration.md, never from a flag.\n"
      "Every option is also a variable LOCKKEEPER_<OPTION> and a key in lockkeeper.yaml:\n"
      "default < lockkeeper.yaml < its environment block < variable < flag.\n"
      "Durations are written 500ms, 5s, 10m, 1h. Exit codes: lockkeeper explain CODE.\n";
  return text;
}

std::string command_help(const CommandRow& command) {
  std::string text = fmt::format("lockkeeper {}: {}\n{}\nusage: lockkeeper {}{}{} [options]\n", command.name,
                                 command.help, command.changes_database ? "It changes the database.\n" : "",
                                 command.name, command.argument.empty() ? "" : " ", command.argument);
  for (const auto group : {OptionGroup::command, OptionGroup::policy, OptionGroup::limits, OptionGroup::database,
                           OptionGroup::files, OptionGroup::output, OptionGroup::metrics}) {
    std::string section;
    for (const OptionRow& option : options()) {
      if (option.group == group && (option.used_by & command.bit) != 0) {
        section += option_help(option);
      }
    }
    if (!section.empty()) {
      text += fmt::format("\n{}:\n{}", title(group), section);
    }
  }
  return text;
}

}  // namespace lockkeeper::config
