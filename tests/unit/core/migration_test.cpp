#include "core/migration.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace lockkeeper::core;

TEST_CASE("versions are compared as numbers of any length") {
  // In order; equal ones in one row.
  const std::vector<std::vector<std::string>> ordered = {
      {"0", "00", "0000000000000000000000"},
      {"1", "01", "001"},
      {"7", "007"},
      {"9", "0000000000000000000000009"},
      {"10"},
      {"99"},
      {"100"},
      {"20250519235959"},
      {"20250520000000", "0020250520000000"},
      {"9223372036854775807"},
      {"9223372036854775808"},
      {"18446744073709551616"},
      {"99999999999999999999999999999999999999"},
      {"100000000000000000000000000000000000000"},
      {"100000000000000000000000000000000000001"},
  };
  for (std::size_t i = 0; i < ordered.size(); ++i) {
    for (std::size_t j = 0; j < ordered.size(); ++j) {
      for (const std::string& a : ordered[i]) {
        for (const std::string& b : ordered[j]) {
          CAPTURE(a);
          CAPTURE(b);
          CHECK((Version(a) <=> Version(b)) == (i <=> j));
          CHECK((Version(a) == Version(b)) == (i == j));
          CHECK((Version(a) < Version(b)) == (i < j));
        }
      }
    }
  }
}

TEST_CASE("a version keeps the digits as they were written") {
  CHECK(Version("007").str() == "007");
  CHECK(Version().empty());
  CHECK_FALSE(Version("0").empty());
}

TEST_CASE("a migration is named by version and name, a statement is a part of the file") {
  Migration migration;
  migration.version = Version("20250520000000");
  CHECK(migration.id() == "20250520000000");
  migration.name = "calendly_integration";
  CHECK(migration.id() == "20250520000000_calendly_integration");
  const Script script{.path = "up.sql", .text = "-- x\nSELECT 1;\n"};
  CHECK(script.statement_text(Statement{.begin = 5, .end = 13}) == "SELECT 1");
}
