#include "core/migration.hpp"

#include <algorithm>

namespace lockkeeper::core {

namespace {

std::string_view without_leading_zeros(std::string_view digits) {
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  return digits;
}

}  // namespace

std::strong_ordering operator<=>(const Version& a, const Version& b) {
  if (a.m_digits.size() == b.m_digits.size()) {  // nearly always; zeros in front are in their places then
    return a.m_digits.compare(b.m_digits) <=> 0;
  }
  const std::string_view left = without_leading_zeros(a.m_digits);
  const std::string_view right = without_leading_zeros(b.m_digits);
  if (left.size() != right.size()) {
    return left.size() <=> right.size();
  }
  return left.compare(right) <=> 0;
}

}  // namespace lockkeeper::core
