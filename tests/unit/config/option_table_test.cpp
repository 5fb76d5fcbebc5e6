#include <set>
#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "config/option_value.hpp"
#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

TEST_CASE("every option has a unique name, a help line in lower case, a setter and a command that uses it") {
  std::set<std::string> names;
  for (const OptionRow& option : options()) {
    CAPTURE(option.name);
    CHECK(names.insert(std::string(option.name)).second);
    CHECK_FALSE(option.help.empty());
    CHECK_FALSE(option.help.ends_with('.'));
    CHECK((option.help.front() < 'A' || option.help.front() > 'Z' || option.help.starts_with("SET ROLE")));
    CHECK((option.set != nullptr));
    CHECK(option.used_by != 0);
    CHECK(option.argument.empty() == (option.type == ValueType::boolean));
    CHECK(option.choices.empty() == (option.type != ValueType::choice));
    CHECK_FALSE((option.clearable && !option.fallback.empty()));
  }
}

TEST_CASE("every default is a value that the option itself accepts") {
  for (const OptionRow& option : options()) {
    if (!option.fallback.empty()) {
      CAPTURE(option.name);
      CHECK(parse_value(option, Layer::flag, {std::string(option.fallback)}).value.has_value());
    }
  }
}

TEST_CASE("every command has a bit of its own") {
  CommandSet seen = 0;
  for (const CommandRow& command : commands()) {
    CAPTURE(command.name);
    CHECK(command.bit != 0);
    CHECK((seen & command.bit) == 0);
    seen |= command.bit;
    CHECK(find_command(command.name) == &command);
    CHECK((command.needs_database || !command.changes_database));
  }
  CHECK(find_command("help") == nullptr);
}

TEST_CASE("flag, variable and key are derived from the option's name") {
  const OptionRow* option = find_option("lock-retry-budget");
  REQUIRE(option != nullptr);
  CHECK(flag_name(*option) == "--lock-retry-budget");
  CHECK(variable_name(*option) == "LOCKKEEPER_LOCK_RETRY_BUDGET");
  CHECK(yaml_key(*option) == "lock_retry_budget");
  CHECK(find_option_by_yaml_key("lock_retry_budget") == option);
  CHECK(find_option("lock_retry_budget") == nullptr);
}

TEST_CASE("no option's variable is one that a Kubernetes Service called lockkeeper injects") {
  for (const OptionRow& option : options()) {
    const std::string name = variable_name(option);
    CAPTURE(name);
    CHECK_FALSE(name.starts_with("LOCKKEEPER_PORT"));
    CHECK_FALSE(name.starts_with("LOCKKEEPER_SERVICE_"));
  }
}

TEST_CASE("values are checked by type") {
  struct Case {
    std::string option;
    Layer layer;
    std::string text;
    bool good;
  };
  const Case cases[] = {
      {"lock-wait", Layer::flag, "500ms", true},
      {"lock-wait", Layer::flag, "1m30s", true},
      {"lock-wait", Layer::flag, "0", true},
      {"lock-wait", Layer::flag, "5", false},
      {"lock-wait", Layer::flag, "-5s", false},
      {"lock-wait", Layer::flag, "5 minutes", false},
      {"lock-wait", Layer::flag, "", false},
      {"connect-timeout", Layer::flag, "0", false},
      {"metrics-timeout", Layer::flag, "0s", false},
      {"timeout", Layer::flag, "0", false},
      {"strict", Layer::variable, "1", true},
      {"strict", Layer::variable, "true", true},
      {"strict", Layer::variable, "0", true},
      {"strict", Layer::variable, "yes", false},
      {"strict", Layer::variable, "TRUE", false},
      {"strict", Layer::file, "true", true},
      {"strict", Layer::file, "1", false},
      {"strict", Layer::file, "yes", false},
      {"on-ahead", Layer::flag, "warn", true},
      {"on-ahead", Layer::flag, "Warn", false},
      {"history-table", Layer::flag, "lockkeeper.history", true},
      {"history-table", Layer::flag, "\"My Schema\".\"a\"\"b\"", true},
      {"history-table", Layer::flag, "history", false},
      {"history-table", Layer::flag, "a.b.c", false},
      {"history-table", Layer::flag, "a.", false},
      {"history-table", Layer::flag, ".b", false},
      {"history-table", Layer::flag, "\"a.b", false},
      {"history-table", Layer::flag, "1a.b", false},
      {"history-table", Layer::flag, "a b.c", false},
      {"history-table", Layer::flag, "\"\".c", false},
      {"history-table", Layer::flag, "a.b; drop table x", false},
      {"database-url-env", Layer::flag, "APP_DB", true},
      {"database-url-env", Layer::flag, "9APP", false},
      {"database-url-env", Layer::flag, "postgres://u:p@h/d", false},
      {"database-url-file", Layer::flag, "/run/secrets/url", true},
      {"database-url-file", Layer::flag, "postgres://u:p@h/d", false},
      {"metrics-url", Layer::flag, "http://pushgateway:9091", true},
      {"metrics-url", Layer::flag, "https://push.example/base/", true},
      {"metrics-url", Layer::flag, "", true},
      {"metrics-url", Layer::flag, "pushgateway:9091", false},
      {"metrics-url", Layer::flag, "ftp://x", false},
      {"metrics-url", Layer::flag, "http://", false},
      {"metrics-url", Layer::flag, "http://user:pw@host", false},
      {"metrics-url", Layer::flag, "http://host/?a=b", false},
      {"metrics-url", Layer::flag, "http://push:9091, https://vm:8428/api/v1/import/prometheus", true},
      {"metrics-url", Layer::variable, "http://push:9091,http://other:9091", true},
      {"metrics-url", Layer::variable, "http://push:9091,", false},
      {"metrics-url", Layer::variable, "http://push:9091,http://user:pw@host", false},
      {"watch", Layer::flag, "on", true},
      {"watch", Layer::variable, "off", true},
      {"watch", Layer::variable, "false", true},
      {"watch", Layer::file, "true", true},
      {"watch", Layer::flag, "yes", false},
      {"watch", Layer::flag, "1", false},
      {"on-ahead", Layer::flag, "true", false},
      {"queue-limit", Layer::flag, "0", true},
      {"queue-limit", Layer::flag, "100000", true},
      {"queue-limit", Layer::flag, "100001", false},
      {"queue-limit", Layer::flag, "99999999999999999999", false},
      {"queue-limit", Layer::flag, "-1", false},
      {"queue-limit", Layer::flag, "+1", false},
      {"queue-limit", Layer::flag, "20s", false},
      {"queue-limit", Layer::flag, " 20", false},
      {"queue-limit", Layer::flag, "", false},
      {"to", Layer::flag, "20250520000000", true},
      {"to", Layer::flag, "v1", false},
      {"role", Layer::flag, "svc@project.iam", true},
      {"role", Layer::flag, "two\nlines", false},
      {"migrations", Layer::flag, "", false},
      {"history-readers", Layer::flag, "a,b", true},
      {"history-readers", Layer::flag, "a,,b", false},
  };
  for (const Case& test : cases) {
    CAPTURE(test.option);
    CAPTURE(test.text);
    const OptionRow* option = find_option(test.option);
    REQUIRE(option != nullptr);
    const ParsedValue parsed = parse_value(*option, test.layer, {test.text});
    CHECK(parsed.value.has_value() == test.good);
    CHECK(parsed.problem.empty() == test.good);
  }
}

TEST_CASE("the parts of a table name are folded as PostgreSQL folds them") {
  const OptionRow& option = *find_option("history-table");
  CHECK(parse_value(option, Layer::flag, {"Ops.History"}).value->list == std::vector<std::string>{"ops", "history"});
  CHECK(parse_value(option, Layer::flag, {"\"Ops\".\"a\"\"b.c\""}).value->list ==
        std::vector<std::string>{"Ops", "a\"b.c"});
  CHECK_FALSE(parse_value(option, Layer::flag, {std::string(64, 'a') + ".b"}).value.has_value());
  CHECK(parse_value(option, Layer::flag, {std::string(63, 'a') + ".b"}).value.has_value());
}

TEST_CASE("lists are split at commas in flags and variables, not in YAML") {
  const OptionRow& option = *find_option("history-readers");
  CHECK(parse_value(option, Layer::variable, {"a, b"}).value->list == std::vector<std::string>{"a", "b"});
  CHECK(parse_value(option, Layer::flag, {"a", "b,c"}).value->list == std::vector<std::string>{"a", "b", "c"});
  CHECK(parse_value(option, Layer::file, {"a,b", "c"}).value->list == std::vector<std::string>{"a,b", "c"});
}

TEST_CASE("a value that could hold a password is never repeated") {
  for (const OptionRow& option : options()) {
    for (const std::string secret : {"postgres://app:hunter2@db/x", "\npostgres://app:hunter2@db/x",
                                     "host=db password=hunter2\n", "x@hunter2\n"}) {
      CAPTURE(option.name);
      const ParsedValue parsed = parse_value(option, Layer::variable, {secret});
      CHECK(parsed.problem.find("hunter2") == std::string::npos);
      CHECK(parsed.hint.find("hunter2") == std::string::npos);
    }
  }
  CHECK(shown("5 minutes") == "\"5 minutes\"");
  CHECK(shown("http://pushgateway") == "\"http://pushgateway\"");
  CHECK(shown("postgres://h/d").find("postgres") == std::string::npos);
}

TEST_CASE("a bad value is a usage error for a flag and a configuration error elsewhere") {
  const OptionRow& option = *find_option("lock-wait");
  const auto flag = error_of([&] { make_given(option, Layer::flag, {"x"}, "flag --lock-wait"); });
  CHECK(flag.outcome == util::Outcome::usage);
  CHECK(flag.message == "flag --lock-wait: expected a duration such as 500ms, 5s, 10m or 1h, or 0, not \"x\"");
  const auto variable = error_of([&] { make_given(option, Layer::variable, {"x"}, "environment variable X"); });
  CHECK(variable.outcome == util::Outcome::config);
}
