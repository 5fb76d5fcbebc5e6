#include "config/load.hpp"

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <system_error>

#include <fmt/format.h>

#include "config/command_line.hpp"
#include "config/database_source.hpp"
#include "config/option_value.hpp"
#include "config/text_file.hpp"
#include "config/yaml_file.hpp"
#include "util/text.hpp"

namespace lockkeeper::config {
namespace {

using DotenvPlaces = std::map<std::string, std::string, std::less<>>;

bool uses(const CommandRow& command, const OptionRow& option) {
  return (option.used_by & command.bit) != 0;
}

bool uses(const CommandRow& command, std::string_view option_name) {
  const OptionRow* option = find_option(option_name);
  return option != nullptr && uses(command, *option);
}

/// The value that counts for one option; nullptr when it was not given.
const Given* find_winner(const std::vector<Given>& given, std::string_view name) {
  const Given* winner = nullptr;
  for (const Given& candidate : given) {
    if (candidate.option->name == name && (winner == nullptr || candidate.layer >= winner->layer)) {
      winner = &candidate;
    }
  }
  return winner;
}

void apply_defaults(Settings& settings, bool stdin_is_terminal) {
  constexpr std::chrono::seconds k_auth_wait{15};
  for (const OptionRow& option : options()) {
    if (option.fallback.empty()) {
      continue;
    }
    const ParsedValue parsed = parse_value(option, Layer::file, {std::string(option.fallback)});
    option.set(settings, parsed.value.value());
  }
  // A person sees a wrong password at once; a Job may have started before the secret that is being rotated.
  settings.auth_wait = stdin_is_terminal ? util::Duration(0) : util::Duration(k_auth_wait);
}

void apply_given(Settings& settings, const CommandRow& command, const std::vector<Given>& given) {
  for (const OptionRow& option : options()) {
    const Given* winner = uses(command, option) ? find_winner(given, option.name) : nullptr;
    if (winner != nullptr) {
      option.set(settings, winner->value);
      settings.origins.push_back({std::string(option.name), winner->text, winner->source});
    }
  }
}

/// A .env file is read only when it is named: one that lies around must not decide which database is migrated.
DotenvPlaces read_dotenv_below(LoadResult& result, const std::string& path) {
  DotenvPlaces places;
  for (DotenvEntry& entry : read_dotenv(path)) {
    if (entry.name == "LOCKKEEPER_ENV_FILE" ||
        (find_variable(result.environment, entry.name) && !places.contains(entry.name))) {
      continue;
    }
    places[entry.name] = fmt::format("{}:{}", path, entry.line);
    result.environment[entry.name] = entry.value;
  }
  for (const auto& [name, place] : places) {
    result.dotenv.emplace_back(name, result.environment[name]);
  }
  return places;
}

/// The path of the configuration file and how to call it; empty when there is none.
struct ConfigFile {
  std::string path;
  std::string what;
};

ConfigFile find_config_file(const std::vector<Given>& given, const LoadContext& context) {
  if (const Given* config = find_winner(given, "config")) {
    return {config->value.text, fmt::format("file {} ({})", config->value.text, config->source)};
  }
  std::error_code ignored;
  if (std::filesystem::exists(context.default_config_file, ignored)) {
    return {context.default_config_file, "file " + context.default_config_file};
  }
  return {};
}

/// Adds what lockkeeper.yaml says.
void read_config_file(LoadResult& result, std::vector<Given>& given, const LoadContext& context) {
  const ConfigFile file = find_config_file(given, context);
  const Given* environment = find_winner(given, "env");
  if (file.path.empty()) {
    if (environment != nullptr) {
      throw util::Error(
          util::Outcome::config,
          fmt::format("{} is given, but there is no {}", environment->source, context.default_config_file),
          "Environments are described in lockkeeper.yaml; name another file with --config FILE.");
    }
    return;
  }
  YamlSettings yaml =
      read_yaml_file(file.path, file.what, environment == nullptr ? std::string() : environment->value.text);
  given.insert(given.end(), yaml.given.begin(), yaml.given.end());
  result.settings.config_file = file.path;
  result.settings.environment_rules = std::move(yaml.rules);
}

std::string find_namespace(const Environment& environment, const std::string& file) {
  constexpr std::size_t k_max_bytes = 1024;
  if (const auto name = find_variable(environment, "POD_NAMESPACE")) {
    return *name;
  }
  try {
    return std::string(util::trim(read_text_file(file, "file " + file, k_max_bytes)));
  } catch (const util::Error&) {
    return {};  // not in a pod, or no service account is mounted: the label is left out
  }
}

[[noreturn]] void conflict(const std::vector<Given>& given, std::initializer_list<std::string_view> names,
                           std::string message, std::string hint) {
  bool by_flag = false;
  std::string sources;
  for (const std::string_view name : names) {
    if (const Given* winner = find_winner(given, name)) {
      by_flag = by_flag || winner->layer == Layer::flag;
      sources += fmt::format("{}{}: {}", sources.empty() ? "" : "\n", name, winner->source);
    }
  }
  throw util::Error({.outcome = by_flag ? util::Outcome::usage : util::Outcome::config,
                     .message = std::move(message),
                     .hint = std::move(hint),
                     .detail = std::move(sources),
                     .sqlstate = {},
                     .where = {},
                     .excerpt = {}});
}

void check_metrics(const MetricsSettings& metrics, const std::vector<Given>& given) {
  if (metrics.required && metrics.urls.empty() && metrics.file.empty()) {
    conflict(given, {"metrics-required"}, "metrics are required, but nothing says where to",
             "Set metrics-url or metrics-file, or leave metrics-required out.");
  }
  if (metrics.username.empty() != metrics.password_file.empty()) {
    conflict(given, {"metrics-username", "metrics-password-file"},
             "metrics-username and metrics-password-file need each other", "Set both or none.");
  }
  if (metrics.client_certificate.empty() && !metrics.client_key.empty()) {
    conflict(given, {"metrics-client-key"}, "metrics-client-key needs metrics-client-certificate", "Set both.");
  }
  if (!metrics.username.empty() && !metrics.bearer_token_file.empty()) {
    conflict(given, {"metrics-username", "metrics-bearer-token-file"},
             "metrics-username and metrics-bearer-token-file exclude each other", "Leave one of them out.");
  }
}

void check_command(const Settings& settings, const std::vector<Given>& given) {
  if (settings.format == OutputFormat::markdown && settings.command != "plan") {
    conflict(given, {"format"}, fmt::format("{} cannot print markdown", settings.command),
             "Use table or json; markdown is for plan.");
  }
  if (settings.command == "repair" && !settings.accept_checksum) {
    throw util::Error(util::Outcome::usage, "repair needs --accept-checksum",
                      "It records the checksum that the file has now as the right one; look at the change first.");
  }
}

std::string help_text(const CommandLine& line) {
  return line.command == nullptr ? overview_help() : command_help(*line.command);
}

}  // namespace

LoadResult load(int argc, const char* const* argv, const Environment& environment, const LoadContext& context) {
  CommandLine line = parse_command_line(argc, argv);
  LoadResult result;
  result.environment = environment;
  if (line.request == CommandLine::Request::help) {
    result.action = LoadResult::Action::print;
    result.text = help_text(line);
    return result;
  }
  apply_defaults(result.settings, context.stdin_is_terminal);
  if (line.request == CommandLine::Request::version) {
    result.action = LoadResult::Action::version;
    result.settings.verbose = find_winner(line.given, "verbose") != nullptr;
    return result;
  }
  Settings& settings = result.settings;
  const CommandRow& command = *line.command;
  settings.command = command.name;
  settings.arguments = std::move(line.arguments);
  if (!uses(command, "config")) {
    return result;  // `explain` must work when the configuration is what is broken
  }
  std::vector<Given> given = std::move(line.given);
  DotenvPlaces places;
  std::vector<Given> variables = read_variables(environment);
  variables.insert(variables.end(), given.begin(), given.end());
  if (const Given* env_file = find_winner(variables, "env-file")) {
    places = read_dotenv_below(result, env_file->value.text);
  }
  variables = read_variables(result.environment, places);
  given.insert(given.end(), variables.begin(), variables.end());
  read_config_file(result, given, context);
  apply_given(settings, command, given);
  if (uses(command, "database-url-env")) {
    settings.database = choose_database_source(given, result.environment);
  }
  if (uses(command, "metrics-url")) {
    if (find_winner(given, "metrics-namespace") == nullptr) {
      settings.metrics.name_space = find_namespace(result.environment, context.namespace_file);
    }
    check_metrics(settings.metrics, given);
  }
  check_command(settings, given);
  return result;
}

LoadResult load(int argc, const char* const* argv, const Environment& environment, bool stdin_is_terminal) {
  LoadContext context;
  context.stdin_is_terminal = stdin_is_terminal;
  return load(argc, argv, environment, context);
}

}  // namespace lockkeeper::config
