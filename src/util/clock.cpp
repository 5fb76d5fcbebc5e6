#include "util/clock.hpp"

#include <algorithm>

#include <poll.h>

#include "util/interrupt.hpp"

namespace lockkeeper::util {

SteadyTime SystemClock::now() const {
  return std::chrono::steady_clock::now();
}

WallTime SystemClock::wall() const {
  return std::chrono::system_clock::now();
}

void SystemClock::sleep(Duration duration) {
  const SteadyTime end = now() + duration;
  for (;;) {
    throw_if_interrupted();
    const auto left = std::chrono::ceil<Duration>(end - now());
    if (left <= Duration::zero()) {
      return;
    }
    constexpr Duration k_longest_poll = std::chrono::hours(1);
    pollfd signal_arrived{.fd = interrupt_fd(), .events = POLLIN, .revents = 0};
    ::poll(&signal_arrived, 1, static_cast<int>(std::min(left, k_longest_poll).count()));
  }
}

Deadline Deadline::after(const Clock& clock, Duration duration) {
  Deadline deadline;
  deadline.m_at = clock.now() + duration;
  return deadline;
}

Deadline Deadline::after_or_never(const Clock& clock, Duration duration) {
  return duration == Duration::zero() ? Deadline() : after(clock, duration);
}

bool Deadline::passed(const Clock& clock) const {
  return m_at && clock.now() >= *m_at;
}

std::optional<Duration> Deadline::remaining(const Clock& clock) const {
  if (!m_at) {
    return std::nullopt;
  }
  return std::max(Duration::zero(), std::chrono::ceil<Duration>(*m_at - clock.now()));
}

Duration Deadline::cap(const Clock& clock, Duration duration) const {
  const auto left = remaining(clock);
  return left ? std::min(*left, duration) : duration;
}

Deadline Deadline::earlier(const Deadline& a, const Deadline& b) {
  if (a.never()) {
    return b;
  }
  return b.never() || *a.m_at < *b.m_at ? a : b;
}

double to_seconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace lockkeeper::util
