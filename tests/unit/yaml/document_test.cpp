#include "yaml/document.hpp"

#include <string>

#include <doctest/doctest.h>
#include <fmt/format.h>

using namespace lockkeeper;
using yaml::Value;

namespace {

Value parse(std::string_view text) {
  return yaml::parse(text, "m.yaml", util::Outcome::migration_files);
}

util::ErrorInfo error_of(std::string_view text) {
  try {
    parse(text);
  } catch (const util::Error& error) {
    return error.info();
  }
  return {};
}

/// "line:column: message" of the one problem.
std::string problem_of(std::string_view text) {
  const util::ErrorInfo info = error_of(text);
  return info.where ? fmt::format("{}:{}: {}", info.where->line, info.where->column, info.message) : "no problem";
}

}  // namespace

TEST_CASE("a document becomes values that know where they are") {
  const Value root = parse("a: 1\nb: {c: null, d: 'x'}\ng:\n  - x\n  - {y: z}\nh:\n");
  REQUIRE(root.kind == Value::Kind::mapping);
  REQUIRE(root.entries.size() == 4);
  CHECK(root.entries[0].key == "a");
  CHECK(root.entries[0].value.scalar == "1");
  CHECK_FALSE(root.entries[0].value.quoted);
  CHECK(root.entries[0].value.line == 1);
  CHECK(root.entries[0].value.column == 4);
  CHECK(root.entries[1].value.entries[0].value.kind == Value::Kind::null);
  CHECK(root.entries[1].value.entries[1].value.quoted);
  CHECK(root.entries[2].value.items[1].entries[0].value.scalar == "z");
  CHECK(root.entries[2].value.items[1].entries[0].line == 5);
  CHECK(root.entries[3].value.kind == Value::Kind::null);
  CHECK(root.entries[3].value.line == 6);
}

TEST_CASE("nothing, comments and an empty document are an empty mapping") {
  for (const std::string_view text : {"", "# only a comment\n", "---\n", "~", "\n\n", "\xEF\xBB\xBF"}) {
    CAPTURE(text);
    const Value root = parse(text);
    CHECK(root.kind == Value::Kind::mapping);
    CHECK(root.entries.empty());
  }
}

TEST_CASE("a byte order mark and Windows line ends do not move positions") {
  const Value root = parse(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: 2\r\n");
  REQUIRE(root.entries.size() == 2);
  CHECK(root.entries[0].value.column == 4);
  CHECK(root.entries[1].value.scalar == "2");
  CHECK(root.entries[1].line == 2);
}

TEST_CASE("columns count characters, not bytes") {
  CHECK(problem_of("{\"öäü\": 1, \"öäü\": 2}") == "1:12: duplicate key \"öäü\": it is in line 1 already");
}

TEST_CASE("a duplicate key names both lines") {
  const util::ErrorInfo info = error_of("a: 1\nb: 2\na: 3\n");
  CHECK(info.message == "duplicate key \"a\": it is in line 1 already");
  CHECK(info.where == util::SourcePosition{"m.yaml", 3, 1});
  CHECK(info.excerpt.find("a: 3") != std::string::npos);
}

TEST_CASE("the same key in two mappings is no duplicate") {
  CHECK(parse("a: {x: 1}\nb: {x: 1}\n").entries.size() == 2);
}

TEST_CASE("what YAML allows and nobody wants in settings is refused with its place") {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"a: &x 1\n", "1:4: anchors are not supported here (&x)"},
      {"a: !!python/object x", "1:4: tags are not supported here (tag:yaml.org,2002:python/object)"},
      {"a: !!str x", "1:4: tags are not supported here (tag:yaml.org,2002:str)"},
      {"a: !foo {b: c}", "1:4: tags are not supported here (!foo)"},
      {"a: !foo [b]", "1:4: tags are not supported here (!foo)"},
      {"<<: {a: 1}", "1:1: merge keys are not supported here (<<)"},
      {"? [a]\n: b", "1:3: expected text as a key, found a list"},
      {"? {a: b}\n: c", "1:3: expected text as a key, found a mapping"},
      {"~: 1", "1:1: a key is missing"},
      {": 1", "1:1: a key is missing"},
      {"a: 1\n---\nb: 2\n", "2:1: a second document starts here"},
      {"a: 1\n---\n", "2:1: a second document starts here"},
      {"- a\n", "1:1: expected a mapping at the top of the file, found a list"},
      {"hello", "1:1: expected a mapping at the top of the file, found text"},
      {"a: \x04 b", "1:4: control character 0x04"},
      {"a: 1\nb: \"\xff\"", "2:0: not valid UTF-8"},
      {"a: [1, 2", "1:1: not valid YAML: end of sequence flow not found"},
      {"a: b: c", "1:5: not valid YAML: illegal map value"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(problem_of(text) == expected);
  }
  CHECK(error_of("a:\n\tb: 1").hint == "Indent with spaces; YAML does not allow tabs.");
  CHECK(problem_of("a: *x") != "no problem");
}

TEST_CASE("an alias is refused before it can multiply") {
  std::string bomb = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 30; ++i) {
    bomb += fmt::format("a{}: &a{} [*a{}, *a{}]\n", i, i, i - 1, i - 1);
  }
  CHECK(problem_of(bomb) == "1:5: anchors are not supported here (&a0)");
}

TEST_CASE("depth is bounded while the document is read, whatever it is nested in") {
  CHECK(
      parse("a: " + std::string(yaml::k_max_depth - 1, '[') + std::string(yaml::k_max_depth - 1, ']')).entries.size() ==
      1);
  const std::string expected = "nested more than 32 levels deep";
  CHECK(error_of("a: " + std::string(yaml::k_max_depth, '[') + std::string(yaml::k_max_depth, ']')).message ==
        expected);
  CHECK_FALSE(error_of("a: " + std::string(500'000, '[')).message.empty());
  std::string mappings;
  std::string block;
  for (int i = 0; i < 2'000; ++i) {
    mappings += "{a: ";
    block += std::string(static_cast<std::size_t>(i) / 4, ' ') + "- ";
  }
  CHECK(error_of("a: " + mappings).message == expected);
  CHECK_FALSE(error_of("a: " + block).message.empty());
}

TEST_CASE("size is bounded before anything is read") {
  CHECK(error_of("# " + std::string(yaml::k_max_bytes, 'x')).message == "larger than 1024 KiB");
  CHECK(parse("# " + std::string(yaml::k_max_bytes - 2, 'x')).entries.empty());
}

TEST_CASE("a reader gives typed values and says exactly what it found instead") {
  const std::string text =
      "yes: yes\ntrue: true\nquoted: 'true'\nlist: [a, 2]\nnested: [a, [b]]\nnothing:\nmap: {}\ntext: 42\n";
  const Value root = parse(text);
  const auto value = [&](std::size_t index) -> const Value& { return root.entries.at(index).value; };
  yaml::Reader reader("m.yaml", text, util::Outcome::config);
  CHECK(reader.boolean(value(1), "x") == true);
  CHECK(reader.texts(value(3), "x") == std::vector<std::string>{"a", "2"});
  CHECK(reader.text(value(7), "x") == "42");
  CHECK(reader.mapping(value(6), "x") == &value(6));
  CHECK(reader.problems().empty());

  CHECK_FALSE(reader.boolean(value(0), "a"));
  CHECK_FALSE(reader.boolean(value(2), "b"));
  CHECK_FALSE(reader.boolean(value(3), "c"));
  CHECK_FALSE(reader.texts(value(4), "d"));
  CHECK_FALSE(reader.text(value(5), "e"));
  CHECK(reader.mapping(value(3), "f") == nullptr);
  reader.unknown_key(root.entries[7], "g", {"test", "other"});
  reader.unknown_key(root.entries[4], "g", {"a", "b"});
  const char* const expected[] = {"a: expected true or false, found \"yes\"",
                                  "b: expected true or false, found \"true\"",
                                  "c: expected true or false, found a list",
                                  "d: expected text, found a list",
                                  "e: expected text, found nothing",
                                  "f: expected a mapping, found a list",
                                  "g: unknown key \"text\"",
                                  "g: unknown key \"nested\""};
  REQUIRE(reader.problems().size() == std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    CHECK(reader.problems()[i].message == expected[i]);
    CHECK(reader.problems()[i].outcome == util::Outcome::config);
    CHECK(reader.problems()[i].where->line > 0);
  }
  CHECK(reader.problems()[3].where == util::SourcePosition{"m.yaml", 5, 13});
  CHECK(reader.problems()[6].hint == "Did you mean \"test\"?");
  CHECK(reader.problems()[7].hint == "Known keys: a, b.");
}
