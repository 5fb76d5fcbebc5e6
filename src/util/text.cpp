#include "util/text.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <vector>

#include <fmt/format.h>

namespace lockkeeper::util {

namespace {

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80U;
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

/// The length of the UTF-8 sequence at the start of \p text; 0 = not valid.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continued = [&](std::size_t length) {
    if (text.size() < length) {
      return false;
    }
    for (std::size_t i = 1; i < length; ++i) {
      if (!is_continuation(text[i])) {
        return false;
      }
    }
    return true;
  };
  const unsigned char lead = byte(0);
  if (lead < 0x80) {
    return 1;
  }
  if (lead >= 0xC2 && lead <= 0xDF) {
    return continued(2) ? 2 : 0;
  }
  if (lead >= 0xE0 && lead <= 0xEF) {
    // No overlong forms, no surrogates.
    const bool ok = continued(3) && !(lead == 0xE0 && byte(1) < 0xA0) && !(lead == 0xED && byte(1) > 0x9F);
    return ok ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool ok = continued(4) && !(lead == 0xF0 && byte(1) < 0x90) && !(lead == 0xF4 && byte(1) > 0x8F);
    return ok ? 4 : 0;
  }
  return 0;
}

/// How many bytes at the start of \p text are ASCII, counted in eights: most text is nothing else.
std::size_t ascii_length(std::string_view text) {
  constexpr std::uint64_t k_high_bits = 0x8080808080808080U;
  std::size_t length = 0;
  for (std::uint64_t eight = 0; length + sizeof eight <= text.size(); length += sizeof eight) {
    std::memcpy(&eight, text.data() + length, sizeof eight);
    if ((eight & k_high_bits) != 0) {
      break;
    }
  }
  return length;
}

}  // namespace

LineColumn line_column(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const std::size_t newline = before.rfind('\n');
  const std::size_t start = newline == std::string_view::npos ? 0 : newline + 1;
  return {.line = 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n')),
          .column = 1 + count_characters(before.substr(start))};
}

std::size_t byte_offset(std::string_view text, std::size_t characters) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (!is_continuation(text[i]) && characters-- == 0) {
      return i;
    }
  }
  return text.size();
}

std::string excerpt(std::string_view text, LineColumn at) {
  std::size_t start = 0;
  for (std::size_t line = 1; line < at.line; ++line) {
    const std::size_t newline = text.find('\n', start);
    if (newline == std::string_view::npos) {
      break;
    }
    start = newline + 1;
  }
  std::string_view whole = text.substr(start, text.find('\n', start) - start);
  if (whole.ends_with('\r')) {
    whole.remove_suffix(1);
  }
  constexpr std::size_t k_before = 60;
  constexpr std::size_t k_width = 100;
  const std::size_t caret = at.column == 0 ? 0 : at.column - 1;
  const std::size_t skip = caret > k_before + 10 ? caret - k_before : 0;
  const std::size_t from = byte_offset(whole, skip);
  const std::size_t to = byte_offset(whole, skip + k_width);
  std::string line(whole.substr(from, to - from));
  std::replace_if(
      line.begin(), line.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  const std::string_view left = skip > 0 ? "..." : "";
  const std::string_view right = to < whole.size() ? "..." : "";
  std::string result = fmt::format("{:>5} | {}{}{}", at.line, left, line, right);
  if (at.column > 0) {
    result += fmt::format("\n{:>5} | {:>{}}", "", "^", caret - skip + left.size() + 1);
  }
  return result;
}

bool is_valid_utf8(std::string_view text) {
  while (text.remove_prefix(ascii_length(text)), !text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view k_space = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(k_space);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(k_space) - first + 1);
}

std::string shorten(std::string_view text, std::size_t max_bytes) {
  constexpr std::string_view k_ellipsis = "...";
  if (text.size() <= max_bytes) {
    return std::string(text);
  }
  std::size_t end = max_bytes > k_ellipsis.size() ? max_bytes - k_ellipsis.size() : 0;
  while (end > 0 && is_continuation(text[end])) {
    --end;
  }
  return std::string(text.substr(0, end)) + std::string(k_ellipsis.substr(0, max_bytes));
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitution});
    }
  }
  return row[b.size()];
}

}  // namespace lockkeeper::util
