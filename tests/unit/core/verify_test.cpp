#include "core/verify.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/migrations.hpp"

using namespace lockkeeper;
using core::Direction;
using core::Expectation;
using core::Migration;
using core::ObjectName;
using test::make_history;
using test::make_migration;
using test::make_row;
using Kind = core::Expectation::Kind;

namespace {

Expectation about(Kind kind, const std::string& object, const std::string& member = "", bool absent = false) {
  return {.kind = kind, .absent = absent, .object = {.name = object}, .member = member};
}

/// "version: subject" of what is in force when each element is a migration and all are applied.
std::vector<std::string> in_force(const std::vector<std::vector<Expectation>>& stated) {
  std::vector<Migration> files;
  std::vector<core::HistoryRow> rows;
  for (std::size_t i = 0; i < stated.size(); ++i) {
    files.push_back(make_migration(std::to_string(i + 1), {"x"}));
    files.back().expect = stated[i];
    rows.push_back(make_row(files.back()));
  }
  const core::History history = make_history(rows);
  std::vector<std::string> found;
  for (const core::InForce& one : expectations_in_force(files, history)) {
    found.push_back(one.version.str() + ": " + (one.expectation.absent ? "no " : "") + one.expectation.subject());
  }
  return found;
}

using Found = std::vector<std::string>;

}  // namespace

TEST_CASE("expectations of different objects are all in force, in order of version") {
  CHECK(in_force({{about(Kind::column, "a", "x"), about(Kind::column, "a", "y")},
                  {about(Kind::table, "a"), about(Kind::column, "b", "x"), about(Kind::index, "a")}}) ==
        Found{"1: column a.x", "1: column a.y", "2: table a", "2: column b.x", "2: index a"});
}

TEST_CASE("a later statement about the same object takes the place of an earlier one, for every kind") {
  for (const Kind kind : {Kind::column, Kind::table, Kind::index, Kind::constraint, Kind::enum_type, Kind::sql}) {
    const Expectation one = about(kind, "a", "m");
    const Found found = in_force({{one}, {one}});
    CAPTURE(one.subject());
    CHECK(found == Found{"2: " + one.subject()});
    Expectation gone = one;
    gone.absent = true;
    // What was free SQL is just no longer asked; an object must be absent.
    CHECK(in_force({{one}, {gone}}) == (kind == Kind::sql ? Found{} : Found{"2: no " + one.subject()}));
    CHECK(in_force({{gone}, {one}}) == Found{"2: " + one.subject()});
  }
}

TEST_CASE("objects of the same name in two schemas, or of two kinds, are two objects") {
  Expectation elsewhere = about(Kind::table, "a");
  elsewhere.object.schema = "app";
  CHECK(in_force({{about(Kind::table, "a")}, {elsewhere}}).size() == 2);
  CHECK(in_force({{about(Kind::table, "a")}, {about(Kind::index, "a")}}).size() == 2);
  CHECK(in_force({{about(Kind::column, "a", "x")}, {about(Kind::constraint, "a", "x")}}).size() == 2);
}

TEST_CASE("a table that is stated to be absent takes what is on it along, and nothing else") {
  Expectation index_on_a = about(Kind::index, "i");
  index_on_a.table = ObjectName{.name = "a"};
  Expectation index_on_b = about(Kind::index, "j");
  index_on_b.table = ObjectName{.name = "b"};
  const std::vector<Expectation> before = {
      about(Kind::table, "a"),     about(Kind::column, "a", "x"), about(Kind::constraint, "a", "c"), index_on_a,
      about(Kind::table, "b"),     about(Kind::column, "b", "x"), about(Kind::constraint, "b", "c"), index_on_b,
      about(Kind::enum_type, "a"), about(Kind::sql, "", "a")};
  CHECK(in_force({before, {about(Kind::table, "a", "", true)}}) == Found{"1: table b", "1: column b.x",
                                                                         "1: constraint c on b", "1: index j",
                                                                         "1: enum a", "1: sql \"a\"", "2: no table a"});
  // A table that must be there takes nothing along.
  CHECK(in_force({before, {about(Kind::table, "a")}}).size() == before.size());
  // What is stated of a new table of that name after it counts again.
  CHECK(
      in_force({before, {about(Kind::table, "a", "", true)}, {about(Kind::table, "a"), about(Kind::column, "a", "z")}})
          .back() == "3: column a.z");
}

TEST_CASE("only what is applied states anything") {
  std::vector<Migration> files;
  for (const char* version : {"1", "2", "3", "4"}) {
    files.push_back(make_migration(version, {"x"}));
    files.back().expect = {about(Kind::column, "t", version)};
  }
  const core::History history =
      make_history({make_row(files[0]), make_row(files[1], Direction::baseline), make_row(files[2]),
                    make_row(files[2], Direction::down), test::make_half_done(files[3], 1)});
  const std::vector<core::InForce> found = expectations_in_force(files, history);
  REQUIRE(found.size() == 2);
  CHECK(found[0].version.str() == "1");
  CHECK(found[1].version.str() == "2");
}
