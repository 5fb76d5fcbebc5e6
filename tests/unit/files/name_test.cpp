#include "files/name.hpp"

#include <string>

#include <doctest/doctest.h>

using namespace lockkeeper;

namespace {

std::string problem_of(std::string_view text) {
  const auto parsed = files::parse_directory_name(text);
  const auto* problem = std::get_if<files::NameProblem>(&parsed);
  return problem == nullptr ? "none" : problem->message;
}

}  // namespace

TEST_CASE("a directory's name is a version and a name") {
  const auto check = [](std::string_view text, std::string_view version, std::string_view name) {
    CAPTURE(text);
    const auto parsed = files::parse_directory_name(text);
    const auto* good = std::get_if<files::DirectoryName>(&parsed);
    REQUIRE(good != nullptr);
    CHECK(good->version.str() == version);
    CHECK(good->name == name);
  };
  check("20250520000000_calendly_integration", "20250520000000", "calendly_integration");
  check("007_x", "007", "x");
  check("7", "7", "");
  check("1_a-b.c_D9", "1", "a-b.c_D9");
  check("1__", "1", "_");
  check(std::string(64, '9') + "_x", std::string(64, '9'), "x");
}

TEST_CASE("a name that is none says what is wrong with it") {
  CHECK(problem_of("") == "does not start with a version (digits)");
  CHECK(problem_of("add_orders") == "does not start with a version (digits)");
  CHECK(problem_of("V1__x") == "does not start with a version (digits)");
  CHECK(problem_of("1-x") == "has no underscore between version and name");
  CHECK(problem_of("1x") == "has no underscore between version and name");
  CHECK(problem_of("1_") == "has no name behind the underscore");
  CHECK(problem_of("1_a b") == "has the character ' ' in its name; letters, digits and _ - . are allowed");
  CHECK(problem_of("1_grün") == "has the character 'ü' in its name; letters, digits and _ - . are allowed");
  CHECK(problem_of(std::string(65, '1')) == "its version has 65 digits; 64 are the most");
  CHECK(problem_of(std::string("1_a\xff")) != "none");
}
