#include "config/environment.hpp"

#include <string>

#include <doctest/doctest.h>

#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

TEST_CASE("the environment is captured as a value, and an empty variable counts as not set") {
  const char* const envp[] = {"A=1", "B=", "C=x=y", "A=2", "=odd", "noequals", nullptr};
  const Environment environment = capture(envp);
  CHECK(find_variable(environment, "A") == "1");
  CHECK_FALSE(find_variable(environment, "B").has_value());
  CHECK(find_variable(environment, "C") == "x=y");
  CHECK_FALSE(find_variable(environment, "D").has_value());
  CHECK(environment.size() == 3);
  CHECK(capture(nullptr).empty());
}

TEST_CASE("variables of a Kubernetes Service called lockkeeper are ignored") {
  CHECK(read_variables({{"LOCKKEEPER_PORT", "tcp://10.0.0.1:80"},
                        {"LOCKKEEPER_SERVICE_HOST", "10.0.0.1"},
                        {"LOCKKEEPER_PORT_80_TCP_PROTO", "tcp"},
                        {"LOCKKEEPER_KEEP_TEST_DB", "1"}})
            .empty());
}

TEST_CASE("an empty variable does not hide what the file says") {
  CHECK(read_variables({{"LOCKKEEPER_LOCK_WAIT", ""}}).empty());
}

TEST_CASE("DEBUG=1, exactly, means verbose") {
  REQUIRE(read_variables({{"DEBUG", "1"}}).size() == 1);
  CHECK(read_variables({{"DEBUG", "1"}})[0].option->name == "verbose");
  CHECK(read_variables({{"DEBUG", "1"}})[0].source == "environment variable DEBUG");
  CHECK(read_variables({{"DEBUG", "*"}}).empty());
  CHECK(read_variables({{"DEBUG", "true"}}).empty());
  const auto both = read_variables({{"DEBUG", "1"}, {"LOCKKEEPER_VERBOSE", "false"}});
  REQUIRE(both.size() == 1);
  CHECK_FALSE(both[0].value.boolean);
}

TEST_CASE("a bad variable is named, with what is expected") {
  const auto error = error_of([] { read_variables({{"LOCKKEEPER_LOCK_WAIT", "soon"}}); });
  CHECK(error.outcome == util::Outcome::config);
  CHECK(error.message ==
        "environment variable LOCKKEEPER_LOCK_WAIT: expected a duration such as 500ms, 5s, 10m or 1h, or 0, not "
        "\"soon\"");
  const auto dotenv = error_of([] { read_variables({{"LOCKKEEPER_YES", "x"}}, {{"LOCKKEEPER_YES", "dev.env:7"}}); });
  CHECK(dotenv.message.starts_with("LOCKKEEPER_YES in dev.env:7: expected true or false"));
}

TEST_CASE("a .env file is read line by line") {
  const std::string text =
      "\xEF\xBB\xBF# comment\r\n"
      "\r\n"
      "PLAIN=value\r\n"
      "  export EXPORTED = spaced out  # comment\n"
      "HASH=a#b\n"
      "EMPTY=\n"
      "COMMENT= # nothing\n"
      "SINGLE='a \\n $b # c'  # comment\n"
      "DOUBLE=\"a\\n\\\"b\\\" \\$c \\x\"\n"
      "MULTI=\"one\n"
      "two\"\n"
      "exported=1\n"
      "LAST=end";
  const auto entries = parse_dotenv(text, ".env");
  const std::vector<std::pair<std::string, std::string>> expected = {{"PLAIN", "value"},
                                                                     {"EXPORTED", "spaced out"},
                                                                     {"HASH", "a#b"},
                                                                     {"EMPTY", ""},
                                                                     {"COMMENT", ""},
                                                                     {"SINGLE", "a \\n $b # c"},
                                                                     {"DOUBLE", "a\n\"b\" $c \\x"},
                                                                     {"MULTI", "one\ntwo"},
                                                                     {"exported", "1"},
                                                                     {"LAST", "end"}};
  REQUIRE(entries.size() == expected.size());
  for (std::size_t i = 0; i < entries.size(); ++i) {
    CHECK(entries[i].name == expected[i].first);
    CHECK(entries[i].value == expected[i].second);
  }
  CHECK(entries[0].line == 3);
  CHECK(entries[8].line == 12);
  CHECK(entries[9].line == 13);
}

TEST_CASE("a .env file that cannot be read names the line and no value") {
  struct Case {
    std::string text;
    std::size_t line;
    std::string message;
  };
  const Case cases[] = {
      {"A=1\nhunter2\n", 2, "expected NAME=VALUE"},
      {"A=1\n\n1A=hunter2\n", 3, "expected NAME=VALUE"},
      {"A='hunter2\nB=1\n", 1, "a quote is not closed"},
      {"A=\"x\" hunter2\n", 1, "something follows the closing quote"},
      {"A B=hunter2", 1, "expected NAME=VALUE"},
      {"=hunter2", 1, "expected NAME=VALUE"},
      {"A=\"hunter2\\", 1, "a quote is not closed"},
  };
  for (const Case& test : cases) {
    CAPTURE(test.text);
    const auto error = error_of([&] { parse_dotenv(test.text, "dev.env"); });
    CHECK(error.outcome == util::Outcome::config);
    CHECK(error.message == test.message);
    REQUIRE(error.where.has_value());
    CHECK(error.where->file == "dev.env");
    CHECK(error.where->line == test.line);
    CHECK(util::to_string(error).find("hunter2") == std::string::npos);
  }
  const std::string nul("A=x\0y\n", 6);
  CHECK(error_of([&] { parse_dotenv(nul, "dev.env"); }).message == "the value of A holds a NUL byte");
}

TEST_CASE("a .env file that is not there is an error") {
  CHECK(error_of([] { read_dotenv("/nonexistent/.env"); }).message == "file /nonexistent/.env does not exist");
}
