#include "config/load.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/option_table.hpp"
#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

namespace {

/// Every field that an option can set, as one text: two settings that differ have different texts.
std::string fingerprint(const Settings& s) {
  const auto number = [](auto value) { return static_cast<int>(value); };
  std::string text =
      fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|", s.migrations, s.config_file, s.environment, s.env_file,
                  s.history_schema, s.history_table, fmt::join(s.history_readers, ","), s.role, s.session_pooler);
  text += s.database ? s.database->description : "no database";
  text +=
      fmt::format("|{}|{}|{}|{}|{}|{}|{}|{}|", s.connect_wait.count(), s.connect_timeout.count(), s.auth_wait.count(),
                  s.limits.lock_wait.count(), s.limits.lock_timeout.count(), s.limits.lock_retry_budget.count(),
                  s.limits.statement_timeout.count(), s.limits.deadline.count());
  text += fmt::format("{}|{}|{}|{}|", s.limits.watch, s.limits.queue_limit, s.limits.pipeline, s.limits.async_commits);
  text += fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|", number(s.policy.on_ahead), number(s.policy.on_out_of_order),
                      number(s.policy.on_missing), number(s.policy.phase), s.yes, s.verbose, number(s.format),
                      number(s.log_format));
  text += fmt::format("{}|{}|{}|{}|{}|{}|", s.termination_log, s.strict, s.wait_timeout.count(), s.allow_data_loss,
                      s.to, s.accept_checksum);
  const MetricsSettings& m = s.metrics;
  return text + fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}|{}", fmt::join(m.urls, ","), m.file, m.required,
                            m.job, m.name_space, m.username, m.password_file, m.bearer_token_file, m.ca_file,
                            m.connect_timeout.count(), m.timeout.count(), m.client_certificate, m.client_key,
                            m.interval.count());
}

/// The n-th of several values that are neither the default nor each other, as far as the type has them.
std::string sample(const OptionRow& option, std::size_t n) {
  switch (option.type) {
    case ValueType::duration: return fmt::format("{}s", 41 + n);
    case ValueType::boolean: return n % 2 == 0 ? "true" : "false";
    case ValueType::choice: return std::string(option.choices[(1 + n) % 2]);
    case ValueType::table_name: return fmt::format("ops.history{}", n);
    case ValueType::variable_name: return fmt::format("APP_URL_{}", n);
    case ValueType::urls: return fmt::format("http://push{}:9091", n);
    case ValueType::version: return fmt::format("{}", 100 + n);
    case ValueType::list: return fmt::format("role{}", n);
    case ValueType::count: return fmt::format("{}", 41 + n);
    case ValueType::text:
    case ValueType::path: return fmt::format("sample{}", n);
  }
  return {};
}

const CommandRow& command_for(const OptionRow& option) {
  return *std::find_if(commands().begin(), commands().end(),
                       [&](const CommandRow& command) { return (option.used_by & command.bit) != 0; });
}

/// The command, with what it and the option cannot be without.
std::vector<std::string> line_for(const OptionRow& option) {
  const CommandRow& command = command_for(option);
  std::vector<std::string> line{std::string(command.name)};
  if (!command.argument.empty()) {
    line.emplace_back("1");
  }
  const std::map<std::string_view, std::string> partners = {{"metrics-required", "--metrics-file=m.prom"},
                                                            {"metrics-username", "--metrics-password-file=p"},
                                                            {"metrics-password-file", "--metrics-username=u"},
                                                            {"metrics-client-key", "--metrics-client-certificate=c"}};
  if (const auto partner = partners.find(option.name); partner != partners.end()) {
    line.push_back(partner->second);
  }
  if (command.name == "repair" && option.name != "accept-checksum") {
    line.emplace_back("--accept-checksum");
  }
  return line;
}

std::string as_flag(const OptionRow& option, const std::string& value) {
  return option.type == ValueType::boolean ? flag_name(option) : fmt::format("{}={}", flag_name(option), value);
}

std::string as_yaml(const OptionRow& option, const std::string& value) {
  return fmt::format("{}: {}\n", yaml_key(option), option.type == ValueType::list ? "[" + value + "]" : value);
}

/// Options whose value must be the name of something that is there.
bool needs_a_file(const OptionRow& option) {
  return option.name == "config" || option.name == "env" || option.name == "env-file";
}

const ValueOrigin* origin_of(const Settings& settings, std::string_view option) {
  for (const ValueOrigin& origin : settings.origins) {
    if (origin.option == option) {
      return &origin;
    }
  }
  return nullptr;
}

}  // namespace

TEST_CASE("every option can be given by flag, variable and file, and changes the settings") {
  const TempDir directory;
  for (const OptionRow& option : options()) {
    if (needs_a_file(option)) {
      continue;
    }
    CAPTURE(option.name);
    const auto line = line_for(option);
    const std::string value = sample(option, 0);
    auto with_flag = line;
    with_flag.push_back(as_flag(option, value));
    const Settings by_flag = run_load(with_flag).settings;
    REQUIRE(origin_of(by_flag, option.name) != nullptr);
    CHECK(origin_of(by_flag, option.name)->value == value);
    CHECK(origin_of(by_flag, option.name)->source == "flag " + flag_name(option));

    if (option.name != "accept-checksum") {  // without it, repair is refused
      const Settings untouched =
          option.name.starts_with("metrics-") ? run_load({line[0]}).settings : run_load(line).settings;
      CHECK(origin_of(untouched, option.name) == nullptr);
      CHECK(fingerprint(by_flag) != fingerprint(untouched));
    }
    const Settings by_variable = run_load(line, {{variable_name(option), value}}).settings;
    REQUIRE(origin_of(by_variable, option.name) != nullptr);
    CHECK(origin_of(by_variable, option.name)->source == "environment variable " + variable_name(option));

    const std::string file = directory.write("lockkeeper.yaml", as_yaml(option, value));
    if (!option.in_yaml) {
      CHECK(error_of([&] { run_load(line, {}, file); }).outcome == util::Outcome::config);
      continue;
    }
    Settings by_file = run_load(line, {}, file).settings;
    REQUIRE(origin_of(by_file, option.name) != nullptr);
    CHECK(origin_of(by_file, option.name)->source.starts_with(file + ":1:"));
    by_file.config_file.clear();
    if (!option.name.starts_with("database-url-")) {  // the description names the place
      CHECK(fingerprint(by_file) == fingerprint(by_flag));
      CHECK(fingerprint(by_variable) == fingerprint(by_flag));
    }
  }
}

TEST_CASE("each source wins over the one before it: file, environment block, variable, flag") {
  const TempDir directory;
  for (const OptionRow& option : options()) {
    // Where the database URL comes from has an order of its own, see database_source_test.cpp.
    if (needs_a_file(option) || !option.in_yaml || option.name.starts_with("database-url-")) {
      continue;
    }
    CAPTURE(option.name);
    // false < true < false < flag (true), and three different values for other types.
    const std::string file_value = sample(option, 1);
    const std::string block_value = sample(option, 2);
    const std::string variable_value = sample(option, 3);
    const std::string flag_value = sample(option, 4);
    const std::string file =
        directory.write("lockkeeper.yaml", as_yaml(option, file_value) + "environments:\n  dev: {}\n  prod:\n    " +
                                               as_yaml(option, block_value));
    const auto line = line_for(option);
    const auto winner = [&](std::vector<std::string> extra, const Environment& environment) {
      extra.insert(extra.begin(), line.begin(), line.end());
      const Settings settings = run_load(extra, environment, file).settings;
      const ValueOrigin* origin = origin_of(settings, option.name);
      return origin == nullptr ? std::string("not given") : origin->value;
    };
    const Environment variable{{variable_name(option), variable_value}};
    CHECK(winner({}, {}) == file_value);
    CHECK(winner({"--env=dev"}, {}) == file_value);
    CHECK(winner({"--env=prod"}, {}) == block_value);
    CHECK(winner({"--env=prod"}, variable) == variable_value);
    CHECK(winner({"--env=prod", as_flag(option, flag_value)}, variable) == flag_value);
  }
}

TEST_CASE("defaults are those of the option table") {
  const Settings settings = run_load({"up"}).settings;
  CHECK(settings.migrations == "migrations");
  CHECK(settings.config_file.empty());
  CHECK(settings.history_schema == "lockkeeper");
  CHECK(settings.history_table == "history");
  CHECK_FALSE(settings.session_pooler);
  CHECK(settings.connect_wait == std::chrono::seconds(60));
  CHECK(settings.connect_timeout == std::chrono::seconds(10));
  CHECK(settings.auth_wait == std::chrono::seconds(15));
  CHECK(settings.limits.lock_wait == std::chrono::minutes(5));
  CHECK(settings.limits.lock_timeout == std::chrono::seconds(2));
  CHECK(settings.limits.lock_retry_budget == std::chrono::minutes(5));
  CHECK(settings.limits.watch);
  CHECK(settings.limits.queue_limit == 20);
  CHECK(settings.limits.statement_timeout.count() == 0);
  CHECK(settings.limits.deadline.count() == 0);
  CHECK(settings.wait_timeout == std::chrono::minutes(10));
  CHECK(settings.policy.on_ahead == core::OnAhead::ok);
  CHECK(settings.policy.on_out_of_order == core::OnOutOfOrder::fail);
  CHECK(settings.policy.on_missing == core::OnMissing::fail);
  CHECK(settings.policy.phase == core::PhaseFilter::pre);
  CHECK(settings.format == OutputFormat::table);
  CHECK(settings.log_format == LogFormat::automatic);
  CHECK(settings.metrics.job == "lockkeeper");
  CHECK(settings.metrics.name_space.empty());
  CHECK(settings.metrics.connect_timeout == std::chrono::seconds(2));
  CHECK(settings.metrics.timeout == std::chrono::seconds(5));
  CHECK_FALSE(settings.database.has_value());
  CHECK(settings.origins.empty());
}

TEST_CASE("choices reach the settings as they are named") {
  CHECK(run_load({"up", "--on-ahead=warn"}).settings.policy.on_ahead == core::OnAhead::warn);
  CHECK(run_load({"up", "--on-ahead=fail"}).settings.policy.on_ahead == core::OnAhead::fail);
  CHECK(run_load({"up", "--on-out-of-order=apply"}).settings.policy.on_out_of_order == core::OnOutOfOrder::apply);
  CHECK(run_load({"up", "--on-missing=ignore"}).settings.policy.on_missing == core::OnMissing::ignore);
  CHECK(run_load({"up", "--phase=post"}).settings.policy.phase == core::PhaseFilter::post);
  CHECK(run_load({"up", "--phase=all"}).settings.policy.phase == core::PhaseFilter::all);
  CHECK(run_load({"up", "--pooler=session"}).settings.session_pooler);
  CHECK(run_load({"plan", "--format=json"}).settings.format == OutputFormat::json);
  CHECK(run_load({"plan", "--format=markdown"}).settings.format == OutputFormat::markdown);
  CHECK(run_load({"up", "--log-format=text"}).settings.log_format == LogFormat::text);
  CHECK(run_load({"up", "--log-format=json"}).settings.log_format == LogFormat::json);
}

TEST_CASE("the watcher can be switched off and told when to give way, wherever on and off came as true and false") {
  const auto limits = [](const std::vector<std::string>& line, const Environment& environment = {}) {
    return run_load(line, environment).settings.limits;
  };
  CHECK_FALSE(limits({"up", "--watch", "off"}).watch);
  CHECK(limits({"up", "--watch=on"}, {{"LOCKKEEPER_WATCH", "off"}}).watch);
  CHECK_FALSE(limits({"down"}, {{"LOCKKEEPER_WATCH", "false"}}).watch);
  CHECK(limits({"down"}, {{"LOCKKEEPER_WATCH", "true"}}).watch);
  CHECK(limits({"up", "--queue-limit", "0"}).queue_limit == 0);
  CHECK(limits({"down"}, {{"LOCKKEEPER_QUEUE_LIMIT", "3"}}).queue_limit == 3);
  const TempDir directory;
  const std::string file = directory.write("lockkeeper.yaml", "watch: off\nqueue_limit: 7\n");
  const core::Limits from_file = run_load({"up"}, {}, file).settings.limits;
  CHECK_FALSE(from_file.watch);
  CHECK(from_file.queue_limit == 7);
}

TEST_CASE("pipelining and commits that do not wait for the disk can be switched off") {
  const auto limits = [](const std::vector<std::string>& line, const Environment& environment = {}) {
    return run_load(line, environment).settings.limits;
  };
  CHECK(limits({"up"}).pipeline);
  CHECK(limits({"up"}).async_commits);
  CHECK_FALSE(limits({"up", "--pipeline", "off"}).pipeline);
  CHECK_FALSE(limits({"up"}, {{"LOCKKEEPER_ASYNC_COMMITS", "off"}}).async_commits);
  const TempDir directory;
  const std::string file = directory.write("lockkeeper.yaml", "pipeline: off\nasync_commits: off\n");
  CHECK_FALSE(run_load({"up"}, {}, file).settings.limits.pipeline);
  CHECK_FALSE(run_load({"up"}, {}, file).settings.limits.async_commits);
  CHECK(limits({"up", "--pipeline=on"}, {{"LOCKKEEPER_PIPELINE", "off"}}).pipeline);
}

TEST_CASE("on a terminal a refused login is not tried again, unless asked for") {
  const char* const argv[] = {"lockkeeper", "up"};
  CHECK(load(2, argv, {}, true).settings.auth_wait.count() == 0);
  CHECK(load(2, argv, {{"LOCKKEEPER_AUTH_WAIT", "3s"}}, true).settings.auth_wait == std::chrono::seconds(3));
  CHECK(load(2, argv, {}, false).settings.auth_wait == std::chrono::seconds(15));
}

TEST_CASE("an option of another command is refused as a flag and ignored as a variable or key") {
  const TempDir directory;
  const std::string file = directory.write("lockkeeper.yaml", "strict: true\n");
  CHECK(run_load({"up"}, {{"LOCKKEEPER_STRICT", "1"}}, file).settings.strict == false);
  CHECK(run_load({"check"}, {}, file).settings.strict == true);
  CHECK(error_of([] { run_load({"up", "--strict"}); }).outcome == util::Outcome::usage);
  CHECK(error_of([] { run_load({"up"}, {{"LOCKKEEPER_STRICT", "x"}}); }).outcome == util::Outcome::config);
}

TEST_CASE("combinations that cannot be meant are refused, with the exit code of their source") {
  struct Case {
    std::vector<std::string> line;
    Environment environment;
    util::Outcome outcome;
    std::string message;
  };
  const Case cases[] = {
      {{"up", "--metrics-required"}, {}, util::Outcome::usage, "nothing says where to"},
      {{"up"}, {{"LOCKKEEPER_METRICS_REQUIRED", "1"}}, util::Outcome::config, "nothing says where to"},
      {{"up", "--metrics-username=u"}, {}, util::Outcome::usage, "need each other"},
      {{"up"}, {{"LOCKKEEPER_METRICS_PASSWORD_FILE", "p"}}, util::Outcome::config, "need each other"},
      {{"up", "--metrics-username=u", "--metrics-password-file=p", "--metrics-bearer-token-file=t"},
       {},
       util::Outcome::usage,
       "exclude each other"},
      {{"status", "--format=markdown"}, {}, util::Outcome::usage, "status cannot print markdown"},
      {{"verify"}, {{"LOCKKEEPER_FORMAT", "markdown"}}, util::Outcome::config, "verify cannot print markdown"},
      {{"repair", "5"}, {}, util::Outcome::usage, "repair needs --accept-checksum"},
      {{"up", "--database-url-env=A", "--database-url-file=b"}, {}, util::Outcome::usage, "both say where"},
      {{"up", "--connect-timeout=0"}, {}, util::Outcome::usage, "longer than 0"},
      {{"up", "--phase=both"}, {}, util::Outcome::usage, "expected pre, post or all"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.message);
    const auto error = error_of([&] { run_load(test.line, test.environment); });
    CHECK(error.outcome == test.outcome);
    CHECK_MESSAGE(error.message.find(test.message) != std::string::npos, error.message);
  }
  CHECK(run_load({"status"}, {{"LOCKKEEPER_METRICS_REQUIRED", "1"}}).settings.command == "status");
}

TEST_CASE("a configuration file that is named must be there; the default need not be") {
  CHECK(run_load({"up"}).settings.config_file.empty());
  const auto flag = error_of([] { run_load({"up", "--config=/nonexistent/x.yaml"}); });
  CHECK(flag.outcome == util::Outcome::config);
  CHECK(flag.message == "file /nonexistent/x.yaml (flag --config) does not exist");
  const auto variable = error_of([] { run_load({"up"}, {{"LOCKKEEPER_CONFIG", "/nonexistent/x.yaml"}}); });
  CHECK(variable.message.find("environment variable LOCKKEEPER_CONFIG") != std::string::npos);
  const TempDir directory;
  const std::string other = directory.write("other.yaml", "lock_wait: 7s\n");
  const std::string fallback = directory.write("lockkeeper.yaml", "lock_wait: 8s\n");
  const Settings settings = run_load({"up", "--config", other}, {}, fallback).settings;
  CHECK(settings.limits.lock_wait == std::chrono::seconds(7));
  CHECK(settings.config_file == other);
  CHECK(run_load({"up"}, {}, fallback).settings.config_file == fallback);
  CHECK(error_of([&] { run_load({"up", "--config", directory.path(".")}); }).message.find("is a directory") !=
        std::string::npos);
}

TEST_CASE("--env picks a block, and without a file it is an error") {
  const TempDir directory;
  const std::string file = directory.write("lockkeeper.yaml", "environments:\n  prod:\n    forbid: [down]\n");
  const Settings settings = run_load({"up", "--env=prod"}, {}, file).settings;
  CHECK(settings.environment == "prod");
  CHECK(settings.environment_rules->forbid == std::vector<std::string>{"down"});
  CHECK(run_load({"up"}, {{"LOCKKEEPER_ENV", "prod"}}, file).settings.environment == "prod");
  CHECK(error_of([&] { run_load({"up", "--env=staging"}, {}, file); }).hint == "It has: prod.");
  const auto missing = error_of([] { run_load({"up", "--env=prod"}); });
  CHECK(missing.outcome == util::Outcome::config);
  CHECK(missing.message.find("flag --env is given, but there is no") != std::string::npos);
}

TEST_CASE("a .env file is read only when it is named, and stands below the real environment") {
  const TempDir directory;
  const std::string file = directory.write(".env",
                                           "export LOCKKEEPER_LOCK_WAIT=9s\nPGHOST=db\nPGUSER=fromfile\nPGPORT=1\n"
                                           "LOCKKEEPER_ENV_FILE=other\nDATABASE_URL='postgres://u:p@h/d'\n");
  const LoadResult result = run_load({"up", "--env-file", file}, {{"PGUSER", "real"}, {"PGPORT", ""}});
  CHECK(result.settings.limits.lock_wait == std::chrono::seconds(9));
  CHECK(result.settings.env_file == file);
  CHECK(origin_of(result.settings, "lock-wait")->source == "LOCKKEEPER_LOCK_WAIT in " + file + ":1");
  CHECK(result.environment.at("PGHOST") == "db");
  CHECK(result.environment.at("PGUSER") == "real");
  CHECK(result.settings.database->name == "DATABASE_URL");
  const std::vector<std::pair<std::string, std::string>> expected = {
      {"DATABASE_URL", "postgres://u:p@h/d"}, {"LOCKKEEPER_LOCK_WAIT", "9s"}, {"PGHOST", "db"}, {"PGPORT", "1"}};
  CHECK(result.dotenv == expected);
  CHECK(run_load({"up"}, {{"LOCKKEEPER_ENV_FILE", file}}).settings.limits.lock_wait == std::chrono::seconds(9));
  CHECK(error_of([] { run_load({"up", "--env-file=/nonexistent"}); }).outcome == util::Outcome::config);
}

TEST_CASE("the namespace comes from the option, else from POD_NAMESPACE, else from the service account") {
  const TempDir directory;
  const char* const argv[] = {"lockkeeper", "up"};
  LoadContext context;
  context.default_config_file = "/nonexistent";
  context.namespace_file = directory.write("namespace", "team-a\n");
  const auto name_space = [&](const Environment& environment) {
    return load(2, argv, environment, context).settings.metrics.name_space;
  };
  CHECK(name_space({}) == "team-a");
  CHECK(name_space({{"POD_NAMESPACE", "team-b"}}) == "team-b");
  CHECK(name_space({{"POD_NAMESPACE", "team-b"}, {"LOCKKEEPER_METRICS_NAMESPACE", "team-c"}}) == "team-c");
}

TEST_CASE("explain and help work when the configuration is what is broken") {
  const TempDir directory;
  const std::string broken = directory.write("lockkeeper.yaml", "bogus: 1\n");
  const Environment environment{{"LOCKKEEPER_LOCK_WAIT", "x"}};
  CHECK(run_load({"explain", "10"}, environment, broken).settings.arguments == std::vector<std::string>{"10"});
  CHECK(run_load({"up", "--help"}, environment, broken).action == LoadResult::Action::print);
  CHECK(run_load({"--version"}, environment, broken).action == LoadResult::Action::version);
  CHECK(run_load({"--version", "--verbose"}, environment, broken).settings.verbose);
  CHECK(error_of([&] { run_load({"up"}, {}, broken); }).outcome == util::Outcome::config);
}

TEST_CASE("help ends with a newline and needs nothing") {
  CHECK(run_load({"--help"}).text.ends_with('\n'));
  CHECK(run_load({"help", "wait"}).text.find("--timeout DURATION") != std::string::npos);
}
