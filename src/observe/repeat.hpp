/// \file
/// Internal to observe/: what would say the same again and again is told every ten seconds only.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "util/clock.hpp"

namespace lockkeeper::observe {

/// One kind of line: attempts to connect, progress of a statement.
class Repeat {
 public:
  /// Whether \p what is to be told \p now: it is not what was told last, or that was ten seconds ago.
  [[nodiscard]] bool due(std::string_view what, util::SteadyTime now) {
    constexpr auto k_quiet_time = std::chrono::seconds(10);
    if (m_told_any && m_told == what && now - m_at < k_quiet_time) {
      return false;
    }
    m_told_any = true;
    m_told = what;
    m_at = now;
    return true;
  }
  [[nodiscard]] bool told_any() const { return m_told_any; }

 private:
  bool m_told_any = false;
  std::string m_told;
  util::SteadyTime m_at{};
};

}  // namespace lockkeeper::observe
