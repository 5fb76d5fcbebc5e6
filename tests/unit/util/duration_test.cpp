#include "util/duration.hpp"

#include <doctest/doctest.h>

using namespace lockkeeper::util;

TEST_CASE("a duration that was written is read back as the same one") {
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  for (const int h : {0, 1, 2, 23, 24, 999, 9999}) {
    for (const int m : {0, 1, 10, 59}) {
      for (const int s : {0, 1, 30, 59}) {
        for (const int ms : {0, 1, 10, 500, 999}) {
          const Duration duration = hours(h) + minutes(m) + seconds(s) + Duration(ms);
          CAPTURE(to_string(duration));
          CHECK(parse_duration(to_string(duration)) == duration);
        }
      }
    }
  }
}

TEST_CASE("a duration is written in its shortest exact form") {
  CHECK(to_string(Duration(0)) == "0");
  CHECK(to_string(Duration(1)) == "1ms");
  CHECK(to_string(Duration(999)) == "999ms");
  CHECK(to_string(Duration(1000)) == "1s");
  CHECK(to_string(Duration(1001)) == "1s1ms");
  CHECK(to_string(Duration(60'000)) == "1m");
  CHECK(to_string(Duration(90'000)) == "1m30s");
  CHECK(to_string(Duration(3'600'000)) == "1h");
  CHECK(to_string(Duration(3'600'001)) == "1h1ms");
  CHECK(to_string(Duration(7'384'005)) == "2h3m4s5ms");
}

TEST_CASE("durations are read in every unit and combined from the largest to the smallest") {
  CHECK(parse_duration("0") == Duration(0));
  CHECK(parse_duration("0s") == Duration(0));
  CHECK(parse_duration("0h0m0s0ms") == Duration(0));
  CHECK(parse_duration("500ms") == Duration(500));
  CHECK(parse_duration("5s") == Duration(5'000));
  CHECK(parse_duration("10m") == Duration(600'000));
  CHECK(parse_duration("1h") == Duration(3'600'000));
  CHECK(parse_duration("007s") == Duration(7'000));
  CHECK(parse_duration("1m30s") == Duration(90'000));
  CHECK(parse_duration("90s") == Duration(90'000));
  CHECK(parse_duration("1h500ms") == Duration(3'600'500));
}

TEST_CASE("10,000 hours is the longest duration, in whatever units") {
  const Duration longest = std::chrono::hours(10'000);
  CHECK(parse_duration("10000h") == longest);
  CHECK(parse_duration("9999h60m") == longest);
  CHECK(parse_duration("600000m") == longest);
  CHECK(parse_duration("36000000000ms") == longest);
  for (const char* text :
       {"10001h", "10000h1ms", "9999h61m", "600001m", "36000000s1ms", "36000000001ms", "9223372036854775807h",
        "9223372036854775808ms", "99999999999999999999s", "1h9223372036854775807ms"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
}

TEST_CASE("what is not a duration is refused") {
  for (const char* text :
       {"",     " ",    "5",   "00",   "-0",   "-5s",    "+5s",  "1h-5m", "1h+5m", "1.5s", "1,5s", "5 s",
        " 5s",  "5s ",  "s",   "ms",   "5d",   "5S",     "5MS",  "5sec",  "5min",  "1m1h", "1s1m", "1ms1s",
        "1s1s", "1m1m", "1h2", "1e3s", "0x5s", "five s", "5s\n", "5µs",   "inf",   "nan",  "1h,5m"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_duration(text));
  }
  CHECK_FALSE(parse_duration(std::string_view("5s\0", 3)));
}
