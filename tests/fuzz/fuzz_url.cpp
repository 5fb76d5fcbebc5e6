/// \file
/// The reader of database URLs on any bytes: it ends with an address or an Error{config}, and neither its message nor a
/// note holds the password that is planted here.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/database_url.hpp"
#include "util/error.hpp"

namespace {

using namespace lockkeeper;

constexpr std::string_view k_password = "hunTer2";

void check(std::string_view seen) {
  if (seen.find(k_password) != std::string_view::npos) {
    std::abort();
  }
}

void read(const std::string& text) {
  try {
    const config::DatabaseAddress address = config::parse_database_url(text, "environment variable DATABASE_URL");
    for (const std::string& note : address.notes) {
      check(note);
    }
    for (const auto& [name, value] : address.parameters) {
      if (name == "password" || value.find('\0') != std::string::npos) {
        std::abort();
      }
    }
  } catch (const util::Error& error) {
    if (error.info().outcome != util::Outcome::config) {
      std::abort();
    }
    check(util::to_string(error.info()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const std::string password(k_password);
  read(text);
  read("postgres://app:" + password + "@" + text);
  read("postgres://app:" + text + password + "@db/x");
  read("postgres://db/x?" + text + "&password=" + password);
  read("host=db " + text + " password=" + password + text);
  return 0;
}
