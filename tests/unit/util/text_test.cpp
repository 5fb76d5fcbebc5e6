#include "util/text.hpp"

#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace lockkeeper::util;

namespace {

/// The characters of valid UTF-8.
std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> all;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0U) == 0x80U) {
      all.back() += c;
    } else {
      all.emplace_back(1, c);
    }
  }
  return all;
}

/// UTF-8 of \p code_point without any check, in \p length bytes (0 = the shortest).
std::string encode(unsigned code_point, int length = 0) {
  if (length == 0) {
    length = code_point < 0x80 ? 1 : code_point < 0x800 ? 2 : code_point < 0x10000 ? 3 : 4;
  }
  if (length == 1) {
    return {static_cast<char>(code_point)};
  }
  constexpr std::array<unsigned, 5> k_lead = {0, 0, 0xC0, 0xE0, 0xF0};
  std::string text(static_cast<std::size_t>(length), '\0');
  for (int i = length - 1; i > 0; --i) {
    text[static_cast<std::size_t>(i)] = static_cast<char>(0x80U | (code_point & 0x3FU));
    code_point >>= 6U;
  }
  text[0] = static_cast<char>(k_lead[static_cast<std::size_t>(length)] | code_point);
  return text;
}

/// The character that the caret of \p shown stands under; "" = past the end of the line.
std::string under_caret(const std::string& shown) {
  const std::size_t newline = shown.find('\n');
  const auto line = characters(std::string_view(shown).substr(0, newline));
  const std::size_t caret = std::string_view(shown).substr(newline + 1).find('^');
  return caret < line.size() ? line[caret] : "";
}

}  // namespace

TEST_CASE("a byte offset becomes line and column, counted in characters from 1") {
  //                            0  2 3 4 5  8  11 12 13 17
  const std::string text =
      "\xC3\xA4"
      "b\n\n日本\r\n𝄞x";
  const std::vector<std::pair<std::size_t, LineColumn>> expected = {
      {0, {1, 1}},  {2, {1, 2}},  {3, {1, 3}},  {4, {2, 1}},  {5, {3, 1}},  {8, {3, 2}},   {11, {3, 3}},
      {12, {3, 4}}, {13, {4, 1}}, {17, {4, 2}}, {18, {4, 3}}, {19, {4, 3}}, {1000, {4, 3}}};
  REQUIRE(text.size() == 18);
  for (const auto& [offset, at] : expected) {
    CAPTURE(offset);
    CHECK(line_column(text, offset).line == at.line);
    CHECK(line_column(text, offset).column == at.column);
  }
  CHECK(line_column("", 0) == LineColumn{1, 1});
  CHECK(line_column("\n", 1) == LineColumn{2, 1});
}

TEST_CASE("a character's number becomes its byte offset, and back") {
  const std::string text = "aäb日c𝄞d";
  const std::vector<std::string> all = characters(text);
  REQUIRE(all.size() == 7);
  std::size_t offset = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(byte_offset(text, i) == offset);
    CHECK(line_column(text, offset).column == i + 1);
    offset += all[i].size();
  }
  CHECK(byte_offset(text, 7) == text.size());
  CHECK(byte_offset(text, 1000) == text.size());
  CHECK(byte_offset("", 0) == 0);
}

TEST_CASE("an excerpt shows the line with a caret under the place") {
  CHECK(excerpt("SELECT 1;\n  ON orders (bogus);\n", {2, 14}) ==
        "    2 |   ON orders (bogus);\n"
        "      |              ^");
  CHECK(excerpt("a", {1, 1}) == "    1 | a\n      | ^");
  CHECK(excerpt("SELECT 'áéíóú', bogus", {1, 17}) ==
        "    1 | SELECT 'áéíóú', bogus\n"
        "      |                 ^");
  CHECK(excerpt("one\ntwo\nthree", {3, 6}) == "    3 | three\n      |      ^");  // the end of the text
}

TEST_CASE("an excerpt without a column has no caret") {
  CHECK(excerpt("one\ntwo", {2, 0}) == "    2 | two");
}

TEST_CASE("in an excerpt a tab is one column wide and a CR belongs to the line's end") {
  CHECK(excerpt("\tx\ty\r\nz", {1, 4}) == "    1 |  x y\n      |    ^");
  CHECK(excerpt("x\x1B[31m\x07y\x7F", {1, 1}) == "    1 | x [31m y \n      | ^");
}

TEST_CASE("a long line is cut around the caret, which stays under its character") {
  // Every character of the line is another one, of one to four bytes.
  std::string line;
  std::vector<std::string> all;
  for (unsigned i = 0; i < 300; ++i) {
    constexpr std::array<unsigned, 4> k_first = {0x21, 0x100, 0x4E00, 0x10000};
    const unsigned step = i / 4;
    all.push_back(encode(k_first[i % 4] + step));
    line += all.back();
  }
  const std::string text = "first\n" + line + "\nlast";
  for (std::size_t column = 1; column <= all.size(); ++column) {
    const std::string shown = excerpt(text, {2, column});
    CAPTURE(column);
    CAPTURE(shown);
    REQUIRE(under_caret(shown) == all[column - 1]);
    const auto first_line = characters(shown.substr(0, shown.find('\n')));
    CHECK(first_line.size() <= 8 + 100 + 6);
    const bool cut_left = shown.starts_with("    2 | ...");
    CHECK(cut_left == (column > 71));
    const bool cut_right = shown.substr(0, shown.find('\n')).ends_with("...");
    CHECK(cut_right == (column < 261));
    CHECK(is_valid_utf8(shown));
  }
  CHECK(under_caret(excerpt(text, {2, all.size() + 1})).empty());
}

TEST_CASE("every code point but the surrogates is valid UTF-8, and nothing longer than needed") {
  for (unsigned code_point = 0; code_point <= 0x10FFFF; code_point += code_point < 0x900 ? 1 : 61) {
    CAPTURE(code_point);
    const std::string text = encode(code_point);
    REQUIRE(is_valid_utf8(text) == (code_point < 0xD800 || code_point > 0xDFFF));
    for (std::size_t cut = 1; cut < text.size(); ++cut) {
      REQUIRE_FALSE(is_valid_utf8(text.substr(0, cut)));
      REQUIRE_FALSE(is_valid_utf8(text.substr(cut)));
    }
    for (int length = static_cast<int>(text.size()) + 1; length <= 4; ++length) {
      REQUIRE_FALSE(is_valid_utf8(encode(code_point, length)));  // overlong
    }
  }
  for (const unsigned code_point : {0xD7FFU, 0xE000U, 0xFFFFU, 0x10000U, 0x10FFFFU}) {
    CHECK(is_valid_utf8(encode(code_point)));
  }
  for (const unsigned code_point : {0xD800U, 0xDBFFU, 0xDC00U, 0xDFFFU, 0x110000U, 0x13FFFFU}) {
    CHECK_FALSE(is_valid_utf8(encode(code_point)));
  }
}

TEST_CASE("of all pairs of bytes exactly the right ones are valid UTF-8") {
  for (unsigned first = 0; first < 256; ++first) {
    for (unsigned second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      const bool two_ascii = first < 0x80 && second < 0x80;
      const bool one_pair = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
      if (is_valid_utf8(text) != (two_ascii || one_pair)) {
        CAPTURE(first);
        CAPTURE(second);
        FAIL_CHECK("wrong");
      }
    }
  }
  CHECK(is_valid_utf8(""));
  CHECK_FALSE(is_valid_utf8("good, then bad: \xFF"));
  CHECK_FALSE(is_valid_utf8("\xF5\x80\x80\x80"));
}

TEST_CASE("trim removes white space at both ends only") {
  CHECK(trim("") == "");
  CHECK(trim(" \t\r\n\f\v") == "");
  CHECK(trim("a") == "a");
  CHECK(trim("\t a b \r\n") == "a b");
}

TEST_CASE("shorten keeps to its limit and never cuts a character") {
  const std::string text = "aä日𝄞bä日𝄞c";
  REQUIRE(text.size() == 21);
  for (std::size_t limit = 0; limit <= text.size() + 1; ++limit) {
    const std::string short_text = shorten(text, limit);
    CAPTURE(limit);
    CAPTURE(short_text);
    CHECK(short_text.size() <= limit);
    CHECK(is_valid_utf8(short_text));
    if (limit >= text.size()) {
      CHECK(short_text == text);
    } else if (limit >= 3) {
      REQUIRE(short_text.ends_with("..."));
      const std::string kept = short_text.substr(0, short_text.size() - 3);
      CHECK(text.starts_with(kept));
      const std::size_t next = characters(text.substr(kept.size())).front().size();
      CHECK(kept.size() + next + 3 > limit);  // not shorter than it must be
    } else {
      CHECK(short_text == std::string(limit, '.'));
    }
  }
}

TEST_CASE("the edit distance counts insertions, deletions and substitutions") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("lock-wiat", "lock-wait") == 2);
  CHECK(edit_distance("verfiy", "verify") == 2);
}

TEST_CASE("the edit distance is a metric") {
  std::vector<std::string> words = {""};
  for (std::size_t i = 0; words.size() < 40; ++i) {
    for (const char c : {'a', 'b', 'c'}) {
      words.push_back(words[i] + c);
    }
  }
  for (const std::string& a : words) {
    for (const std::string& b : words) {
      const std::size_t ab = edit_distance(a, b);
      REQUIRE((ab == 0) == (a == b));
      REQUIRE(ab == edit_distance(b, a));
      for (const std::string& c : words) {
        REQUIRE(edit_distance(a, c) <= ab + edit_distance(b, c));
      }
    }
  }
}

TEST_CASE("the closest candidate is suggested, and none when nothing is close") {
  const std::vector<std::string> commands = {"up", "down", "verify", "status", "baseline"};
  CHECK(closest("verfy", commands) == "verify");
  CHECK(closest("statsu", commands) == "status");
  CHECK(closest("basline", commands) == "baseline");
  CHECK(closest("elephant", commands).empty());
  CHECK(closest("x", std::vector<std::string>{}).empty());
}
