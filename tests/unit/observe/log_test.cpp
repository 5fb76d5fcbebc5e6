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

/// What docs/logs.md shows: each event, and what some of them look like at other times.
std::vector<core::Event> documented_events() {
  std::vector<core::Event> events = test::every_event();
  core::StepProgress waiting = find<core::StepProgress>(events);
  waiting.phase = "waiting for old snapshots";
  waiting.fraction.reset();
  waiting.left.reset();
  waiting.waiting_for = {test::reports_session()};
  events.emplace_back(waiting);
  events.emplace_back(core::RunFinished{.report = test::failed_report()});
  return events;
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
  for (const core::Event& event : documented_events()) {
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
  CHECK(fields(sample_event<core::StepBlocked>()).dump() ==
        R"({"version":"20250520000000","name":"calendly_integration","statement":2,"waited_seconds":1.5,"queued":3,)"
        R"("blockers":[{"pid":4711,"application_name":"reports","backend_type":"client backend","client":"10.0.0.7",)"
        R"("user":"app","state":"idle in transaction","transaction_age_seconds":720,)"
        R"json("query":"SELECT count(*) FROM \"Booking\""}]})json");
  CHECK(fields(sample_event<core::StepProgress>()).dump() ==
        R"({"version":"42","name":"add_index","statement":1,"statements":1,"kind":"CREATE INDEX CONCURRENTLY",)"
        R"("running_seconds":42.0,"phase":"building index: scanning table","percent":61,"left_seconds":27.0})");
  CHECK(
      fields(sample_event<core::StepRetry>()).dump() ==
      R"({"version":"20250520000000","name":"calendly_integration",)"
      R"json("reason":"canceling statement due to lock timeout (SQLSTATE 55P03)","attempt":1,"wait_seconds":0.7,"queued":3,)json"
      R"("blockers":[{"pid":4711,"application_name":"reports","backend_type":"client backend","client":"10.0.0.7",)"
      R"("user":"app","state":"idle in transaction","transaction_age_seconds":720,)"
      R"json("query":"SELECT count(*) FROM \"Booking\""}]})json");
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

TEST_CASE("what our role may not see of a blocking session is left out") {
  core::StepBlocked blocked{
      .version = "1", .name = "a", .index = {}, .blockers = {{.pid = 7}}, .queued = 0, .waited = 200ms};
  CHECK(fields(blocked).dump() ==
        R"({"version":"1","name":"a","waited_seconds":0.2,"queued":0,"blockers":[{"pid":7}]})");
  CHECK(message(blocked) == "waiting for a lock for 200 ms: pid 7");
  blocked.blockers.clear();
  CHECK(fields(blocked).dump() == R"({"version":"1","name":"a","waited_seconds":0.2,"queued":0})");
}

TEST_CASE("what a session runs cannot forge a record or a line") {
  core::StepBlocked blocked = sample_event<core::StepBlocked>();
  blocked.blockers[0].query = "SELECT 1\n2026-11-22T14:00:00.123Z info  all is well\x1b[2J \xFF";
  blocked.blockers[0].application_name = "\xC3\"\r\n";
  const std::string text = logged(blocked, LogStyle::text);
  CHECK(text.find('\n') == text.size() - 1);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(util::is_valid_utf8(text));
  const std::string json = logged(blocked, LogStyle::json);
  CHECK(json.find('\n') == json.size() - 1);
  CHECK(util::is_valid_utf8(json));
  CHECK(Json::parse(json)["blockers"][0]["query"].get<std::string>().starts_with("SELECT 1\n2026"));
}

TEST_CASE("a wait for the same sessions is told every ten seconds, and at once when that changes") {
  core::StepBlocked blocked = sample_event<core::StepBlocked>();
  blocked.queued = 0;
  for (const auto& [minimum, expected] : {std::pair{core::Level::info, 5U}, std::pair{core::Level::debug, 24U}}) {
    test::StandingClock clock;
    const test::StringFile out;
    LogObserver observer(clock, LogStyle::text, minimum, out.file());
    core::StepBlocked seen = blocked;
    for (int i = 0; i < 21; ++i) {
      seen.waited += 1s;
      seen.blockers[0].transaction_age = std::chrono::seconds(100 + i);
      observer.on(seen);
      clock.sleep(1s);
    }
    seen.queued = 1;
    observer.on(seen);
    seen.queued = 2;
    observer.on(seen);
    seen.blockers[0].pid = 4712;
    observer.on(seen);
    CHECK(out.lines().size() == expected);
  }
}

TEST_CASE("progress of a statement is told when it is told first, and then every ten seconds at most") {
  for (const core::Level minimum : {core::Level::info, core::Level::debug}) {
    test::StandingClock clock;
    const test::StringFile out;
    LogObserver observer(clock, LogStyle::json, minimum, out.file());
    core::StepProgress progress = sample_event<core::StepProgress>();
    progress.total = 2;
    for (int i = 0; i < 84; ++i) {  // 2 s to 22.75 s
      progress.running = 2s + i * 250ms;
      observer.on(progress);
      clock.sleep(250ms);
    }
    progress.index = 1;
    progress.running = 2s;
    observer.on(progress);
    const std::vector<std::string> lines = out.lines();
    REQUIRE(lines.size() == 4);
    const std::pair<int, double> expected[] = {{1, 2.0}, {1, 12.0}, {1, 22.0}, {2, 2.0}};
    for (std::size_t i = 0; i < lines.size(); ++i) {
      CHECK(Json::parse(lines[i])["statement"] == expected[i].first);
      CHECK(Json::parse(lines[i])["running_seconds"] == expected[i].second);
    }
  }
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
  const std::vector<core::Event> events = documented_events();
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
  for (const core::Event& event : documented_events()) {
    CAPTURE(event_name(event));
    CHECK(text.find("| `" + std::string(event_name(event)) + "` |") != std::string::npos);
    const Json fields_of_event = record(event);
    for (const auto& [key, value] : fields_of_event.items()) {
      CAPTURE(key);
      const std::size_t row = text.find("| `" + key + "` |");
      REQUIRE(row != std::string::npos);
      // The row also names the event, but for what is in every record, and what is in an object.
      const std::string explained = text.substr(row, text.find('\n', row) - row);
      const std::string name(event_name(event));
      const std::string family = name.substr(0, name.find('_')) + "_*";
      const bool in_all = key == "ts" || key == "level" || key == "event" || key == "msg";
      CHECK((in_all || explained.find(name) != std::string::npos || explained.find(family) != std::string::npos));
      for (const std::string& inner : value.is_array() && value.at(0).is_object() ? keys(value.at(0)) : keys(Json())) {
        CAPTURE(inner);
        CHECK(explained.find("`" + inner + "`") != std::string::npos);
      }
    }
  }
}

}  // namespace lockkeeper::observe
