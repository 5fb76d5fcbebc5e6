/// \file
/// Durations as people write them: 500ms, 5s, 10m, 1h, also combined (1m30s) and a bare 0.
/// Not for: calendar units, fractions, negative values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "util/clock.hpp"

namespace lockkeeper::util {

/// nullopt when \p text is not a duration, or longer than 10,000 hours.
std::optional<Duration> parse_duration(std::string_view text);
/// The shortest exact form: "0", "500ms", "1m30s".
std::string to_string(Duration duration);

}  // namespace lockkeeper::util
