#include "observe/termination.hpp"

#include <filesystem>

#include <sys/stat.h>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "unit/observe/support.hpp"
#include "util/text.hpp"

namespace lockkeeper::observe {

namespace {

using Json = nlohmann::ordered_json;

std::string repeated(std::string_view unit, std::size_t bytes) {
  std::string text;
  while (text.size() + unit.size() <= bytes) {
    text += unit;
  }
  return text;
}

void check_valid(const std::string& text, std::size_t limit = k_termination_limit) {
  CAPTURE(text);
  CHECK(text.size() <= limit);
  CHECK(util::is_valid_utf8(text));
  CHECK(text.find('\n') == std::string::npos);
  REQUIRE(Json::accept(text));
  CHECK(Json::parse(text)["exit_code"] == 12);
  CHECK(Json::parse(text)["applied"].is_number());
}

}  // namespace

TEST_CASE("the summary of a successful run") {
  CHECK(
      summary(test::applied_report()).dump() ==
      R"({"exit_code":0,"outcome":"ok","retry":"success","command":"up","tool_version":"0.1.0","environment":"prod",)"
      R"("database":"app","version_from":"","version_to":"20250520000000","applied":1,)"
      R"("migrations":["20250520000000_calendly_integration"],"pending":0,"known":1,"ahead":false,"half_done":0,)"
      R"("checksum_mismatches":0,"lock_wait_seconds":0.0015,"lock_timeout_retries":3,"lock_attempts":2,"blockers_seen":2,)"
      R"("queue_peak_sessions":5,"queue_longest_seconds":1.25,"invalid_indexes_repaired":1,"touched_table_rows":1000,)"
      R"("touched_table_bytes":81920,"duration_seconds":0.08})");
}

TEST_CASE("what is not known is not in the summary") {
  CHECK(
      summary(test::unreachable_report()).dump() ==
      R"({"exit_code":30,"outcome":"unreachable","retry":"retryable","command":"up","tool_version":"0.1.0","applied":0,)"
      R"("lock_timeout_retries":0,"duration_seconds":60.0,)"
      R"("error":{"message":"connection refused","hint":"Is the server running?"}})");
}

TEST_CASE("every exit code has a summary") {
  for (const util::ExitCode& row : util::exit_codes()) {
    core::Report report;
    report.outcome = row.outcome;
    CHECK(summary(report)["exit_code"] == row.code);
    CHECK(summary(report)["outcome"] == std::string(row.name));
    CHECK_FALSE(headline(report).empty());
  }
}

TEST_CASE("the headline says what was done") {
  core::Report report = test::applied_report();
  report.command = "down";
  report.version_to = "";
  CHECK(headline(report) == "1 migration rolled back, database app has no migrations, 80 ms");
  report.command = "baseline";
  CHECK(headline(report) == "1 migration recorded as applied, database app has no migrations, 80 ms");
  report = test::applied_report();
  report.command = "check";
  report.applied.clear();
  CHECK(headline(report) == "nothing pending, database app is at 20250520000000, 80 ms");
  report.outcome = util::Outcome::pending;
  report.pending = 2;
  report.half_done = 1;
  CHECK(headline(report) == "2 migrations pending, database app is at 20250520000000, 1 half done, 80 ms");
  report = {};
  report.command = "doctor";
  CHECK(headline(report) == "doctor done, 0 µs");
}

TEST_CASE("a termination message is never longer than its limit and always valid, whatever is long") {
  for (const std::size_t size : {0U, 9U, 300U, 700U, 1100U, 1700U, 2048U, 4500U}) {
    for (const std::string_view unit : {"x", "\"", "\\", "\x01", "é", "日", "🐘", "\n", "\xFF", "a\xE4"}) {
      core::Report report = test::failed_report();
      report.error->detail = repeated(unit, size);
      check_valid(termination_message(report));
      report.error->hint = repeated(unit, size / 2);
      report.error->message = repeated(unit, size / 3);
      check_valid(termination_message(report));
      report.database = repeated(unit, size);
      report.environment = repeated(unit, size);
      report.error->where->file = repeated(unit, size);
      report.version_to = repeated(unit, size);
      check_valid(termination_message(report));
    }
  }
}

TEST_CASE("a termination message stays within every limit") {
  core::Report report = test::failed_report();
  report.error->detail = repeated("日\"\n", 3000);
  report.error->message = repeated("m", 3000);
  for (int i = 0; i < 40; ++i) {
    report.applied.push_back(report.applied[0]);
  }
  for (std::size_t limit = 512; limit <= 2100; limit += 41) {
    check_valid(termination_message(report, limit), limit);
  }
}

TEST_CASE("the longest part is cut first: a short message survives a huge detail") {
  core::Report report = test::failed_report();
  report.error->detail = repeated("d", 100'000);
  const Json json = Json::parse(termination_message(report));
  CHECK(json["error"]["message"] == "column \"bogus\" does not exist");
  CHECK(json["error"]["hint"] == "The transaction was rolled back.");
  CHECK(json["error"]["file"] == "migrations/0042/up.sql");
  const auto detail = json["error"]["detail"].get<std::string>();
  CHECK(detail.size() > 1000);
  CHECK(detail.ends_with("..."));
}

TEST_CASE("of many blockers the first stay, and the line that would end one") {
  core::Report report = test::failed_report();
  report.outcome = util::Outcome::lock_timeout;
  report.error->outcome = report.outcome;
  report.error->hint = "Let them finish, or: SELECT pg_terminate_backend(4711);";
  const std::string one = core::to_string(test::reports_session());
  for (int i = 0; i < 30; ++i) {
    report.error->detail += (i == 0 ? "" : "\n") + one;
  }
  const std::string message = termination_message(report);
  CHECK(message.size() <= k_termination_limit);
  const Json error = Json::parse(message)["error"];
  CHECK(error["hint"] == report.error->hint);
  CHECK(error["message"] == report.error->message);
  CHECK(error["detail"].get<std::string>().starts_with(one + "\n" + one));
  CHECK(error["detail"].get<std::string>().ends_with("..."));
}

TEST_CASE("of many migrations the newest stay, and the count stays right") {
  core::Report report = test::applied_report();
  report.applied.clear();
  for (int i = 1; i <= 500; ++i) {
    report.applied.push_back(
        {.version = std::to_string(i), .name = "step", .direction = "up", .statements = 1, .duration = {}});
  }
  const std::string text = termination_message(report);
  const Json json = Json::parse(text);
  CHECK(text.size() <= k_termination_limit);
  CHECK(json["applied"] == 500);
  REQUIRE(json["migrations"].size() > 50);
  CHECK(json["migrations"].back() == "500_step");
}

TEST_CASE("a termination message that fits is not touched") {
  CHECK(termination_message(test::failed_report()) == summary(test::failed_report()).dump());
}

TEST_CASE("a path that was given is created and truncated") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "termination";
  const core::Report report = test::applied_report();
  CHECK(write_termination_message(path, test::failed_report()) == std::nullopt);
  CHECK(write_termination_message(path, report) == std::nullopt);
  CHECK(test::read_file(path) == termination_message(report));
}

TEST_CASE("a path that was given and cannot be written is a warning") {
  const test::TemporaryDirectory directory;
  CHECK(write_termination_message(directory / "no/such/file", test::applied_report()).value() ==
        "termination message not written to " + directory / "no/such/file" + ": No such file or directory");
  CHECK(write_termination_message(directory.path(), test::applied_report()).value().ends_with(": Is a directory"));
  CHECK(write_termination_message("/dev/full", test::applied_report()).value() ==
        "termination message not written to /dev/full: No space left on device");
}

TEST_CASE("the default path is written only where it is there already") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "termination-log";
  CHECK(write_termination_message("", test::applied_report(), path) == std::nullopt);
  CHECK_FALSE(std::filesystem::exists(path));
  std::ofstream(path) << "old";
  CHECK(write_termination_message("", test::applied_report(), path) == std::nullopt);
  CHECK(test::read_file(path) == termination_message(test::applied_report()));
}

TEST_CASE("a default path that cannot be written is no warning") {
  const test::TemporaryDirectory directory;
  CHECK(write_termination_message("", test::applied_report(), directory.path()) == std::nullopt);
  CHECK(write_termination_message("", test::applied_report(), "/dev/full") == std::nullopt);
}

TEST_CASE("the termination message is written in place, because Kubernetes mounts that very file") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "termination-log";
  std::ofstream(path) << "old";
  struct stat before{};
  struct stat after{};
  REQUIRE(::stat(path.c_str(), &before) == 0);
  CHECK(write_termination_message(path, test::applied_report()) == std::nullopt);
  REQUIRE(::stat(path.c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
}

}  // namespace lockkeeper::observe
