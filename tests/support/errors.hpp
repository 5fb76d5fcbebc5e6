/// \file
/// What an action throws, as a value.
#pragma once

#include <utility>

#include "util/error.hpp"

namespace lockkeeper::test {

/// The Error that \p action throws; Outcome::ok with the message "no error" when it throws none.
template <typename Action>
util::ErrorInfo error_of(Action&& action) {
  try {
    std::forward<Action>(action)();
  } catch (const util::Error& error) {
    return error.info();
  }
  return {.outcome = util::Outcome::ok, .message = "no error"};
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace lockkeeper::test
