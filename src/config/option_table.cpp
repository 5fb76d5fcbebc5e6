#include "config/option_table.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace lockkeeper::config {
namespace {

constexpr CommandSet k_up = 1U << 0U;
constexpr CommandSet k_plan = 1U << 1U;
constexpr CommandSet k_status = 1U << 2U;
constexpr CommandSet k_verify = 1U << 3U;
constexpr CommandSet k_check = 1U << 4U;
constexpr CommandSet k_wait = 1U << 5U;
constexpr CommandSet k_down = 1U << 6U;
constexpr CommandSet k_baseline = 1U << 7U;
constexpr CommandSet k_repair = 1U << 8U;
constexpr CommandSet k_grants = 1U << 9U;
constexpr CommandSet k_doctor = 1U << 10U;
constexpr CommandSet k_new = 1U << 11U;
constexpr CommandSet k_explain = 1U << 12U;

constexpr CommandSet k_planning = k_up | k_plan | k_check | k_wait;
constexpr CommandSet k_changing = k_up | k_down | k_baseline | k_repair;
constexpr CommandSet k_with_database = k_planning | k_changing | k_status | k_verify | k_doctor;
constexpr CommandSet k_with_files = k_with_database | k_new;
constexpr CommandSet k_configured = k_with_database | k_grants | k_new;

constexpr auto k_commands = std::to_array<CommandRow>({
    {"up", "", "the deploy step: connect, plan, lock, apply, verify, report", true, true, k_up},
    {"plan", "", "show what `up` would do, statement by statement", false, true, k_plan},
    {"status", "", "list the migrations and the state of each", false, true, k_status},
    {"verify", "", "check that applied files are unchanged and every `expect:` still holds", false, true, k_verify},
    {"check", "", "exit 0 when nothing is pending, 3 when something is", false, true, k_check},
    {"wait", "", "wait until nothing is pending, for init containers", false, true, k_wait},
    {"down", "", "roll back the newest migration, guarded against data loss", true, true, k_down},
    {"baseline", "", "record migrations as applied without running them", true, true, k_baseline},
    {"repair", "VERSION", "record that a changed applied file is meant", true, true, k_repair},
    {"grants", "", "print the GRANT script for the roles that are needed", false, false, k_grants},
    {"doctor", "", "say what would work and what would not: connection, roles, grants, pooler", false, true, k_doctor},
    {"new", "NAME", "create a migration directory", false, false, k_new},
    {"explain", "[CODE]", "say what an exit code means and what to do", false, false, k_explain},
});

// In the order of the enums they are cast to.
constexpr std::array<std::string_view, 3> k_on_ahead{"ok", "warn", "fail"};
constexpr std::array<std::string_view, 2> k_on_out_of_order{"fail", "apply"};
constexpr std::array<std::string_view, 2> k_on_missing{"fail", "ignore"};
constexpr std::array<std::string_view, 3> k_phases{"pre", "post", "all"};
constexpr std::array<std::string_view, 2> k_poolers{"transaction", "session"};
constexpr std::array<std::string_view, 2> k_switch{"on", "off"};
constexpr std::array<std::string_view, 3> k_formats{"table", "json", "markdown"};
constexpr std::array<std::string_view, 2> k_log_formats{"text", "json"};

DatabaseSource named_variable(const std::string& name) {
  return {DatabaseSource::Kind::variable, name, "environment variable " + name};
}

DatabaseSource named_file(const std::string& path) {
  return {DatabaseSource::Kind::file, path, "file " + path};
}

constexpr auto k_options = std::to_array<OptionRow>({
    {.name = "migrations",
     .type = ValueType::path,
     .argument = "DIR",
     .fallback = "migrations",
     .help = "directory with the migrations",
     .group = OptionGroup::files,
     .used_by = k_with_files,
     .set = [](auto& s, auto& v) { s.migrations = v.text; }},
    {.name = "config",
     .type = ValueType::path,
     .argument = "FILE",
     .fallback_note = "lockkeeper.yaml when it is there",
     .help = "the configuration file",
     .group = OptionGroup::files,
     .used_by = k_configured,
     .in_yaml = false,
     .set = [](auto& s, auto& v) { s.config_file = v.text; }},
    {.name = "env",
     .type = ValueType::text,
     .argument = "NAME",
     .help = "use this block of `environments:` in the configuration file",
     .group = OptionGroup::files,
     .used_by = k_configured,
     .in_yaml = false,
     .set = [](auto& s, auto& v) { s.environment = v.text; }},
    {.name = "env-file",
     .type = ValueType::path,
     .argument = "FILE",
     .help = "read variables from a .env file; the real environment wins",
     .group = OptionGroup::files,
     .used_by = k_configured,
     .in_yaml = false,
     .set = [](auto& s, auto& v) { s.env_file = v.text; }},

    {.name = "database-url-env",
     .type = ValueType::variable_name,
     .argument = "NAME",
     .help = "the environment variable that holds the database URL",
     .group = OptionGroup::database,
     .used_by = k_with_database,
     .set = [](auto& s, auto& v) { s.database = named_variable(v.text); }},
    {.name = "database-url-file",
     .type = ValueType::path,
     .argument = "PATH",
     .help = "the file that holds the database URL, such as a mounted secret",
     .group = OptionGroup::database,
     .used_by = k_with_database,
     .set = [](auto& s, auto& v) { s.database = named_file(v.text); }},
    {.name = "history-table",
     .type = ValueType::table_name,
     .argument = "SCHEMA.TABLE",
     .fallback = "lockkeeper.history",
     .help = "the table that records what was applied",
     .group = OptionGroup::database,
     .used_by = k_with_database | k_grants,
     .set =
         [](auto& s, auto& v) {
           s.history_schema = v.list.at(0);
           s.history_table = v.list.at(1);
         }},
    {.name = "history-readers",
     .type = ValueType::list,
     .argument = "ROLE,...",
     .help = "roles that may read the history table",
     .group = OptionGroup::database,
     .used_by = k_changing | k_grants,
     .set = [](auto& s, auto& v) { s.history_readers = v.list; }},
    {.name = "role",
     .type = ValueType::text,
     .argument = "ROLE",
     .help = "SET ROLE after connecting, so that this role owns what is created",
     .group = OptionGroup::database,
     .used_by = k_with_database | k_grants,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.role = v.text; }},
    {.name = "pooler",
     .type = ValueType::choice,
     .argument = "MODE",
     .fallback = "transaction",
     .choices = k_poolers,
     .help = "a pooler in between keeps a backend per transaction (then migrations need one), or per client session",
     .group = OptionGroup::database,
     .used_by = k_changing | k_plan | k_doctor,
     .set = [](auto& s, auto& v) { s.session_pooler = v.choice == 1; }},

    {.name = "connect-wait",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "60s",
     .help = "wait for a server that is down or starting; 0 = one attempt",
     .group = OptionGroup::limits,
     .used_by = k_with_database,
     .set = [](auto& s, auto& v) { s.connect_wait = v.duration; }},
    {.name = "connect-timeout",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "10s",
     .help = "limit of one attempt to connect",
     .group = OptionGroup::limits,
     .used_by = k_with_database,
     .positive = true,
     .set = [](auto& s, auto& v) { s.connect_timeout = v.duration; }},
    {.name = "auth-wait",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback_note = "15s; 0 on a terminal",
     .help = "try again after a refused login, for secrets that are just being rotated; 0 = one attempt",
     .group = OptionGroup::limits,
     .used_by = k_with_database,
     .set = [](auto& s, auto& v) { s.auth_wait = v.duration; }},
    {.name = "lock-wait",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "5m",
     .help = "wait for another runner to finish; 0 = try once",
     .group = OptionGroup::limits,
     .used_by = k_changing,
     .set = [](auto& s, auto& v) { s.limits.lock_wait = v.duration; }},
    {.name = "lock-timeout",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "2s",
     .help = "wait for table locks, in all statements of one attempt together; 0 = no limit",
     .group = OptionGroup::limits,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.limits.lock_timeout = v.duration; }},
    {.name = "lock-retry-budget",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "5m",
     .help = "try a migration again after a lock timeout, for this long; 0 = one attempt",
     .group = OptionGroup::limits,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.limits.lock_retry_budget = v.duration; }},
    {.name = "watch",
     .type = ValueType::choice,
     .argument = "WHETHER",
     .fallback = "on",
     .choices = k_switch,
     .help = "a second connection that looks who blocks a migration",
     .group = OptionGroup::limits,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.limits.watch = v.choice == 0; }},
    {.name = "queue-limit",
     .type = ValueType::count,
     .argument = "COUNT",
     .fallback = "20",
     .help = "give way when more sessions than this wait behind a migration for a second; 0 = never",
     .group = OptionGroup::limits,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.limits.queue_limit = v.count; }},
    {.name = "pipeline",
     .type = ValueType::choice,
     .argument = "WHETHER",
     .fallback = "on",
     .choices = k_switch,
     .help = "send migrations before those ahead of them are answered",
     .group = OptionGroup::limits,
     .used_by = k_up,
     .set = [](auto& s, auto& v) { s.limits.pipeline = v.choice == 0; }},
    {.name = "async-commits",
     .type = ValueType::choice,
     .argument = "WHETHER",
     .fallback = "on",
     .choices = k_switch,
     .help = "of migrations sent together only the last commit waits for the server's disk",
     .group = OptionGroup::limits,
     .used_by = k_up,
     .set = [](auto& s, auto& v) { s.limits.async_commits = v.choice == 0; }},
    {.name = "statement-timeout",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "0",
     .help = "limit of one statement of a migration; 0 = no limit",
     .group = OptionGroup::limits,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.limits.statement_timeout = v.duration; }},
    {.name = "deadline",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "0",
     .help = "limit of the whole run, which no wait outlasts; 0 = no limit",
     .group = OptionGroup::limits,
     .used_by = k_with_database,
     .set = [](auto& s, auto& v) { s.limits.deadline = v.duration; }},

    {.name = "on-ahead",
     .type = ValueType::choice,
     .argument = "WHAT",
     .fallback = "ok",
     .choices = k_on_ahead,
     .help = "when the database has versions newer than every file",
     .group = OptionGroup::policy,
     .used_by = k_planning,
     .set = [](auto& s, auto& v) { s.policy.on_ahead = static_cast<core::OnAhead>(v.choice); }},
    {.name = "on-out-of-order",
     .type = ValueType::choice,
     .argument = "WHAT",
     .fallback = "fail",
     .choices = k_on_out_of_order,
     .help = "when a pending file is older than an applied one",
     .group = OptionGroup::policy,
     .used_by = k_planning,
     .set = [](auto& s, auto& v) { s.policy.on_out_of_order = static_cast<core::OnOutOfOrder>(v.choice); }},
    {.name = "on-missing",
     .type = ValueType::choice,
     .argument = "WHAT",
     .fallback = "fail",
     .choices = k_on_missing,
     .help = "when an applied version has no file",
     .group = OptionGroup::policy,
     .used_by = k_planning,
     .set = [](auto& s, auto& v) { s.policy.on_missing = static_cast<core::OnMissing>(v.choice); }},
    {.name = "phase",
     .type = ValueType::choice,
     .argument = "PHASE",
     .fallback = "pre",
     .choices = k_phases,
     .help = "which migrations: before the deploy, after it, or both",
     .group = OptionGroup::policy,
     .used_by = k_planning,
     .set = [](auto& s, auto& v) { s.policy.phase = static_cast<core::PhaseFilter>(v.choice); }},

    {.name = "yes",
     .type = ValueType::boolean,
     .help = "do not ask on a terminal; `down` needs it without one",
     .group = OptionGroup::command,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.yes = v.boolean; }},
    {.name = "strict",
     .type = ValueType::boolean,
     .help = "exit 4 when the database is ahead of the files",
     .group = OptionGroup::command,
     .used_by = k_check,
     .set = [](auto& s, auto& v) { s.strict = v.boolean; }},
    {.name = "timeout",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "10m",
     .help = "give up waiting after this time",
     .group = OptionGroup::command,
     .used_by = k_wait,
     .positive = true,
     .set = [](auto& s, auto& v) { s.wait_timeout = v.duration; }},
    {.name = "to",
     .type = ValueType::version,
     .argument = "VERSION",
     .fallback_note = "down: the newest; baseline: all",
     .help = "down: roll back everything newer than VERSION; baseline: record up to VERSION",
     .group = OptionGroup::command,
     .used_by = k_down | k_baseline,
     .in_yaml = false,
     .set = [](auto& s, auto& v) { s.to = v.text; }},
    {.name = "allow-data-loss",
     .type = ValueType::boolean,
     .help = "roll back although data is deleted by it",
     .group = OptionGroup::command,
     .used_by = k_down,
     .set = [](auto& s, auto& v) { s.allow_data_loss = v.boolean; }},
    {.name = "accept-checksum",
     .type = ValueType::boolean,
     .help = "record the file's checksum of now as the right one",
     .group = OptionGroup::command,
     .used_by = k_repair,
     .in_yaml = false,
     .set = [](auto& s, auto& v) { s.accept_checksum = v.boolean; }},

    {.name = "format",
     .type = ValueType::choice,
     .argument = "FORMAT",
     .fallback = "table",
     .choices = k_formats,
     .help = "how the result is printed; markdown is for `plan` only",
     .group = OptionGroup::output,
     .used_by = k_plan | k_status | k_verify,
     .set = [](auto& s, auto& v) { s.format = static_cast<OutputFormat>(v.choice); }},
    {.name = "verbose",
     .type = ValueType::boolean,
     .help = "show each statement; also with DEBUG=1",
     .group = OptionGroup::output,
     .used_by = k_with_database,
     .set = [](auto& s, auto& v) { s.verbose = v.boolean; }},
    {.name = "log-format",
     .type = ValueType::choice,
     .argument = "FORMAT",
     .fallback_note = "text on a terminal, else json",
     .choices = k_log_formats,
     .help = "how log lines are written",
     .group = OptionGroup::output,
     .used_by = k_with_database,
     .set = [](auto& s, auto& v) { s.log_format = v.choice == 0 ? LogFormat::text : LogFormat::json; }},
    {.name = "termination-log",
     .type = ValueType::path,
     .argument = "PATH",
     .fallback_note = "/dev/termination-log when it is there",
     .help = "where the result goes that `kubectl describe pod` shows",
     .group = OptionGroup::output,
     .used_by = k_with_database,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.termination_log = v.text; }},

    {.name = "metrics-url",
     .type = ValueType::urls,
     .argument = "URL,...",
     .help = "push metrics there: a Pushgateway, VictoriaMetrics (.../api/v1/import/prometheus), OTLP (.../v1/metrics)",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.urls = v.list; }},
    {.name = "metrics-file",
     .type = ValueType::path,
     .argument = "PATH",
     .help = "write metrics to this file, for the node exporter's textfile collector",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.file = v.text; }},
    {.name = "metrics-required",
     .type = ValueType::boolean,
     .help = "exit 35 when the metrics are not delivered (the migrations stay applied)",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.metrics.required = v.boolean; }},
    {.name = "metrics-job",
     .type = ValueType::text,
     .argument = "NAME",
     .fallback = "lockkeeper",
     .help = "the label `job`",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.metrics.job = v.text; }},
    {.name = "metrics-namespace",
     .type = ValueType::text,
     .argument = "NAME",
     .fallback_note = "the variable POD_NAMESPACE, else the pod's own namespace",
     .help = "the label `namespace`",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.name_space = v.text; }},
    {.name = "metrics-username",
     .type = ValueType::text,
     .argument = "NAME",
     .help = "user for these URLs (basic authentication)",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.username = v.text; }},
    {.name = "metrics-password-file",
     .type = ValueType::path,
     .argument = "PATH",
     .help = "file with that user's password",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.password_file = v.text; }},
    {.name = "metrics-bearer-token-file",
     .type = ValueType::path,
     .argument = "PATH",
     .help = "file with a bearer token for these URLs",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.bearer_token_file = v.text; }},
    {.name = "metrics-ca-file",
     .type = ValueType::path,
     .argument = "PATH",
     .fallback_note = "the system's authorities",
     .help = "file with the certificate authorities that the receiver is checked against",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.ca_file = v.text; }},
    {.name = "metrics-client-certificate",
     .type = ValueType::path,
     .argument = "PATH",
     .help = "file with the client certificate (PEM) to show to the receiver",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.client_certificate = v.text; }},
    {.name = "metrics-client-key",
     .type = ValueType::path,
     .argument = "PATH",
     .fallback_note = "the file of the certificate",
     .help = "file with its private key (PEM)",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .clearable = true,
     .set = [](auto& s, auto& v) { s.metrics.client_key = v.text; }},
    {.name = "metrics-connect-timeout",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "2s",
     .help = "limit of connecting to the receiver",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .positive = true,
     .set = [](auto& s, auto& v) { s.metrics.connect_timeout = v.duration; }},
    {.name = "metrics-timeout",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "5s",
     .help = "limit of the whole push to one URL, a second attempt included",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .positive = true,
     .set = [](auto& s, auto& v) { s.metrics.timeout = v.duration; }},
    {.name = "metrics-interval",
     .type = ValueType::duration,
     .argument = "DURATION",
     .fallback = "15s",
     .help = "how often a run that goes on tells that it does; 0 = only at its end",
     .group = OptionGroup::metrics,
     .used_by = k_up | k_down,
     .set = [](auto& s, auto& v) { s.metrics.interval = v.duration; }},
});

std::string markdown_commands(const OptionRow& option) {
  if (option.used_by == k_configured) {
    return "all but explain";
  }
  if (option.used_by == k_with_database) {
    return "all that connect";
  }
  if (option.used_by == (k_with_database | k_grants)) {
    return "all that connect, grants";
  }
  if (option.used_by == k_with_files) {
    return "all that connect, new";
  }
  std::vector<std::string_view> names;
  for (const CommandRow& command : k_commands) {
    if ((option.used_by & command.bit) != 0) {
      names.push_back(command.name);
    }
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string markdown_default(const OptionRow& option) {
  if (!option.fallback.empty()) {
    return fmt::format("`{}`", option.fallback);
  }
  if (!option.fallback_note.empty()) {
    return std::string(option.fallback_note);
  }
  return option.type == ValueType::boolean ? "`false`" : "none";
}

std::string markdown_row(const OptionRow& option) {
  const std::string argument = option.argument.empty() ? "" : fmt::format(" {}", option.argument);
  std::string help(option.help);
  if (!option.choices.empty()) {
    help += fmt::format(": `{}`", fmt::join(option.choices, "`, `"));
  }
  return fmt::format("| `{}{}` | `{}` | {} | {} | {} | {} |\n", flag_name(option), argument, variable_name(option),
                     option.in_yaml ? fmt::format("`{}`", yaml_key(option)) : "-", markdown_default(option), help,
                     markdown_commands(option));
}

std::string with_separator(std::string_view name, char separator) {
  std::string result(name);
  std::replace(result.begin(), result.end(), '-', separator);
  return result;
}

}  // namespace

std::span<const CommandRow> commands() {
  return k_commands;
}

const CommandRow* find_command(std::string_view name) {
  const auto* found =
      std::find_if(k_commands.begin(), k_commands.end(), [&](const auto& row) { return row.name == name; });
  return found == k_commands.end() ? nullptr : found;
}

std::string_view title(OptionGroup group) {
  switch (group) {
    case OptionGroup::files: return "Files and environments";
    case OptionGroup::database: return "Database";
    case OptionGroup::limits: return "Waiting and limits";
    case OptionGroup::policy: return "Policies";
    case OptionGroup::command: return "Options of single commands";
    case OptionGroup::output: return "Output";
    case OptionGroup::metrics: return "Metrics";
  }
  return {};
}

std::span<const OptionRow> options() {
  return k_options;
}

const OptionRow* find_option(std::string_view name) {
  const auto* found =
      std::find_if(k_options.begin(), k_options.end(), [&](const auto& row) { return row.name == name; });
  return found == k_options.end() ? nullptr : found;
}

const OptionRow* find_option_by_yaml_key(std::string_view key) {
  const auto* found =
      std::find_if(k_options.begin(), k_options.end(), [&](const auto& row) { return yaml_key(row) == key; });
  return found == k_options.end() ? nullptr : found;
}

std::string flag_name(const OptionRow& option) {
  return fmt::format("--{}", option.name);
}

std::string variable_name(const OptionRow& option) {
  std::string name = "LOCKKEEPER_" + with_separator(option.name, '_');
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return name;
}

std::string yaml_key(const OptionRow& option) {
  return with_separator(option.name, '_');
}

std::string configuration_markdown() {
  std::string result;
  for (const auto group : {OptionGroup::files, OptionGroup::database, OptionGroup::limits, OptionGroup::policy,
                           OptionGroup::command, OptionGroup::output, OptionGroup::metrics}) {
    result += fmt::format("### {}\n\n| flag | variable | key | default | meaning | commands |\n|--|--|--|--|--|--|\n",
                          title(group));
    for (const OptionRow& option : k_options) {
      if (option.group == group) {
        result += markdown_row(option);
      }
    }
    result += '\n';
  }
  return result;
}

}  // namespace lockkeeper::config
