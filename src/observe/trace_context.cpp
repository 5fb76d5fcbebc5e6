#include "observe/trace_context.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <stdexcept>

#include <sys/random.h>

#include "util/text.hpp"

namespace lockkeeper::observe {

namespace {

constexpr std::size_t k_state_limit = 512;  ///< bytes that everybody should pass on (section 3.3.1.5)
constexpr std::string_view k_digits = "0123456789abcdef";

bool is_hex(std::string_view text) {
  return text.find_first_not_of(k_digits) == std::string_view::npos;
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

bool is_state(std::string_view text) {
  return text.size() <= k_state_limit &&
         std::all_of(text.begin(), text.end(), [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); });
}

/// \p Bytes random bytes in hexadecimal.
template <std::size_t Bytes>
std::string random_id() {
  std::array<unsigned char, Bytes> bytes{};
  do {
    // Up to 256 bytes come whole; before the machine has enough entropy (seconds after its start) the call waits.
    while (::getrandom(bytes.data(), bytes.size(), 0) < 0) {
      if (errno != EINTR) {
        throw std::runtime_error("the operating system gives no random bytes");
      }
    }
  } while (std::all_of(bytes.begin(), bytes.end(), [](unsigned char byte) { return byte == 0; }));
  std::string text;
  for (const unsigned char byte : bytes) {
    text += k_digits[byte >> 4U];
    text += k_digits[byte & 0x0FU];
  }
  return text;
}

}  // namespace

std::optional<TraceContext> parse_trace_context(std::string_view traceparent, std::string_view tracestate) {
  // version "-" trace-id "-" parent-id "-" trace-flags: 2, 32, 16 and 2 digits. A higher version may go on after
  // another dash; ff is no version.
  constexpr std::size_t k_size = 55;
  const std::string_view text = util::trim(traceparent);
  if (text.size() < k_size || text[2] != '-' || text[35] != '-' || text[52] != '-') {
    return std::nullopt;
  }
  const std::string_view version = text.substr(0, 2);
  const std::string_view trace_id = text.substr(3, 32);
  const std::string_view parent_id = text.substr(36, 16);
  const std::string_view flags = text.substr(53, 2);
  const bool longer = text.size() > k_size;
  if (!is_hex(version) || version == "ff" || !is_id(trace_id) || !is_id(parent_id) || !is_hex(flags) ||
      (longer && (version == "00" || text[k_size] != '-'))) {
    return std::nullopt;
  }
  TraceContext context{.trace_id = std::string(trace_id), .parent_id = std::string(parent_id)};
  context.sampled = (k_digits.find(flags[1]) & 1U) != 0;  // the lowest bit; the others are not ours to judge
  if (const std::string_view state = util::trim(tracestate); is_state(state)) {
    context.state = state;
  }
  return context;
}

TraceContext new_trace() {
  return {.trace_id = new_trace_id()};
}

std::string new_trace_id() {
  return random_id<16>();
}

std::string new_span_id() {
  return random_id<8>();
}

std::string format_traceparent(const TraceContext& context, std::string_view span_id) {
  return "00-" + context.trace_id + "-" + std::string(span_id) + (context.sampled ? "-01" : "-00");
}

}  // namespace lockkeeper::observe
