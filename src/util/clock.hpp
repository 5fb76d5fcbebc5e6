/// \file
/// Time as a seam: whoever waits or measures gets a Clock, so that tests need no real time.
#pragma once

#include <chrono>
#include <optional>

namespace lockkeeper::util {

using Duration = std::chrono::milliseconds;
using SteadyTime = std::chrono::steady_clock::time_point;
using WallTime = std::chrono::system_clock::time_point;

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual SteadyTime now() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
  /// Waits for \p duration.
  /// \throws Error{interrupted|terminated} as soon as SIGINT or SIGTERM arrives (or had arrived).
  virtual void sleep(Duration duration) = 0;
};

/// The real clocks; sleeps end early when a signal is pending (util/interrupt.hpp).
class SystemClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime now() const override;
  [[nodiscard]] WallTime wall() const override;
  void sleep(Duration duration) override;
};

/// A point in time that may be "never".
class Deadline {
 public:
  Deadline() = default;  ///< never
  static Deadline after(const Clock& clock, Duration duration);
  /// A duration of zero means "no limit".
  static Deadline after_or_never(const Clock& clock, Duration duration);
  [[nodiscard]] bool never() const { return !m_at.has_value(); }
  [[nodiscard]] bool passed(const Clock& clock) const;
  /// Not negative; nullopt = never.
  [[nodiscard]] std::optional<Duration> remaining(const Clock& clock) const;
  /// The shorter of \p duration and what remains.
  [[nodiscard]] Duration cap(const Clock& clock, Duration duration) const;
  static Deadline earlier(const Deadline& a, const Deadline& b);

 private:
  std::optional<SteadyTime> m_at;
};

/// Whole and fractional seconds, for reports and metrics.
double to_seconds(std::chrono::steady_clock::duration duration);

}  // namespace lockkeeper::util
