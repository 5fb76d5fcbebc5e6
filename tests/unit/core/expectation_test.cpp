#include "core/expectation.hpp"

#include <doctest/doctest.h>

using namespace lockkeeper::core;
using Kind = Expectation::Kind;

TEST_CASE("an object's name is quoted part by part, with quotes in it doubled") {
  CHECK(ObjectName{.name = "Booking"}.quoted() == R"("Booking")");
  CHECK(ObjectName{.schema = "app", .name = "Booking"}.quoted() == R"("app"."Booking")");
  CHECK(ObjectName{.schema = R"(a"b)", .name = R"(c.d"")"}.quoted() == R"("a""b"."c.d""""")");
  CHECK(ObjectName{.name = "Booking"}.str() == "Booking");
  CHECK(ObjectName{.schema = "app", .name = "Booking"}.str() == "app.Booking");
}

TEST_CASE("an expectation says what it is about") {
  const ObjectName booking{.schema = "app", .name = "Booking"};
  CHECK(Expectation{.kind = Kind::column, .object = booking, .member = "uri"}.subject() == "column app.Booking.uri");
  CHECK(Expectation{.kind = Kind::table, .object = booking}.subject() == "table app.Booking");
  CHECK(Expectation{.kind = Kind::index, .object = {.name = "i"}}.subject() == "index i");
  CHECK(Expectation{.kind = Kind::constraint, .object = booking, .member = "c"}.subject() ==
        "constraint c on app.Booking");
  CHECK(Expectation{.kind = Kind::enum_type, .object = {.name = "Status"}}.subject() == "enum Status");
  CHECK(Expectation{.kind = Kind::sql, .member = "no orphans"}.subject() == "sql \"no orphans\"");
}
