#include "core/tally.hpp"

#include <algorithm>

namespace lockkeeper::core {

void Tally::add_pid(int pid) {
  m_pids.insert(pid);
  m_report.blockers_seen = m_pids.size();
}

void Tally::add_blockers(const std::vector<Blocker>& blockers) {
  for (const Blocker& blocker : blockers) {
    add_pid(blocker.pid);
  }
}

void Tally::add_queue(std::size_t queued, util::Duration longest) {
  m_report.queue_peak = std::max(m_report.queue_peak, queued);
  m_report.queue_longest = std::max(m_report.queue_longest, longest);
}

void Tally::on(const Event& event) {
  if (const auto* blocked = std::get_if<StepBlocked>(&event)) {
    add_blockers(blocked->blockers);
    add_queue(blocked->queued, blocked->queued_longest);
  } else if (const auto* progress = std::get_if<StepProgress>(&event)) {
    add_blockers(progress->waiting_for);
    add_queue(progress->queued, progress->queued_longest);
  } else if (const auto* seen = std::get_if<WaitsSeen>(&event)) {
    for (const int pid : seen->blockers) {
      add_pid(pid);
    }
    add_queue(seen->queued, seen->queued_longest);
  } else if (std::holds_alternative<IndexRepaired>(event)) {
    ++m_report.invalid_indexes_repaired;
  }
  m_next.on(event);
}

}  // namespace lockkeeper::core
