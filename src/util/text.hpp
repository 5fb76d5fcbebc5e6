/// \file
/// Positions in UTF-8 text. PostgreSQL counts characters, files are bytes, people read lines and columns.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lockkeeper::util {

struct LineColumn {
  std::size_t line = 1;    ///< from 1
  std::size_t column = 1;  ///< from 1, in characters

  bool operator==(const LineColumn&) const = default;
};

/// Where the byte at \p offset is (the end of the text when it is past the end). Lines end with LF; a CR before it
/// belongs to the line's end.
LineColumn line_column(std::string_view text, std::size_t offset);
/// The byte offset of the \p characters-th character, counted from 0; text.size() when there are fewer.
std::size_t byte_offset(std::string_view text, std::size_t characters);
/// The line with a caret, the way a compiler shows it:
///     17 |   ON orders (bogus);
///        |              ^
/// Long lines are cut around the caret; control characters become spaces. No trailing newline.
std::string excerpt(std::string_view text, LineColumn at);

bool is_valid_utf8(std::string_view text);
/// Removes white space at both ends.
std::string_view trim(std::string_view text);
/// At most \p max_bytes, cut between characters, with "..." when something was cut.
std::string shorten(std::string_view text, std::size_t max_bytes);
/// The most similar of \p candidates, for "did you mean"; empty when none is close.
template <typename Range>
std::string_view closest(std::string_view word, const Range& candidates);
std::size_t edit_distance(std::string_view a, std::string_view b);

template <typename Range>
std::string_view closest(std::string_view word, const Range& candidates) {
  std::string_view best;
  std::size_t best_distance = word.size() / 3 + 2;
  for (std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace lockkeeper::util
