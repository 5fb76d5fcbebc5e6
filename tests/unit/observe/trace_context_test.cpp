#include "observe/trace_context.hpp"

#include <random>
#include <set>
#include <string>

#include <doctest/doctest.h>

namespace lockkeeper::observe {

namespace {

// The specification's own example.
constexpr std::string_view k_trace = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr std::string_view k_span = "00f067aa0ba902b7";
constexpr std::string_view k_example = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

bool is_id(const std::string& text, std::size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos &&
         text.find_first_not_of('0') != std::string::npos;
}

}  // namespace

TEST_CASE("a traceparent of version 00 is taken apart") {
  const auto context = parse_trace_context(k_example, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
  REQUIRE(context);
  CHECK(context->trace_id == k_trace);
  CHECK(context->parent_id == k_span);
  CHECK(context->sampled);
  CHECK(context->state == "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
}

TEST_CASE("the sampled flag is the lowest bit of the flags, whatever the others say") {
  const std::string start = std::string(k_example.substr(0, 53));
  for (const char* flags : {"01", "03", "ff", "0b"}) {
    CHECK(parse_trace_context(start + flags).value().sampled);
  }
  for (const char* flags : {"00", "02", "fe", "0a"}) {
    CHECK_FALSE(parse_trace_context(start + flags).value().sampled);
  }
}

TEST_CASE("of a higher version the four known fields are used, and more may follow after a dash") {
  const std::string fields(k_example.substr(2));
  CHECK(parse_trace_context("01" + fields).value().trace_id == k_trace);
  CHECK(parse_trace_context("cc" + fields + "-what-the-future-will-be-like").value().parent_id == k_span);
  CHECK(parse_trace_context("cc" + fields + "-").has_value());
  CHECK_FALSE(parse_trace_context("cc" + fields + ".what").has_value());
  CHECK_FALSE(parse_trace_context("cc" + fields + "1").has_value());
  CHECK_FALSE(parse_trace_context("00" + fields + "-more").has_value());
  CHECK_FALSE(parse_trace_context("ff" + fields).has_value());
}

TEST_CASE("a traceparent that is not valid is none") {
  for (const char* text : {"", "-", "00", "00-", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
                           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",  // all zero
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",  //
                           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",  // lower case only
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",  //
                           "00-4bf92f3577b34da6a3ce929d0e0e473x-00f067aa0ba902b7-01",  // no digits
                           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",  //
                           "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",  //
                           "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",  // no dashes
                           "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",  //
                           "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",  // a digit in the wrong field
                           "000-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_trace_context(text).has_value());
  }
}

TEST_CASE("white space around a traceparent, which a file or a shell leaves, is no part of it") {
  CHECK(parse_trace_context(std::string(k_example) + "\n").has_value());
  CHECK(parse_trace_context("  " + std::string(k_example) + " ").has_value());
}

TEST_CASE("a broken traceparent never gives a context that is not well-formed") {
  std::mt19937 random(20260901);  // the same every time
  const std::string alphabet = "0123456789abcdefABCDEFg-_ \t\n\x00\xC3\xFF";
  std::size_t accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string text(k_example);
    for (std::size_t change = 0; change < 1 + random() % 3; ++change) {
      const std::size_t at = random() % (text.size() + 1);
      switch (random() % 3) {
        case 0: text.insert(at, 1, alphabet[random() % alphabet.size()]); break;
        case 1: text.erase(at, 1 + random() % 4); break;
        default: text.replace(at, 1, 1, alphabet[random() % alphabet.size()]); break;
      }
    }
    if (const auto context = parse_trace_context(text)) {
      ++accepted;
      CAPTURE(text);
      REQUIRE(is_id(context->trace_id, 32));
      REQUIRE(is_id(context->parent_id, 16));
      REQUIRE(text.find(context->trace_id + "-" + context->parent_id) != std::string::npos);
    }
  }
  CHECK(accepted > 100);     // a digit became another digit
  CHECK(accepted < 40'000);  // and most changes break it
}

TEST_CASE("a tracestate that cannot be passed on is dropped, and the trace goes on") {
  CHECK(parse_trace_context(k_example, std::string(512, 'a')).value().state.size() == 512);
  for (const std::string& state : {std::string(513, 'a'), std::string("a=1\r\nb=2"), std::string("a=\xC3\xBC")}) {
    const auto context = parse_trace_context(k_example, state);
    REQUIRE(context);
    CHECK(context->state.empty());
  }
}

TEST_CASE("a trace of our own has random ids and is sampled") {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const TraceContext context = new_trace();
    REQUIRE(is_id(context.trace_id, 32));
    REQUIRE(context.parent_id.empty());
    REQUIRE(context.sampled);
    const std::string span = new_span_id();
    REQUIRE(is_id(span, 16));
    ids.insert(context.trace_id);
    ids.insert(span);
  }
  CHECK(ids.size() == 2000);
}

TEST_CASE("a context is handed on with the sender's own span") {
  auto context = parse_trace_context(k_example).value();
  CHECK(format_traceparent(context, "b7ad6b7169203331") == "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01");
  context.sampled = false;
  CHECK(format_traceparent(context, "b7ad6b7169203331") == "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-00");
}

}  // namespace lockkeeper::observe
