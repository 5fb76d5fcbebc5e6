#include "util/duration.hpp"

#include <array>
#include <charconv>
#include <cstdint>

namespace lockkeeper::util {

namespace {

struct Unit {
  std::string_view name;
  std::int64_t milliseconds;
};

// Longest first, so that "ms" is not read as "m"; to_string() needs the same order.
constexpr std::array k_units = {Unit{"h", 3'600'000}, Unit{"ms", 1}, Unit{"m", 60'000}, Unit{"s", 1'000}};
constexpr std::int64_t k_max_milliseconds = 10'000LL * 3'600'000;

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") {
    return Duration::zero();
  }
  std::int64_t total = 0;
  std::int64_t previous_unit = k_max_milliseconds;
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || number < 0 || number > k_max_milliseconds || *text.data() == '-') {
      return std::nullopt;
    }
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const Unit* found = nullptr;
    for (const Unit& unit : k_units) {
      if (text.starts_with(unit.name)) {
        found = &unit;
        break;
      }
    }
    if (found == nullptr || found->milliseconds >= previous_unit) {
      return std::nullopt;
    }
    previous_unit = found->milliseconds;
    text.remove_prefix(found->name.size());
    total += number * found->milliseconds;
    if (number > k_max_milliseconds / found->milliseconds || total > k_max_milliseconds) {
      return std::nullopt;
    }
  }
  return previous_unit == k_max_milliseconds ? std::nullopt : std::optional(Duration(total));
}

std::string to_string(Duration duration) {
  std::int64_t left = duration.count();
  if (left == 0) {
    return "0";
  }
  std::string text;
  constexpr std::array k_order = {Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1}};
  for (const Unit& unit : k_order) {
    if (left >= unit.milliseconds) {
      text += std::to_string(left / unit.milliseconds);
      text += unit.name;
      left %= unit.milliseconds;
    }
  }
  return text;
}

}  // namespace lockkeeper::util
