#include "util/secret.hpp"

#include <concepts>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>

#include <doctest/doctest.h>
#include <fmt/format.h>

using lockkeeper::util::Secret;

namespace {

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) { out << value; };
template <typename T>
concept Addable = requires(const T& value) { std::string() + value; };

}  // namespace

TEST_CASE("a secret cannot be formatted, streamed, compared or converted by accident") {
  static_assert(!fmt::is_formattable<Secret>::value);
  static_assert(!Streamable<Secret>);
  static_assert(!Addable<Secret>);
  static_assert(!std::equality_comparable<Secret>);
  static_assert(!std::equality_comparable_with<Secret, std::string>);
  static_assert(!std::is_convertible_v<Secret, std::string>);
  static_assert(!std::is_convertible_v<Secret, std::string_view>);
  static_assert(!std::is_convertible_v<Secret, const char*>);
  static_assert(!std::is_convertible_v<Secret, bool>);
  static_assert(!std::is_convertible_v<std::string, Secret>);
  // The concepts themselves can tell.
  static_assert(fmt::is_formattable<std::string>::value && Streamable<std::string> && Addable<std::string>);
  CHECK(Secret("hunter2").reveal() == "hunter2");
  CHECK_FALSE(Secret("hunter2").empty());
  CHECK(Secret().empty());
}
