/// \file
/// Keeps every event, so that a test can ask what was told.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/events.hpp"

namespace lockkeeper::test {

class RecordingObserver final : public core::Observer {
 public:
  void on(const core::Event& event) override { events.push_back(event); }

  template <typename T>
  [[nodiscard]] std::vector<T> all() const {
    std::vector<T> found;
    for (const core::Event& event : events) {
      if (const T* one = std::get_if<T>(&event)) {
        found.push_back(*one);
      }
    }
    return found;
  }

  /// True when a Note of \p level, or the warning of a repaired index, holds \p text.
  [[nodiscard]] bool noted(core::Level level, const std::string& text) const {
    for (const core::Note& note : all<core::Note>()) {
      if (note.level == level && note.message.find(text) != std::string::npos) {
        return true;
      }
    }
    for (const core::IndexRepaired& repaired : all<core::IndexRepaired>()) {
      if (level == core::Level::warning && repaired.message.find(text) != std::string::npos) {
        return true;
      }
    }
    return false;
  }

  std::vector<core::Event> events;
};

}  // namespace lockkeeper::test
