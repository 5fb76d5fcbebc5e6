#include "core/tally.hpp"

#include <doctest/doctest.h>

#include "support/recording_observer.hpp"

namespace lockkeeper::core {

using namespace std::chrono_literals;

TEST_CASE("the tally counts each session once, however often and wherever it is seen") {
  test::RecordingObserver shown;
  Report report;
  Tally tally(shown, report);
  tally.on(StepBlocked{.version = "1", .blockers = {{.pid = 1}, {.pid = 2}}, .queued = 3});
  tally.on(StepBlocked{.version = "1", .blockers = {{.pid = 2}}, .queued = 1});
  tally.on(StepProgress{.version = "1", .waiting_for = {{.pid = 3}}});
  CHECK(report.blockers_seen == 3);
  CHECK(report.queue_peak == 3);
  tally.on(StepProgress{.version = "1", .waiting_for = {}, .queued = 4, .queued_longest = 700ms});
  CHECK(report.queue_peak == 4);
  CHECK(report.queue_longest == 700ms);
  tally.on(WaitsSeen{.version = "1", .blockers = {3, 4, 0}, .queued = 7, .queued_longest = 2s});
  tally.on(WaitsSeen{.version = "2", .blockers = {}, .queued = 2, .queued_longest = 1s});
  CHECK(report.blockers_seen == 5);
  CHECK(report.queue_peak == 7);
  CHECK(report.queue_longest == 2s);
}

TEST_CASE("the tally counts repaired indexes, and hands every event on") {
  test::RecordingObserver shown;
  Report report;
  Tally tally(shown, report);
  tally.on(IndexRepaired{.index = "a"});
  tally.on(Note{.message = "INVALID"});
  tally.on(IndexRepaired{.index = "b"});
  CHECK(report.invalid_indexes_repaired == 2);
  CHECK(shown.events.size() == 3);
}

}  // namespace lockkeeper::core
