/// \file
/// A string that cannot be streamed, formatted, compared or converted by accident; only handed to libpq and curl.
#pragma once

#include <string>
#include <utility>

namespace lockkeeper::util {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : m_value(std::move(value)) {}

  /// The value itself. Every call site is a place to check that it goes nowhere but to the library that needs it.
  [[nodiscard]] const std::string& reveal() const { return m_value; }
  [[nodiscard]] bool empty() const { return m_value.empty(); }

 private:
  std::string m_value;
};

}  // namespace lockkeeper::util
