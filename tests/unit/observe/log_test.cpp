#include "observe/log.hpp"

#include <map>
#include <set>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "observe/termination.hpp"
#include "unit/observe/support.hpp"
#include "util/text.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

std::string logged(const core::Event& event, LogStyle style, core::Level minimum = core::Level::debug) {
  const test::StandingClock clock;
  const test::StringFile out;
  LogObserver(clock, style, minimum, out.file()).on(event);
  return out.text();
}

Json record(const core::Event& event) {
  return Json::parse(logged(event, LogStyle::json));
}

std::vector<std::string> keys(const Json& json) {
  std::vector<std::string> names;
  for (const auto& item : json.items()) {
    names.push_back(item.key());
  }
  return names;
}

template <typename T>
T find(const std::vector<core::Event>& events) {
  for (const core::Event& event : events) {
    if (const auto* found = std::get_if<T>(&event)) {
      return *found;
    }
  }
  return {};
}

template <typename T>
T sample_event() {
  return find<T>(test::every_event());
}

}  // namespace

TEST_CASE("every event is one line of JSON that begins with ts, level, event and msg") {
  std::set<std::string> names;
  for (const core::Event& event : test::every_event()) {
    const std::string line = logged(event, LogStyle::json);
    CAPTURE(line);
    REQUIRE(line.ends_with('\n'));
    CHECK(line.find('\n') == line.size() - 1);
    const Json json = Json::parse(line);
    REQUIRE(json.is_object());
    const std::vector<std::string> first = keys(json);
    REQUIRE(first.size() >= 4);
    CHECK(std::vector<std::string>(first.begin(), first.begin() + 4) ==
          std::vector<std::string>{"ts", "level", "event", "msg"});
    CHECK(json["ts"] == "2026-11-22T14:00:00.123Z");
    CHECK(json["event"] == std::string(event_name(event)));
    names.insert(json["event"].get<std::string>());
  }
  CHECK(names.size() == std::variant_size_v<core::Event>);
}

TEST_CASE("attempts to connect that end alike are told every ten seconds, and all of them at debug level") {
  const core::ConnectRetry refused{.target = "db:5432/app", .reason = "connection refused", .wait = 1s};
  const core::ConnectRetry starting{.target = "db:5432/app", .reason = "the server is starting up", .wait = 1s};
  for (const auto& [minimum, expected] : {std::pair{core::Level::info, 4U}, std::pair{core::Level::debug, 22U}}) {
    test::StandingClock clock;
    const test::StringFile out;
    LogObserver observer(clock, LogStyle::text, minimum, out.file());
    for (int i = 0; i < 21; ++i) {
      observer.on(refused);
      clock.sleep(1s);
    }
    observer.on(starting);
    CHECK(out.lines().size() == expected);
  }
}

TEST_CASE("a field of one name has one type in all events, as log stores need it") {
  std::map<std::string, Json::value_t> types;
  std::vector<core::Event> events = test::every_event();
  events.emplace_back(core::RunFinished{.report = test::failed_report()});
  for (const core::Event& event : events) {
    const Json fields_of_event = record(event);
    for (const auto& item : fields_of_event.items()) {
      const auto type = item.value().is_number() ? Json::value_t::number_float : item.value().type();
      CAPTURE(item.key());
      CHECK(types.emplace(item.key(), type).first->second == type);
    }
  }
}

TEST_CASE("each event has its own fields") {
  CHECK(
      record(sample_event<core::RunStarted>()).dump() ==
      R"({"ts":"2026-11-22T14:00:00.123Z","level":"info","event":"run_started",)"
      R"("msg":"lockkeeper 0.1.0 up, environment prod, database from environment variable DATABASE_URL",)"
      R"("command":"up","tool_version":"0.1.0","environment":"prod","url_source":"environment variable DATABASE_URL"})");
  CHECK(fields(sample_event<core::Note>()).dump() == "{}");
  CHECK(fields(sample_event<core::ConnectRetry>()).dump() ==
        R"({"target":"db:5432/app","reason":"connection refused","wait_seconds":1.5})");
  CHECK(fields(sample_event<core::Connected>()).dump() ==
        R"({"target":"db:5432","database":"app","user":"migrator","server_version":"15.18","duration_seconds":0.02})");
  CHECK(fields(sample_event<core::PlanMade>()).dump() ==
        R"({"known":5,"already_applied":4,"pending":1,"ahead":false,"version_from":"20250101000000"})");
  CHECK(fields(sample_event<core::LockWaiting>()).dump() ==
        R"({"waited_seconds":2.0,"limit_seconds":300.0,"holder_pid":4711,"holder_application":"lockkeeper/0.1.0 up",)"
        R"("holder_client":"10.0.0.7","holder_user":"app","holder_session_seconds":12})");
  CHECK(fields(sample_event<core::LockAcquired>()).dump() == R"({"waited_seconds":2.5})");
  CHECK(fields(sample_event<core::StepStarted>()).dump() ==
        R"({"version":"20250520000000","name":"calendly_integration","direction":"up","statements":2,)"
        R"("transactional":false,"first_statement":2})");
  CHECK(fields(sample_event<core::StatementFinished>()).dump() ==
        R"({"version":"20250520000000","statement":2,"statements":2,"kind":"ALTER TABLE",)"
        R"("sql":"ALTER TABLE \"Booking\"\n  ADD COLUMN x text"})");
  CHECK(fields(sample_event<core::StepRetry>()).dump() ==
        R"({"version":"20250520000000","name":"calendly_integration",)"
        R"json("reason":"could not get a lock within 2s (SQLSTATE 55P03)","attempt":1,"wait_seconds":0.7})json");
  CHECK(fields(sample_event<core::StepFinished>()).dump() ==
        R"({"version":"20250520000000","name":"calendly_integration","direction":"up","statements":2,)"
        R"("duration_seconds":0.012346})");
  CHECK(fields(sample_event<core::StepFailed>()).dump() ==
        R"({"version":"42","name":"add_index","outcome":"sql","error":{"message":"column \"bogus\" does not exist",)"
        R"("file":"migrations/0042/up.sql","line":17,"column":9,"sqlstate":"42703",)"
        R"("hint":"The transaction was rolled back."}})");
}

TEST_CASE("what a lock holder's view does not show is left out") {
  const core::LockWaiting hidden{
      .holder = core::LockHolder{.pid = 1, .application_name = "", .client = {}, .user = {}, .session_age = {}},
      .waited = 1s,
      .limit = 1min};
  CHECK(fields(hidden).dump() == R"({"waited_seconds":1.0,"limit_seconds":60.0,"holder_pid":1})");
  const core::LockWaiting gone{.holder = std::nullopt, .waited = 1s, .limit = 1min};
  CHECK(fields(gone).dump() == R"({"waited_seconds":1.0,"limit_seconds":60.0})");
  CHECK(message(gone) == "waiting for the lock, just released; 1.00 s of 1 min 00 s");
}

TEST_CASE("the last record of a run carries the termination message's fields") {
  Json last = record(core::RunFinished{.report = test::applied_report()});
  CHECK(last["level"] == "info");
  CHECK(last["event"] == "run_finished");
  CHECK(last["msg"] == "1 migration applied, database app is at 20250520000000, 80 ms");
  for (const char* key : {"ts", "level", "event", "msg"}) {
    last.erase(key);
  }
  CHECK(last.dump() == termination_message(test::applied_report()));
}

TEST_CASE("the last record of a failed run is an error with the place and the hint") {
  const Json last = record(core::RunFinished{.report = test::failed_report()});
  CHECK(last["level"] == "error");
  CHECK(last["msg"] ==
        "failed with exit code 12 (sql), 1 migration applied before, database app is at 20250520000000, 80 ms: "
        "migrations/0042/up.sql:17:9: column \"bogus\" does not exist (SQLSTATE 42703); "
        "hint: The transaction was rolled back.");
  CHECK(last["error"]["sqlstate"] == "42703");
}

TEST_CASE("check's answer that migrations are pending is a warning, not an error") {
  core::Report report = test::applied_report();
  report.command = "check";
  report.applied.clear();
  report.pending = 2;
  report.outcome = util::Outcome::pending;
  CHECK(record(core::RunFinished{.report = report})["level"] == "warn");
}

TEST_CASE("plain text has time, level and message in one line without colours") {
  CHECK(logged(core::StepFinished{.step = test::applied_report().applied[0]}, LogStyle::text) ==
        "2026-11-22T14:00:00.123Z info  applied 20250520000000_calendly_integration in 12 ms\n");
  CHECK(logged(sample_event<core::Note>(), LogStyle::text) ==
        "2026-11-22T14:00:00.123Z warn  ignored Prisma's URL parameter connection_limit\n");
  CHECK(logged(sample_event<core::StepFailed>(), LogStyle::text) ==
        "2026-11-22T14:00:00.123Z error 42_add_index failed: migrations/0042/up.sql:17:9: column \"bogus\" does not "
        "exist (SQLSTATE 42703); hint: The transaction was rolled back.\n");
  CHECK(logged(sample_event<core::StatementFinished>(), LogStyle::text) ==
        "2026-11-22T14:00:00.123Z debug statement 2 of 2 of 20250520000000: ALTER TABLE: ALTER TABLE \"Booking\"   ADD "
        "COLUMN x text\n");
}

TEST_CASE("every event is one line of plain text") {
  for (const core::Event& event : test::every_event()) {
    const std::string line = logged(event, LogStyle::text);
    CAPTURE(line);
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(line.starts_with("2026-11-22T14:00:00.123Z "));
  }
}

TEST_CASE("events below the minimum level are left out") {
  CHECK(logged(sample_event<core::StatementFinished>(), LogStyle::json, core::Level::info).empty());
  CHECK_FALSE(logged(sample_event<core::StatementFinished>(), LogStyle::json, core::Level::debug).empty());
  CHECK(logged(sample_event<core::StepFinished>(), LogStyle::json, core::Level::warning).empty());
}

TEST_CASE("text that is not UTF-8 does not make the JSON invalid") {
  const Json json = record(core::Note{.level = core::Level::info, .message = "Spalte \xE4 fehlt"});
  CHECK(json["msg"] == "Spalte \xEF\xBF\xBD fehlt");
  auto failed = sample_event<core::StepFailed>();
  failed.error.message = "\xFF\xC3";
  CHECK(util::is_valid_utf8(logged(failed, LogStyle::json)));
}

TEST_CASE("a line feed or an escape sequence in a message cannot forge a record of plain text") {
  CHECK(logged(core::Note{.level = core::Level::info, .message = "a\n2026 error b\x1b[2J\r"}, LogStyle::text) ==
        "2026-11-22T14:00:00.123Z info  a 2026 error b [2J \n");
}

TEST_CASE("times are RFC 3339 in UTC with milliseconds") {
  CHECK(rfc3339(util::WallTime{}) == "1970-01-01T00:00:00.000Z");
  CHECK(rfc3339(util::WallTime(std::chrono::milliseconds(951782399999))) == "2000-02-28T23:59:59.999Z");
  CHECK(rfc3339(util::WallTime(std::chrono::milliseconds(951782400000))) == "2000-02-29T00:00:00.000Z");
}

TEST_CASE("a log that cannot be written does not stop the run") {
  std::FILE* full = std::fopen("/dev/full", "w");
  REQUIRE(full != nullptr);
  const test::StandingClock clock;
  LogObserver log(clock, LogStyle::json, core::Level::debug, full);
  for (const core::Event& event : test::every_event()) {
    CHECK_NOTHROW(log.on(event));
  }
  static_cast<void>(std::fclose(full));
}

TEST_CASE("docs/logs.md has a sample of every event") {
  std::vector<core::Event> events = test::every_event();
  events.emplace_back(core::RunFinished{.report = test::failed_report()});
  std::string text = "```json\n";
  for (const core::Event& event : events) {
    text += logged(event, LogStyle::json);
  }
  text += "```\n\nThe same events with `--log-format text`:\n\n```text\n";
  for (const core::Event& event : events) {
    text += logged(event, LogStyle::text);
  }
  test::check_generated("logs.md", text + "```\n");
}

TEST_CASE("docs/logs.md explains every field of every event") {
  const std::string text = test::read_file(LOCKKEEPER_SOURCE_DIR "/docs/logs.md");
  std::vector<core::Event> events = test::every_event();
  events.emplace_back(core::RunFinished{.report = test::failed_report()});
  for (const core::Event& event : events) {
    CAPTURE(event_name(event));
    CHECK(text.find("| `" + std::string(event_name(event)) + "` |") != std::string::npos);
    for (const std::string& key : keys(record(event))) {
      CAPTURE(key);
      CHECK(text.find("| `" + key + "` |") != std::string::npos);
    }
  }
}

}  // namespace lockkeeper::observe
