/// \file
/// Time that only passes when a test says so, or when somebody sleeps.
#pragma once

#include <functional>
#include <vector>

#include "util/clock.hpp"

namespace lockkeeper::test {

class ManualClock final : public util::Clock {
 public:
  [[nodiscard]] util::SteadyTime now() const override { return m_now; }
  [[nodiscard]] util::WallTime wall() const override { return util::WallTime() + (m_now - util::SteadyTime()); }
  void sleep(util::Duration duration) override {
    sleeps.push_back(duration);
    advance(duration);
    if (after_sleep) {
      after_sleep();
    }
  }
  void advance(util::Duration duration) { m_now += duration; }

  std::vector<util::Duration> sleeps;
  std::function<void()> after_sleep;  ///< what happens in the world meanwhile

 private:
  util::SteadyTime m_now{std::chrono::hours(1)};
};

}  // namespace lockkeeper::test
