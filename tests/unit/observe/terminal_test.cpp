#include "observe/terminal.hpp"

#include <doctest/doctest.h>

#include "unit/observe/support.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

/// Every line but the last comes with its line feed.
std::string interactive(const std::vector<core::Event>& events, util::Duration between = {}) {
  test::StandingClock clock;
  const test::StringFile out;
  TerminalObserver observer(clock, {.colour = false, .interactive = true, .verbose = false}, out.file());
  for (const core::Event& event : events) {
    observer.on(event);
    clock.sleep(between);
  }
  return out.text();
}

Lines shown(const std::vector<core::Event>& events, TerminalOptions options = {}) {
  test::StandingClock clock;
  const test::StringFile out;
  TerminalObserver observer(clock, options, out.file());
  for (const core::Event& event : events) {
    observer.on(event);
  }
  return out.lines();
}

core::StepFinished applied_step() {
  return {.step = test::applied_report().applied[0]};
}

}  // namespace

TEST_CASE("durations are written for people") {
  CHECK(human(0ns) == "0 µs");
  CHECK(human(850us) == "850 µs");
  CHECK(human(999'499ns) == "999 µs");
  CHECK(human(999'600ns) == "1 ms");
  CHECK(human(12ms) == "12 ms");
  CHECK(human(999'499us) == "999 ms");
  CHECK(human(999'600us) == "1.00 s");
  CHECK(human(1240ms) == "1.24 s");
  CHECK(human(59'994ms) == "59.99 s");
  CHECK(human(59'996ms) == "1 min 00 s");
  CHECK(human(123s) == "2 min 03 s");
  CHECK(human(3599'600ms) == "1 h 00 min");
  CHECK(human(65min) == "1 h 05 min");
  CHECK(human(100h) == "100 h 00 min");
  CHECK(human(-5s) == "0 µs");
}

TEST_CASE("display width counts columns, not bytes") {
  CHECK(display_width("") == 0);
  CHECK(display_width("abc") == 3);
  CHECK(display_width("Größe") == 5);
  CHECK(display_width("✓") == 1);
  CHECK(display_width("日本語") == 6);
  CHECK(display_width("e\xCC\x81") == 1);  // e and a combining accent
  CHECK(display_width("🐘") == 2);
  CHECK(display_width("\xFF") == 1);
}

TEST_CASE("control characters and bad UTF-8 do not reach the terminal") {
  CHECK(printable("a\x1b[31mb\tc\nd\x7f") == "a [31mb c d ");
  CHECK(printable("\xC2\x9B"
                  "31m") == " 31m");  // C1 control: CSI in one character
  CHECK(printable("user \xE2\x80\xAE"
                  "gpj.exe\xE2\x80\xAC") == "user  gpj.exe ");  // right-to-left override
  CHECK(printable("\xE4") == "\xEF\xBF\xBD");
  CHECK(printable("\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // a surrogate
  CHECK(printable("\xF0\x9F\x90\x98 é") == "\xF0\x9F\x90\x98 é");
  CHECK(printable_lines("a\nb\rc") == "a\nb c");
}

TEST_CASE("a table aligns its columns by display width and leaves no spaces at the ends of lines") {
  const std::vector<std::vector<std::string>> rows = {
      {"version", "name", "state"}, {"1", "Größe", "applied"}, {"20250520000000", "日本語", ""}, {"3", "x"}};
  CHECK(render_table(rows) ==
        "version         name    state\n"
        "1               Größe   applied\n"
        "20250520000000  日本語\n"
        "3               x\n");
}

TEST_CASE("numbers can be aligned to the right, and a table indented") {
  const std::vector<Row> rows = {{"column", "rows"}, {"Booking.calendlyEventId", "7"}, {"x", "1234"}};
  CHECK(
      render_table(rows, {.colour = false, .align = {Align::left, Align::right}, .indent = "  ", .separator = " | "}) ==
      "  column                  | rows\n"
      "  Booking.calendlyEventId |    7\n"
      "  x                       | 1234\n");
}

TEST_CASE("an empty cell at the start or in the middle keeps its place") {
  CHECK(render_table(std::vector<Row>{{"a", "b", "c"}, {"", "", "z"}, {"x", "", "y"}}) ==
        "a  b  c\n      z\nx     y\n");
  CHECK(render_table(std::vector<Row>{}).empty());
  CHECK(render_table(std::vector<Row>{{}}) == "\n");
}

TEST_CASE("colours surround a cell's text and do not disturb the alignment") {
  const std::vector<Row> rows = {{"name", "state"}, {"a", {"ok", Colour::green}}, {{"b", Colour::red}, "x"}};
  CHECK(render_table(rows, {.colour = true, .align = {}, .indent = "", .separator = "  "}) ==
        "\x1b[1mname\x1b[0m  \x1b[1mstate\x1b[0m\n"
        "a     \x1b[32mok\x1b[0m\n"
        "\x1b[31mb\x1b[0m     x\n");
  CHECK(render_table(rows) == "name  state\na     ok\nb     x\n");
}

TEST_CASE("a line feed in a cell does not break the table") {
  CHECK(render_table(std::vector<Row>{{"a"}, {"x\ny"}}) == "a\nx y\n");
}

TEST_CASE("a successful run shows one line for each migration and a summary") {
  CHECK(
      shown(
          {core::Connected{
               .target = "localhost:5432", .database = "app", .user = "me", .server_version = "15.18", .duration = 1ms},
           core::PlanMade{.known = 1, .applied = 0, .pending = 1, .ahead = false, .version = ""},
           core::PlanMade{.known = 1, .applied = 0, .pending = 1, .ahead = false, .version = ""},
           core::LockAcquired{.waited = 1ms}, core::StepStarted{}, applied_step(),
           core::RunFinished{.report = test::applied_report()}}) ==
      Lines{"connected to database app at localhost:5432 as me (PostgreSQL 15.18)", "1 migration pending",
            "  ✓ 20250520000000  calendly_integration       12 ms",
            "1 migration applied, database app is at 20250520000000, 80 ms"});
}

TEST_CASE("nothing to do says where the database is") {
  core::Report report = test::applied_report();
  report.applied.clear();
  CHECK(shown({core::RunFinished{.report = report}}) ==
        Lines{"nothing to do: database app is at 20250520000000, 80 ms"});
  report.ahead = true;
  CHECK(shown({core::RunFinished{.report = report}}) ==
        Lines{"nothing to do: database app is at 20250520000000, ahead of these files, 80 ms"});
}

TEST_CASE("an error that a step reported is not shown again at the end") {
  const core::Report report = test::failed_report();
  const Lines lines = shown({core::StepFailed{.version = "42", .name = "add_index", .error = report.error.value()},
                             core::RunFinished{.report = report}});
  CHECK(lines ==
        Lines{"  ✗ 42  add_index",
              "error: migrations/0042/up.sql:17:9: column \"bogus\" does not exist (SQLSTATE 42703)",
              "  17 |   ON orders (bogus);", "     |              ^", "hint: The transaction was rolled back.",
              "failed with exit code 12 (sql), 1 migration applied before, database app is at 20250520000000, 80 ms"});
}

TEST_CASE("an error outside of any step is shown at the end") {
  CHECK(shown({core::RunFinished{.report = test::unreachable_report()}}) ==
        Lines{"error: connection refused", "hint: Is the server running?",
              "failed with exit code 30 (unreachable), 1 min 00 s"});
}

TEST_CASE("errors are coloured when asked for") {
  CHECK(render_error(test::unreachable_report().error.value(), true) ==
        "\x1b[31merror: \x1b[0m\x1b[1mconnection refused\x1b[0m\n\x1b[36mhint:\x1b[0m Is the server running?");
}

TEST_CASE("nothing is coloured unless asked for") {
  for (const std::string& line : shown(test::every_event(), {.colour = false, .interactive = false, .verbose = true})) {
    CAPTURE(line);
    CHECK(line.find('\x1b') == std::string::npos);
    CHECK_FALSE(line.ends_with(' '));
  }
}

TEST_CASE("waiting for the lock names the holder, and again only when that changes or time has passed") {
  const core::LockHolder holder{.pid = 4711,
                                .application_name = "lockkeeper/0.1.0 up\x1b[2J",
                                .client = "10.0.0.7",
                                .user = "app",
                                .session_age = 12s};
  test::StandingClock clock;
  const test::StringFile out;
  TerminalObserver observer(clock, {}, out.file());
  const auto waited = [&](std::optional<core::LockHolder> who, std::chrono::seconds since_start) {
    clock.m_now = util::SteadyTime(since_start);
    observer.on(core::LockWaiting{.holder = std::move(who), .waited = since_start, .limit = 5min});
  };
  waited(holder, 1s);
  waited(holder, 2s);
  waited(holder, 11s);
  waited(std::nullopt, 12s);
  observer.on(core::LockAcquired{.waited = 13s});
  const Lines lines = out.lines();
  REQUIRE(lines.size() == 4);
  CHECK(lines[0].starts_with("  … waiting for the lock, held by pid 4711"));
  CHECK(lines[0].ends_with("; 1.00 s of 5 min 00 s"));
  CHECK(lines[0].find('\x1b') == std::string::npos);
  CHECK(lines[1].ends_with("; 11.00 s of 5 min 00 s"));
  CHECK(lines[2] == "  … waiting for the lock, just released; 12.00 s of 5 min 00 s");
  CHECK(lines[3] == "  ✓ got the lock after 13.00 s");
}

TEST_CASE("the same connect retry is shown at most every ten seconds") {
  test::StandingClock clock;
  const test::StringFile out;
  TerminalObserver observer(clock, {}, out.file());
  const core::ConnectRetry refused{.target = "db:5432/app", .reason = "connection refused", .wait = 1s};
  for (int i = 0; i < 21; ++i) {
    observer.on(refused);
    clock.sleep(1s);
  }
  observer.on(core::ConnectRetry{.target = "db:5432/app", .reason = "the database system is starting up", .wait = 1s});
  CHECK(out.lines() ==
        Lines{"  … no connection to db:5432/app: connection refused; next attempt in 1.00 s",
              "  … no connection to db:5432/app: connection refused; next attempt in 1.00 s",
              "  … no connection to db:5432/app: connection refused; next attempt in 1.00 s",
              "  … no connection to db:5432/app: the database system is starting up; next attempt in 1.00 s"});
}

TEST_CASE("a retry names the migration and the reason") {
  CHECK(shown({core::StepRetry{.version = "42",
                               .name = "add_index_on_a_rather_long_table_name",
                               .reason = "canceling statement due to lock timeout (SQLSTATE 55P03)",
                               .attempt = 1,
                               .wait = 700ms}}) == Lines{"  … 42  add_index_on_a_rather_long_table_name   canceling "
                                                         "statement due to lock timeout (SQLSTATE 55P03); attempt "
                                                         "1 failed, next in 700 ms"});
}

TEST_CASE("statements and debug notes are shown when verbose only") {
  const std::vector<core::Event> events = {
      core::Note{.level = core::Level::debug, .message = "asked the catalog"},
      core::StatementFinished{
          .version = "1", .index = 0, .total = 2, .kind = "CREATE TABLE", .text = "CREATE TABLE t ()"}};
  CHECK(shown(events).empty());
  CHECK(shown(events, {.colour = false, .interactive = false, .verbose = true}) ==
        Lines{"asked the catalog", "    1/2  CREATE TABLE t ()"});
}

TEST_CASE("notes show their level") {
  CHECK(shown({core::Note{.level = core::Level::info, .message = "a"},
               core::Note{.level = core::Level::warning, .message = "b"},
               core::Note{.level = core::Level::error, .message = "c"}}) == Lines{"a", "warning: b", "error: c"});
}

TEST_CASE("a resumed migration says where it goes on") {
  CHECK(shown({core::StepStarted{.version = "7",
                                 .name = "x",
                                 .direction = "up",
                                 .statements = 5,
                                 .first_statement = 2,
                                 .transactional = false}}) == Lines{"resuming 7 at statement 3 of 5"});
}

TEST_CASE("on a terminal the running migration is shown and replaced by its result") {
  core::StepStarted started;
  started.version = "20250520000000";
  started.name = "calendly_integration";
  test::StandingClock clock;
  const test::StringFile out;
  TerminalObserver observer(clock, {.colour = false, .interactive = true, .verbose = false}, out.file());
  observer.on(started);
  CHECK(out.text() == "  … 20250520000000  calendly_integration    ");
  observer.on(applied_step());
  CHECK(out.text() ==
        "  … 20250520000000  calendly_integration    \r\x1b[K  ✓ 20250520000000  calendly_integration       12 ms\n");
}

namespace {

core::StepProgress progress_of(std::size_t index, util::Duration running) {
  return {.version = "42",
          .name = "add_index",
          .index = index,
          .total = 2,
          .kind = "CREATE INDEX",
          .running = running,
          .phase = "building index",
          .fraction = 0.5,
          .left = {},
          .waiting_for = {}};
}

core::StepBlocked blocked_by(int pid) {
  core::StepBlocked event{.version = "42", .name = "add_index", .index = 0, .blockers = {}, .queued = 0, .waited = 1s};
  event.blockers.resize(1);
  event.blockers[0].pid = pid;
  return event;
}

}  // namespace

TEST_CASE("on a terminal progress is one line that is drawn again, and gone when the migration is done") {
  core::StepStarted started;
  started.version = "42";
  started.name = "add_index";
  const std::string first = "  … 42  add_index               ";
  const std::string drawn = "  ▕█████░░░░░▏ 50 % building index · 00:02";
  const std::string again = "  ▕█████░░░░░▏ 50 % building index · 00:03";
  const std::string clear = "\r\x1b[K";
  CHECK(interactive({started, progress_of(0, 2s), progress_of(0, 2250ms), progress_of(0, 3s), applied_step()}) ==
        first + clear + drawn + clear + again + clear + "  ✓ 20250520000000  calendly_integration       12 ms\n");
}

TEST_CASE("whoever blocks is one line of its own, and progress goes on below it") {
  const std::string clear = "\r\x1b[K";
  const std::string bar = "  ▕█████░░░░░▏ 50 % building index · 00:02";
  CHECK(interactive({progress_of(0, 2s), blocked_by(7), blocked_by(7), blocked_by(8)}, 1s) ==
        bar + clear + "  … waiting for a lock for 1.00 s: pid 7\n" + bar + clear +
            "  … waiting for a lock for 1.00 s: pid 8\n" + bar);
}

TEST_CASE("the same blocker is shown every ten seconds, in yellow") {
  std::vector<core::Event> events(21, blocked_by(7));
  test::StandingClock clock;
  const test::StringFile out;
  TerminalObserver observer(clock, {.colour = true, .interactive = false, .verbose = false}, out.file());
  for (const core::Event& event : events) {
    observer.on(event);
    clock.sleep(1s);
  }
  const std::string line = "  \x1b[33m…\x1b[0m \x1b[33mwaiting for a lock for 1.00 s: pid 7\x1b[0m";
  CHECK(out.lines() == Lines{line, line, line});
}

TEST_CASE("without a terminal progress is a line every ten seconds for each statement") {
  test::StandingClock clock;
  const test::StringFile out;
  TerminalObserver observer(clock, {}, out.file());
  for (int i = 0; i < 44; ++i) {
    observer.on(progress_of(0, 2s + i * 250ms));
    clock.sleep(250ms);
  }
  observer.on(progress_of(1, 2s));
  const std::string words = " of 2 of 42_add_index, CREATE INDEX, has been running for ";
  CHECK(out.lines() == Lines{"  … statement 1" + words + "2 s: building index, 50 %",
                             "  … statement 1" + words + "12 s: building index, 50 %",
                             "  … statement 2" + words + "2 s: building index, 50 %"});
}

TEST_CASE("what a blocking session calls itself cannot steer the terminal") {
  core::StepBlocked event = blocked_by(7);
  event.blockers[0].application_name = "x\x1b[2J";
  event.blockers[0].query = "SELECT\r\n1";
  core::StepRetry retry{
      .version = "42", .name = "a", .reason = "r", .attempt = 1, .wait = 1s, .blockers = {}, .queued = 0};
  retry.blockers = event.blockers;
  const Lines lines = shown({event, retry});
  CHECK(lines == Lines{"  … waiting for a lock for 1.00 s: pid 7 (x [2J): SELECT  1",
                       "  … 42  a                          r; attempt 1 failed, next in 1.00 s; blocked by pid 7 (x "
                       "[2J): SELECT  1"});
}

}  // namespace lockkeeper::observe
