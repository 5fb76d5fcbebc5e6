#include "observe/heartbeat.hpp"

#include <condition_variable>
#include <vector>

#include <doctest/doctest.h>

#include "support/recording_observer.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;

/// What the thread has pushed; waits for it.
class Pushes {
 public:
  void add(const Live& live) {
    const std::lock_guard lock(m_mutex);
    m_all.push_back(live);
    m_more.notify_all();
  }
  /// The first that \p fits; it must come within 10 s.
  template <typename Fits>
  bool wait_for(const Fits& fits) {
    std::unique_lock lock(m_mutex);
    return m_more.wait_for(lock, 10s, [&] { return !m_all.empty() && fits(m_all.back()); });
  }
  std::size_t count() {
    const std::lock_guard lock(m_mutex);
    return m_all.size();
  }

 private:
  std::mutex m_mutex;
  std::condition_variable m_more;
  std::vector<Live> m_all;
};

struct Fixture {
  util::SystemClock clock;
  test::RecordingObserver shown;
  core::Report report;
  Pushes pushes;
  Heartbeat heartbeat{shown, report, clock, 5ms,
                      [this](const Live& live, const Moment&, const std::atomic<bool>&) { pushes.add(live); }};
};

}  // namespace

TEST_CASE("nothing is pushed before the database is known") {
  Fixture f;
  f.heartbeat.on(core::RunStarted{.command = "up"});
  f.clock.sleep(50ms);
  CHECK(f.pushes.count() == 0);
  f.heartbeat.on(core::Connected{.database = "app"});
  CHECK(f.pushes.wait_for([](const Live& live) { return live.database == "app"; }));
}

TEST_CASE("a heartbeat says where the run is") {
  Fixture f;
  f.heartbeat.on(core::Connected{.database = "app"});
  f.heartbeat.on(core::PlanMade{.known = 3, .applied = 1, .pending = 2});
  f.heartbeat.on(core::LockWaiting{.holder = std::nullopt, .waited = 1s});
  CHECK(f.pushes.wait_for([](const Live& live) { return live.lock_wait_began.has_value(); }));
  f.heartbeat.on(core::LockAcquired{.waited = 1500ms});
  f.heartbeat.on(core::StepStarted{.version = "2"});
  CHECK(f.pushes.wait_for([](const Live& live) {
    return !live.lock_wait_began && live.lock_wait == 1500ms && live.statement_began.has_value();
  }));
  f.report.applied.push_back({.version = "2"});
  f.heartbeat.on(core::StepFinished{f.report.applied.back()});
  CHECK(f.pushes.wait_for(
      [](const Live& live) { return live.applied == 1 && live.pending == 1U && !live.statement_began.has_value(); }));
  CHECK(f.shown.events.size() == 6);
}

TEST_CASE("after stop() nothing is pushed, and events are still handed on") {
  Fixture f;
  f.heartbeat.on(core::Connected{.database = "app"});
  CHECK(f.pushes.wait_for([](const Live&) { return true; }));
  f.heartbeat.stop();
  const std::size_t before = f.pushes.count();
  f.clock.sleep(50ms);
  f.heartbeat.on(core::Note{.message = "x"});
  f.heartbeat.stop();
  CHECK(f.pushes.count() == before);
  CHECK(f.shown.events.size() == 2);
}

TEST_CASE("a push that is under way is told to end") {
  util::SystemClock clock;
  test::RecordingObserver shown;
  const core::Report report;
  std::atomic<bool> began = false;
  const util::SteadyTime begin = clock.now();
  {
    Heartbeat heartbeat(shown, report, clock, 1ms, [&](const Live&, const Moment&, const std::atomic<bool>& stop) {
      began = true;
      while (!stop) {
        std::this_thread::yield();
      }
    });
    heartbeat.on(core::Connected{.database = "app"});
    while (!began) {
      std::this_thread::yield();
    }
  }
  CHECK(clock.now() - begin < 10s);
}

TEST_CASE("without an interval there is no thread") {
  util::SystemClock clock;
  test::RecordingObserver shown;
  const core::Report report;
  Heartbeat heartbeat(shown, report, clock, 0ms,
                      [](const Live&, const Moment&, const std::atomic<bool>&) { FAIL("pushed"); });
  heartbeat.on(core::Connected{.database = "app"});
  clock.sleep(20ms);
  CHECK(shown.events.size() == 1);
}

}  // namespace lockkeeper::observe
