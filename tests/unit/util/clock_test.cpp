#include "util/clock.hpp"

#include <doctest/doctest.h>

#include "support/manual_clock.hpp"

using namespace lockkeeper::util;
using lockkeeper::test::ManualClock;

TEST_CASE("a deadline of its own making never passes") {
  ManualClock clock;
  const Deadline deadline;
  clock.advance(std::chrono::hours(100'000));
  CHECK(deadline.never());
  CHECK_FALSE(deadline.passed(clock));
  CHECK(deadline.remaining(clock) == std::nullopt);
  CHECK(deadline.cap(clock, Duration(5)) == Duration(5));
}

TEST_CASE("a deadline counts down to zero and stays there") {
  ManualClock clock;
  const auto deadline = Deadline::after(clock, Duration(3));
  for (const int left : {3, 2, 1, 0, 0, 0}) {
    CAPTURE(left);
    CHECK_FALSE(deadline.never());
    CHECK(deadline.passed(clock) == (left == 0));
    CHECK(deadline.remaining(clock) == Duration(left));
    CHECK(deadline.cap(clock, Duration(2)) == Duration(left < 2 ? left : 2));
    clock.advance(Duration(1));
  }
}

TEST_CASE("what remains of a deadline is rounded up, so that nobody spins through its last fraction") {
  class Fraction final : public Clock {
   public:
    [[nodiscard]] SteadyTime now() const override { return at; }
    [[nodiscard]] WallTime wall() const override { return {}; }
    void sleep(Duration) override {}
    SteadyTime at{};
  } clock;
  const auto deadline = Deadline::after(clock, Duration(1));
  clock.at += std::chrono::microseconds(999);
  CHECK_FALSE(deadline.passed(clock));
  CHECK(deadline.remaining(clock) == Duration(1));
}

TEST_CASE("zero means no limit where it is said to, and at once elsewhere") {
  const ManualClock clock;
  CHECK(Deadline::after_or_never(clock, Duration(0)).never());
  CHECK_FALSE(Deadline::after_or_never(clock, Duration(1)).never());
  CHECK(Deadline::after(clock, Duration(0)).passed(clock));
}

TEST_CASE("the earlier of two deadlines counts, whichever comes first") {
  const ManualClock clock;
  const Deadline never;
  const auto soon = Deadline::after(clock, Duration(1));
  const auto late = Deadline::after(clock, Duration(2));
  CHECK(Deadline::earlier(never, never).never());
  CHECK(Deadline::earlier(never, late).remaining(clock) == Duration(2));
  CHECK(Deadline::earlier(late, never).remaining(clock) == Duration(2));
  CHECK(Deadline::earlier(soon, late).remaining(clock) == Duration(1));
  CHECK(Deadline::earlier(late, soon).remaining(clock) == Duration(1));
}

TEST_CASE("seconds keep their fraction") {
  CHECK(to_seconds(std::chrono::milliseconds(1500)) == doctest::Approx(1.5));
  CHECK(to_seconds(std::chrono::steady_clock::duration{}) == 0.0);
}
