#include "observe/progress.hpp"

#include <cstdlib>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "observe/terminal.hpp"
#include "unit/observe/support.hpp"
#include "util/text.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;

core::StepProgress building() {
  return {.version = "42",
          .name = "add_index",
          .index = 2,
          .total = 5,
          .kind = "CREATE INDEX CONCURRENTLY",
          .running = 42s,
          .phase = "building index: scanning table",
          .fraction = 0.61,
          .left = 27s,
          .waiting_for = {}};
}

core::StepProgress altering() {
  core::StepProgress progress = building();
  progress.kind = "ALTER TABLE";
  progress.phase.clear();
  progress.fraction.reset();
  progress.left.reset();
  return progress;
}

core::StepProgress waiting() {
  core::StepProgress progress = building();
  progress.phase = "waiting for old snapshots";
  progress.fraction = 0.0;
  progress.left.reset();
  progress.waiting_for = {test::reports_session()};
  progress.waiting_for[0].query.reset();
  return progress;
}

core::StepBlocked blocked(std::size_t sessions, std::size_t queued) {
  core::StepBlocked event{
      .version = "42", .name = "add_index", .index = 0, .blockers = {}, .queued = queued, .waited = 1500ms};
  for (std::size_t i = 0; i < sessions; ++i) {
    core::Blocker blocker;
    blocker.pid = static_cast<int>(i + 1);
    event.blockers.push_back(blocker);
  }
  return event;
}

/// A terminal of our own, of which we hold the other end.
class PseudoTerminal {
 public:
  explicit PseudoTerminal(unsigned short columns) : m_master(::posix_openpt(O_RDWR | O_NOCTTY)) {
    REQUIRE(m_master >= 0);
    REQUIRE(::grantpt(m_master) == 0);
    REQUIRE(::unlockpt(m_master) == 0);
    winsize size{};
    size.ws_row = 24;
    size.ws_col = columns;
    REQUIRE(::ioctl(m_master, TIOCSWINSZ, &size) == 0);
    m_file = std::fopen(::ptsname(m_master), "w");
    REQUIRE(m_file != nullptr);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;
  ~PseudoTerminal() {
    static_cast<void>(std::fclose(m_file));
    static_cast<void>(::close(m_master));
  }
  [[nodiscard]] std::FILE* file() const { return m_file; }
  /// What is there now.
  [[nodiscard]] std::string read() const {
    std::string text(4096, '\0');
    const ssize_t bytes = ::read(m_master, text.data(), text.size());
    text.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
    return text;
  }

 private:
  int m_master;
  std::FILE* m_file = nullptr;
};

}  // namespace

TEST_CASE("whoever blocks a migration is named, and how many wait behind it is said") {
  CHECK(blocked_text(blocked(1, 0)) == "waiting for a lock for 1.50 s: pid 1");
  CHECK(blocked_text(blocked(2, 1)) ==
        "waiting for a lock for 1.50 s: pid 1; pid 2; 1 session waits behind this migration");
  CHECK(blocked_text(blocked(5, 3)) ==
        "waiting for a lock for 1.50 s: pid 1; pid 2; pid 3; and 2 more; 3 sessions wait behind this migration");
  CHECK(blocked_text(blocked(0, 3)) == "3 sessions wait behind this migration");
  CHECK(blocked_text(blocked(0, 0)) == "waiting for a lock for 1.50 s");
  core::StepBlocked event = blocked(0, 0);
  event.blockers = {test::reports_session()};
  event.waited = 0ms;
  CHECK(blocked_text(event) ==
        "waiting for a lock: pid 4711 (reports), user app, from 10.0.0.7, idle in transaction for 12m: SELECT count(*) "
        "FROM \"Booking\"");
}

TEST_CASE("an attempt that gave way says to whom") {
  core::StepRetry retry;
  CHECK(retry_text(retry).empty());
  retry.queued = 21;
  CHECK(retry_text(retry) == "; 21 sessions waited behind it");
  retry.blockers.resize(1);
  retry.blockers[0].pid = 7;
  CHECK(retry_text(retry) == "; blocked by pid 7; 21 sessions waited behind it");
}

TEST_CASE("progress in words says which statement, for how long, and as much as the server tells") {
  CHECK(progress_text(building()) ==
        "statement 3 of 5 of 42_add_index, CREATE INDEX CONCURRENTLY, has been running for 42 s: building index: "
        "scanning table, 61 %, about 27 s left");
  CHECK(progress_text(altering()) == "statement 3 of 5 of 42_add_index, ALTER TABLE, has been running for 42 s");
  CHECK(progress_text(waiting()) ==
        "statement 3 of 5 of 42_add_index, CREATE INDEX CONCURRENTLY, has been running for 42 s: waiting for old "
        "snapshots: pid 4711 (reports), user app, from 10.0.0.7, idle in transaction for 12m, 0 %");
  core::StepProgress unknown = altering();
  unknown.index.reset();
  unknown.kind.clear();
  unknown.running = 123s;
  CHECK(progress_text(unknown) == "42_add_index has been running for 2 min 03 s");
}

TEST_CASE("the line of a long statement has a bar, the phase, the time and an estimate, as far as they are known") {
  CHECK(progress_line(building(), 79, false) ==
        "  ▕██████░░░░▏ 61 % building index: scanning table · 00:42 · about 27 s left");
  CHECK(progress_line(altering(), 79, false) == "  … 42_add_index, statement 3 of 5: ALTER TABLE · 00:42");
  CHECK(progress_line(waiting(), 200, false) ==
        "  … waiting for old snapshots: pid 4711 (reports), user app, from 10.0.0.7, idle in transaction for 12m · "
        "00:42");
  core::StepProgress hours = building();
  hours.left = 65min;
  hours.running = 3723s;
  CHECK(progress_line(hours, 200, false).ends_with(" · 1:02:03 · about 1 h 05 min left"));
}

TEST_CASE("the bar is full only when the work is done") {
  CHECK(percent(0.999) == 99);
  CHECK(percent(0.57) == 57);
  CHECK(percent(1.0) == 100);
  CHECK(percent(7.0) == 100);
  CHECK(percent(-1.0) == 0);
  core::StepProgress progress = building();
  progress.fraction = 0.999;
  CHECK(progress_line(progress, 79, false).starts_with("  ▕█████████░▏ 99 % "));
  progress.fraction = 1.0;
  CHECK(progress_line(progress, 79, false).starts_with("  ▕██████████▏ 100 % "));
}

TEST_CASE("no line is wider than the terminal; what matters least goes first") {
  for (const core::StepProgress& progress : {building(), altering(), waiting()}) {
    for (std::size_t columns = 0; columns < 150; ++columns) {
      const std::string line = progress_line(progress, columns, false);
      CAPTURE(columns);
      CAPTURE(line);
      CHECK(display_width(line) <= columns);
      CHECK(util::is_valid_utf8(line));
      CHECK((columns < 30 || line.find("00:42") != std::string::npos));
    }
  }
  CHECK(progress_line(building(), 60, false) == "  ▕██████░░░░▏ 61 % building inde… · 00:42 · about 27 s left");
  CHECK(progress_line(building(), 45, false) == "  ▕██████░░░░▏ 61 % building index: … · 00:42");
  CHECK(progress_line(building(), 30, false) == "  … building index: s… · 00:42");
}

TEST_CASE("colours take no room on the line") {
  std::string line = progress_line(building(), 79, true);
  CHECK(line.find('\x1b') != std::string::npos);
  for (const std::string sequence : {"\x1b[36m", "\x1b[2m", "\x1b[33m", "\x1b[0m"}) {
    for (std::size_t at = line.find(sequence); at != std::string::npos; at = line.find(sequence)) {
      line.erase(at, sequence.size());
    }
  }
  CHECK(line == progress_line(building(), 79, false));
}

TEST_CASE("names and queries of others cannot steer the terminal") {
  core::StepProgress progress = waiting();
  progress.waiting_for[0].application_name = "x\x1b[2J\r\n\xFF";
  const std::string line = progress_line(progress, 200, false);
  CHECK(line.find_first_of("\x1b\r\n") == std::string::npos);
  CHECK(util::is_valid_utf8(line));
}

TEST_CASE("text is cut by what it looks like, between characters") {
  CHECK(fit("abc", 3) == "abc");
  CHECK(fit("abcd", 3) == "ab…");
  CHECK(fit("日本語", 5) == "日本…");
  CHECK(fit("日本語", 4) == "日…");
  CHECK(fit("abc", 1) == "…");
  CHECK(fit("abc", 0).empty());
  CHECK(fit("", 0).empty());
}

TEST_CASE("the width of a terminal is asked for each time, and 80 where there is none") {
  const test::StringFile none;
  CHECK(terminal_columns(none.file()) == 80);
  const PseudoTerminal unknown(0);
  CHECK(terminal_columns(unknown.file()) == 80);
  const PseudoTerminal narrow(47);
  CHECK(terminal_columns(narrow.file()) == 47);
  const PseudoTerminal absurd(3);
  CHECK(terminal_columns(absurd.file()) == 20);
}

TEST_CASE("on a narrow terminal neither the running migration nor its progress wraps") {
  const PseudoTerminal terminal(40);
  test::StandingClock clock;
  TerminalObserver observer(clock, {.colour = false, .interactive = true, .verbose = false}, terminal.file());
  core::StepStarted started;
  started.version = "20250520000000";
  started.name = "a_name_that_does_not_fit_on_a_terminal_like_this_one";
  observer.on(started);
  const std::string first = terminal.read();
  CHECK(first == "  … 20250520000000  a_name_that_does_n…");
  CHECK(display_width(first) == 39);
  observer.on(building());
  CHECK(terminal.read() == "\r\x1b[K  … building index: scanning t… · 00:42");
}

}  // namespace lockkeeper::observe
