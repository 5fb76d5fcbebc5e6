/// \file
/// Tells, while a run lasts, that it is alive: a thread that hands the run's numbers to whoever pushes them.
///
/// Stands before the observer that shows the events, and hands every one on. The thread uses nothing of the run but the
/// copy of its numbers that on() makes, takes no signals, and is started only where somebody wants to be told. Not for:
/// the end of the run (that is the report's).
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "core/events.hpp"
#include "core/report.hpp"
#include "observe/live.hpp"
#include "util/clock.hpp"

namespace lockkeeper::observe {

class Heartbeat final : public core::Observer {
 public:
  /// Called in the thread, one call at a time; must return soon after \p stop has become true.
  using Push = std::function<void(const Live& live, const Moment& now, const std::atomic<bool>& stop)>;

  /// The first push is made after \p every, if the run lasts so long and has reached its database; zero = never. The
  /// references must outlive it.
  Heartbeat(core::Observer& next, const core::Report& report, util::Clock& clock, util::Duration every, Push push);
  ~Heartbeat() override;
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  void on(const core::Event& event) override;
  /// No push is made after it has returned. Ends one that is under way.
  void stop();

 private:
  void note(const core::Event& event);
  void run();

  core::Observer& m_next;
  const core::Report& m_report;
  util::Clock& m_clock;
  util::Duration m_every;
  Push m_push;
  std::atomic<bool> m_stop = false;
  std::mutex m_mutex;
  std::condition_variable m_wake;
  Live m_live;  ///< under m_mutex
  std::thread m_thread;
};

}  // namespace lockkeeper::observe
