/// \file
/// Adds up for the report what only events tell: who was in our way, whom we held up, what was repaired.
///
/// Stands before the observer that shows the events, and hands every one on. Not for: what the steps know themselves
/// (core/apply.cpp writes that into the report).
#pragma once

#include <set>
#include <vector>

#include "core/events.hpp"
#include "core/report.hpp"

namespace lockkeeper::core {

class Tally final : public Observer {
 public:
  /// Both must outlive it.
  Tally(Observer& next, Report& report) : m_next(next), m_report(report) {}

  void on(const Event& event) override;

 private:
  void add_blockers(const std::vector<Blocker>& blockers);
  void add_pid(int pid);
  void add_queue(std::size_t queued, util::Duration longest);

  Observer& m_next;
  Report& m_report;
  std::set<int> m_pids;
};

}  // namespace lockkeeper::core
