#include "config/command_line.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

namespace {

CommandLine parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv{"lockkeeper"};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

}  // namespace

TEST_CASE("flags stand before or after the command, with a blank or an equals sign") {
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"up", "--lock-wait", "5s", "--yes"},
                                                                     {"--lock-wait=5s", "--yes", "up"},
                                                                     {"--yes", "up", "--lock-wait=5s"}}) {
    const CommandLine line = parse(arguments);
    CHECK(line.command->name == "up");
    REQUIRE(line.given.size() == 2);
    const Given& wait = line.given[line.given[0].option->name == "lock-wait" ? 0 : 1];
    CHECK(wait.text == "5s");
    CHECK(wait.source == "flag --lock-wait");
  }
}

TEST_CASE("the last of several equal flags counts, and lists are joined") {
  const CommandLine line =
      parse({"up", "--lock-wait=5s", "--lock-wait=6s", "--history-readers=a", "--history-readers", "b,c"});
  REQUIRE(line.given.size() == 2);
  CHECK(line.given[0].value.duration == std::chrono::seconds(6));
  CHECK(line.given[1].value.list == std::vector<std::string>{"a", "b", "c"});
}

TEST_CASE("a command's argument is kept") {
  CHECK(parse({"new", "add_orders"}).arguments == std::vector<std::string>{"add_orders"});
  CHECK(parse({"explain"}).arguments.empty());
  CHECK(parse({"explain", "13"}).arguments == std::vector<std::string>{"13"});
}

TEST_CASE("a command line that cannot be read is a usage error that names the flag") {
  struct Case {
    std::vector<std::string> arguments;
    std::string message;
    std::string hint;
  };
  const Case cases[] = {
      {{}, "no command is given", "--help"},
      {{"upp"}, "there is no command upp", "Did you mean lockkeeper up?"},
      {{"up", "--lok-wait=5s"}, "there is no flag --lok-wait", "Did you mean --lock-wait?"},
      {{"up", "--lock", "5s"}, "there is no flag --lock", "--lock-wait, --lock-timeout, --lock-retry-budget"},
      {{"up", "--lock-wai=5s"}, "there is no flag --lock-wai", "Did you mean --lock-wait?"},
      {{"up", "--lock-wait"}, "flag --lock-wait needs a value", ""},
      {{"up", "--lock-wait="}, "flag --lock-wait needs a value", ""},
      {{"up", "--migrations", "--yes"}, "flag --migrations needs a value", ""},
      {{"up", "--yes=1"}, "flag --yes takes no value", ""},
      {{"up", "--version=1"}, "flag --version takes no value", ""},
      {{"up", "--strict"}, "flag --strict is not for up", "It is for: check."},
      {{"up", "-x"}, "there is no flag -x", ""},
      {{"up", "now"}, "up takes no arguments, 1 given", ""},
      {{"new"}, "new needs NAME", "lockkeeper new --help"},
      {{"new", "a", "b"}, "new takes one argument, 2 given", ""},
      {{"up", "--lock-wait=soon"}, "flag --lock-wait: expected a duration", ""},
      {{"help", "upp"}, "there is no command upp", "Did you mean lockkeeper up?"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.message);
    const auto error = error_of([&] { parse(test.arguments); });
    CHECK(error.outcome == util::Outcome::usage);
    CHECK_MESSAGE(error.message.find(test.message) != std::string::npos, error.message);
    CHECK_MESSAGE(error.hint.find(test.hint) != std::string::npos, error.hint);
  }
}

TEST_CASE("a secret on the command line is refused and not repeated") {
  const std::vector<std::vector<std::string>> lines = {
      {"--database-url=postgres://app:hunter2@db/x", "up"},
      {"up", "--database-url", "postgres://app:hunter2@db/x"},
      {"up", "--password=hunter2"},
      {"up", "--dsn", "host=x password=hunter2"},
      {"up", "postgres://app:hunter2@db/x"},
      {"postgres://app:hunter2@db/x"},
      {"up", "--", "postgres://app:hunter2@db/x"},
      {"-postgres://app:hunter2@db/x", "up"},
      {"up", "--postgres://app:hunter2@db/x"},
      {"up", "host=db password=hunter2"},
      {"up", "--pasword=hunter2"},
      {"up", "--hunter2=x", "--PASSWORD=hunter2"},
      {"Hunter2!hunter2"},
      {"up", "--yes=hunter2"},
      {"new", "hunter2", "hunter2"},
      {"explain", "postgres://app:hunter2@db/x"},
      {"up", "--database-url-env", "postgres://app:hunter2@db/x"},
      {"up", "--database-url-file", "postgres://app:hunter2@db/x"},
      {"up", "--metrics-url=http://app:hunter2@push"},
      {"up", "--migrations=postgres://app:hunter2@db/x"},
      {"up", "--lock-wait=postgres://app:hunter2@db/x"},
  };
  for (const auto& line : lines) {
    const auto error = error_of([&] { parse(line); });
    CAPTURE(error.message);
    CHECK(error.outcome == util::Outcome::usage);
    if (line.size() < 2 || !line[1].starts_with("--hunter2")) {  // a flag's own name is shown
      CHECK(util::to_string(error).find("hunter2") == std::string::npos);
    }
  }
  CHECK(error_of([&] { parse(lines[0]); }).hint.find("`ps`") != std::string::npos);
  CHECK(error_of([&] { parse(lines[4]); }).hint.find("`ps`") != std::string::npos);
}

TEST_CASE("--help is answered wherever it stands, also beside mistakes") {
  CHECK(parse({"--help"}).request == CommandLine::Request::help);
  CHECK(parse({"--help"}).command == nullptr);
  CHECK(parse({"help"}).command == nullptr);
  CHECK(parse({"up", "--help", "--bogus"}).command->name == "up");
  CHECK(parse({"-h", "check"}).command->name == "check");
  CHECK(parse({"help", "check"}).command->name == "check");
}

TEST_CASE("--version is answered, with --verbose passed on") {
  CHECK(parse({"--version"}).request == CommandLine::Request::version);
  const CommandLine line = parse({"--version", "--verbose"});
  CHECK(line.request == CommandLine::Request::version);
  REQUIRE(line.given.size() == 1);
  CHECK(line.given[0].option->name == "verbose");
}

TEST_CASE("the help of a command shows exactly its options, with default, unit and variable") {
  for (const CommandRow& command : commands()) {
    const std::string help = command_help(command);
    CAPTURE(command.name);
    for (const OptionRow& option : options()) {
      const bool there =
          help.find("  " + flag_name(option) + (option.argument.empty() ? "\n" : " ")) != std::string::npos;
      CAPTURE(option.name);
      CHECK(there == ((option.used_by & command.bit) != 0));
    }
    CHECK(overview_help().find(std::string("\n  ") + std::string(command.name)) != std::string::npos);
  }
  const std::string help = command_help(*find_command("up"));
  CHECK(help.find("--lock-wait DURATION\n      wait for another runner to finish; 0 = try once [5m]\n"
                  "      LOCKKEEPER_LOCK_WAIT, key lock_wait\n") != std::string::npos);
}
