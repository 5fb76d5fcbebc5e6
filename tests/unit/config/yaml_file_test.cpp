#include "config/yaml_file.hpp"

#include <string>

#include <doctest/doctest.h>

#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

namespace {

YamlSettings parse(const std::string& text, const std::string& environment = {}) {
  return parse_yaml_settings(text, "lockkeeper.yaml", environment);
}

}  // namespace

TEST_CASE("keys of the top level and of the chosen environment are given, in that order") {
  const YamlSettings settings = parse(
      "lock_wait: 1m\n"
      "history_readers: [app, \"grafana\"]\n"
      "environments:\n"
      "  dev:\n"
      "    yes: true\n"
      "  prod:\n"
      "    lock_wait: 10m\n"
      "    forbid: [down, baseline]\n",
      "prod");
  REQUIRE(settings.given.size() == 3);
  CHECK(settings.given[0].layer == Layer::file);
  CHECK(settings.given[0].source == "lockkeeper.yaml:1:12");
  CHECK(settings.given[1].value.list == std::vector<std::string>{"app", "grafana"});
  CHECK(settings.given[2].layer == Layer::environment_block);
  CHECK(settings.given[2].text == "10m");
  CHECK(settings.given[2].source == "lockkeeper.yaml:7:16");
  REQUIRE(settings.rules.has_value());
  CHECK(settings.rules->name == "prod");
  CHECK(settings.rules->forbid == std::vector<std::string>{"down", "baseline"});
}

TEST_CASE("an empty file and an empty environment are fine") {
  CHECK(parse("").given.empty());
  CHECK(parse("environments:\n  dev:\n", "dev").rules->name == "dev");
}

TEST_CASE("a problem in the file is named with line and column") {
  struct Case {
    std::string text;
    std::string where;
    std::string message;
    std::string hint;
  };
  const Case cases[] = {
      {"lock_wiat: 5s\n", "lockkeeper.yaml:1:1", "there is no key \"lock_wiat\"", "Did you mean lock_wait?"},
      {"lock-wait: 5s\n", "lockkeeper.yaml:1:1", "there is no key \"lock-wait\"", "Did you mean lock_wait?"},
      {"environment: {}\n", "lockkeeper.yaml:1:1", "there is no key \"environment\"", "Did you mean environments?"},
      {"\nlock_wait: soon\n", "lockkeeper.yaml:2:12", "lock_wait: expected a duration", ""},
      {"lock_wait: [5s]\n", "lockkeeper.yaml:1:12", "lock_wait: expected a duration", ""},
      {"lock_wait:\n", "lockkeeper.yaml:1:", "lock_wait: expected a duration", ""},
      {"strict: \"true\"\n", "lockkeeper.yaml:1:9", "strict: expected true or false", ""},
      {"strict: yes\n", "lockkeeper.yaml:1:9", "strict: expected true or false, not \"yes\"", ""},
      {"history_readers: app\n", "lockkeeper.yaml:1:18", "history_readers: expected a list such as [a, b], not text",
       ""},
      {"history_readers: [[a]]\n", "lockkeeper.yaml:1:18", "history_readers: expected a list", ""},
      {"database_url: postgres://u:hunter2@h/d\n", "lockkeeper.yaml:1:1", "database_url does not belong into this file",
       "database_url_env"},
      {"config: x\n", "lockkeeper.yaml:1:1", "config does not belong into this file", "--config"},
      {"to: 5\n", "lockkeeper.yaml:1:1", "to does not belong into this file", "LOCKKEEPER_TO"},
      {"forbid: [down]\n", "lockkeeper.yaml:1:1", "forbid belongs into a block of environments", ""},
      {"environments: [a]\n", "lockkeeper.yaml:1:1", "environments: expected a mapping of names, not a list", ""},
      {"environments:\n  a: 5\n", "lockkeeper.yaml:2:3", "environment \"a\": expected a mapping of options", ""},
      {"environments:\n  a:\n    environments: {}\n", "lockkeeper.yaml:3:5", "environments cannot be nested", ""},
      {"environments:\n  a:\n    forbit: [down]\n", "lockkeeper.yaml:3:5", "there is no key \"forbit\"",
       "Did you mean forbid?"},
      {"environments:\n  a:\n    forbid: down\n", "lockkeeper.yaml:3:5", "forbid: expected a list of commands", ""},
      {"environments:\n  a:\n    forbid: [dwon]\n", "lockkeeper.yaml:3:14", "forbid: there is no command \"dwon\"",
       "Did you mean down?"},
      {"database_url_file: postgres://u:hunter2@h/d\n", "lockkeeper.yaml:1:20", "database_url_file: expected a path",
       "looks like the URL itself"},
      {"database_url_env: postgres://u:hunter2@h/d\n", "lockkeeper.yaml:1:19",
       "database_url_env: expected the name of an environment variable", ""},
      {"password: hunter2\n", "lockkeeper.yaml:1:1", "password does not belong", "no place for secrets"},
      {"a: [\n", "lockkeeper.yaml:", "", ""},
      {"- a\n", "lockkeeper.yaml:1:1", "", ""},
  };
  for (const Case& test : cases) {
    CAPTURE(test.text);
    const auto error = error_of([&] { parse(test.text); });
    CHECK(error.outcome == util::Outcome::config);
    REQUIRE(error.where.has_value());
    CHECK_MESSAGE(util::to_string(*error.where).starts_with(test.where), util::to_string(*error.where));
    CHECK_MESSAGE(error.message.find(test.message) != std::string::npos, error.message);
    CHECK_MESSAGE(error.hint.find(test.hint) != std::string::npos, error.hint);
    CHECK(util::to_string(error).find("hunter2") == std::string::npos);
  }
}

TEST_CASE("all problems are reported together, also in environments that are not chosen") {
  const auto error =
      error_of([] { parse("lock_wait: soon\nbogus: 1\nenvironments:\n  dev: {}\n  prod:\n    yes: 1\n", "dev"); });
  CHECK(error.message == "lockkeeper.yaml has 3 problems");
  CHECK(error.detail.find("lockkeeper.yaml:1:12: lock_wait") != std::string::npos);
  CHECK(error.detail.find("lockkeeper.yaml:2:1: there is no key \"bogus\"") != std::string::npos);
  CHECK(error.detail.find("lockkeeper.yaml:6:10: yes: expected true or false") != std::string::npos);
}

TEST_CASE("an environment that is not there lists those that are") {
  const auto error = error_of([] { parse("environments:\n  dev: {}\n  prod: {}\n", "staging"); });
  CHECK(error.message == "lockkeeper.yaml has no environment \"staging\"");
  CHECK(error.hint == "It has: dev, prod.");
  CHECK(error_of([] { parse("lock_wait: 5s\n", "dev"); }).hint == "It has no `environments:`.");
}

TEST_CASE("an empty value clears what the file says above") {
  const YamlSettings settings = parse("metrics_url: http://push\nenvironments:\n  dev:\n    metrics_url: ''\n", "dev");
  REQUIRE(settings.given.size() == 2);
  CHECK(settings.given[1].value.text.empty());
  CHECK(error_of([] { parse("migrations: ''\n"); }).message == "migrations: expected a path, not \"\"");
}
