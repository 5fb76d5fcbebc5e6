#include "util/error.hpp"

#include <map>
#include <set>
#include <string>

#include <doctest/doctest.h>

using namespace lockkeeper::util;

namespace {

struct Expected {
  Outcome outcome;
  int code;
  std::string_view name;
  RetryClass retry;
};

// The contract (design.md, section 4), by hand.
constexpr Expected k_contract[] = {
    {Outcome::ok, 0, "ok", RetryClass::success},
    {Outcome::internal, 1, "internal", RetryClass::retryable},
    {Outcome::usage, 2, "usage", RetryClass::fatal},
    {Outcome::pending, 3, "pending", RetryClass::answer},
    {Outcome::ahead, 4, "ahead", RetryClass::answer},
    {Outcome::config, 10, "config", RetryClass::fatal},
    {Outcome::migration_files, 11, "migration_files", RetryClass::fatal},
    {Outcome::sql, 12, "sql", RetryClass::fatal},
    {Outcome::half_done, 13, "half_done", RetryClass::fatal},
    {Outcome::checksum, 14, "checksum", RetryClass::fatal},
    {Outcome::history_conflict, 15, "history_conflict", RetryClass::fatal},
    {Outcome::verification, 16, "verification", RetryClass::fatal},
    {Outcome::permission, 17, "permission", RetryClass::fatal},
    {Outcome::unsupported_server, 18, "unsupported_server", RetryClass::fatal},
    {Outcome::deadline, 19, "deadline", RetryClass::fatal},
    {Outcome::data_loss, 21, "data_loss", RetryClass::fatal},
    {Outcome::policy, 22, "policy", RetryClass::fatal},
    {Outcome::unreachable, 30, "unreachable", RetryClass::retryable},
    {Outcome::lock_busy, 31, "lock_busy", RetryClass::retryable},
    {Outcome::lock_timeout, 32, "lock_timeout", RetryClass::retryable},
    {Outcome::connection_lost, 33, "connection_lost", RetryClass::retryable},
    {Outcome::server_resources, 34, "server_resources", RetryClass::retryable},
    {Outcome::metrics_required, 35, "metrics_required", RetryClass::retryable},
    {Outcome::interrupted, 130, "interrupted", RetryClass::retryable},
    {Outcome::terminated, 143, "terminated", RetryClass::retryable},
};

}  // namespace

TEST_CASE("exit codes, their names and whether to retry are those of the contract") {
  REQUIRE(exit_codes().size() == std::size(k_contract));
  for (std::size_t i = 0; i < std::size(k_contract); ++i) {
    const ExitCode& row = exit_codes()[i];
    CAPTURE(row.name);
    CHECK(row.outcome == k_contract[i].outcome);
    CHECK(row.code == k_contract[i].code);
    CHECK(row.name == k_contract[i].name);
    CHECK(row.retry == k_contract[i].retry);
  }
}

TEST_CASE("every outcome has exactly one row, found by itself and by its code") {
  std::set<int> codes;
  std::set<std::string_view> names;
  for (int value = 0; value <= static_cast<int>(Outcome::terminated); ++value) {
    const auto outcome = static_cast<Outcome>(value);
    int rows = 0;
    for (const ExitCode& row : exit_codes()) {
      rows += row.outcome == outcome ? 1 : 0;
    }
    CAPTURE(value);
    REQUIRE(rows == 1);
    const ExitCode& row = exit_code(outcome);
    CHECK(row.outcome == outcome);
    CHECK(find_exit_code(row.code) == &row);
    CHECK(codes.insert(row.code).second);
    CHECK(names.insert(row.name).second);
  }
  CHECK(exit_codes().size() == codes.size());
}

TEST_CASE("exit codes are in numeric order, and each is explained in full sentences") {
  int previous = -1;
  for (const ExitCode& row : exit_codes()) {
    CAPTURE(row.name);
    CHECK(row.code > previous);
    previous = row.code;
    CHECK(row.meaning.ends_with('.'));
    CHECK(row.next_step.ends_with('.'));
    CHECK(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == std::string_view::npos);
  }
}

TEST_CASE("a code's range says whether a Job should run again") {
  for (const ExitCode& row : exit_codes()) {
    CAPTURE(row.code);
    CHECK((row.code >= 10 && row.code <= 29) == (row.retry == RetryClass::fatal && row.code != 2));
    if (row.code >= 30) {
      CHECK(row.retry == RetryClass::retryable);
    }
  }
}

TEST_CASE("no other number is an exit code of ours") {
  std::map<int, int> known;
  for (const Expected& row : k_contract) {
    known[row.code] = 1;
  }
  for (int code = -1; code <= 256; ++code) {
    CAPTURE(code);
    CHECK((find_exit_code(code) != nullptr) == known.contains(code));
  }
}

TEST_CASE("retry classes have stable names") {
  CHECK(to_string(RetryClass::success) == "success");
  CHECK(to_string(RetryClass::answer) == "answer");
  CHECK(to_string(RetryClass::fatal) == "fatal");
  CHECK(to_string(RetryClass::retryable) == "retryable");
}

TEST_CASE("a source position leaves out what is not known") {
  CHECK(to_string(SourcePosition{.file = "up.sql", .line = 17, .column = 4}) == "up.sql:17:4");
  CHECK(to_string(SourcePosition{.file = "up.sql", .line = 17}) == "up.sql:17");
  CHECK(to_string(SourcePosition{.file = "up.sql"}) == "up.sql");
  CHECK(to_string(SourcePosition{.file = "up.sql", .line = 0, .column = 4}) == "up.sql");
}

TEST_CASE("an error is shown as place, message, SQLSTATE, source, detail and hint, each only when it is there") {
  ErrorInfo info{.outcome = Outcome::sql, .message = "column \"bogus\" does not exist"};
  CHECK(to_string(info) == "column \"bogus\" does not exist");
  info.hint = "Correct it.";
  CHECK(to_string(info) == "column \"bogus\" does not exist\nhint: Correct it.");
  info.where = SourcePosition{.file = "migrations/1_a/up.sql", .line = 2, .column = 8};
  info.sqlstate = "42703";
  info.excerpt = "    2 | SELECT bogus\n      |        ^";
  info.detail = "detail: there is none";
  CHECK(to_string(info) ==
        "migrations/1_a/up.sql:2:8: column \"bogus\" does not exist (SQLSTATE 42703)\n"
        "    2 | SELECT bogus\n"
        "      |        ^\n"
        "detail: there is none\n"
        "hint: Correct it.");
  info.where = SourcePosition{};
  info.excerpt.clear();
  CHECK(to_string(info) ==
        "column \"bogus\" does not exist (SQLSTATE 42703)\ndetail: there is none\nhint: Correct it.");
}

TEST_CASE("an Error carries its value and shows it as its text") {
  const Error error(Outcome::lock_busy, "another runner holds the lock", "Wait.");
  CHECK(error.info().outcome == Outcome::lock_busy);
  CHECK(error.info().message == "another runner holds the lock");
  CHECK(error.info().hint == "Wait.");
  CHECK(std::string(error.what()) == "another runner holds the lock\nhint: Wait.");
}
