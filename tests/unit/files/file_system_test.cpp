#include "files/file_system.hpp"

#include <cerrno>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/stat.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "unit/files/temp_directory.hpp"

using namespace lockkeeper;
using files::Unread;
using test::TempDirectory;

namespace {

constexpr std::size_t k_limit = 1000;

/// "a b/" for a file a and a directory b; or "errno 2".
std::string listed(const std::string& path) {
  const auto result = files::list_directory(path);
  if (const int* error = std::get_if<int>(&result)) {
    return fmt::format("errno {}", *error);
  }
  std::string names;
  for (const files::DirectoryEntry& entry : std::get<std::vector<files::DirectoryEntry>>(result)) {
    names += fmt::format("{}{}{}", names.empty() ? "" : " ", entry.name, entry.is_directory ? "/" : "");
  }
  return names;
}

Unread unread(const std::string& path, std::size_t limit = k_limit) {
  const auto result = files::read_file(path, limit);
  REQUIRE(std::holds_alternative<Unread>(result));
  return std::get<Unread>(result);
}

std::string read(const std::string& path, std::size_t limit = k_limit) {
  const auto result = files::read_file(path, limit);
  REQUIRE(std::holds_alternative<std::string>(result));
  return std::get<std::string>(result);
}

}  // namespace

TEST_CASE("a directory is listed in order, through links and without what is hidden") {
  const TempDirectory temp;
  temp.write("b", "");
  temp.write("a/file", "");
  temp.write(".hidden", "");
  temp.link("a", "link");
  temp.link("nowhere", "dangling");
  CHECK(listed(temp.path()) == "a/ b dangling link/");
  CHECK(listed(temp.path("a/")) == "file");
  CHECK(listed(temp.path("link")) == "file");
}

TEST_CASE("a directory of more entries than one call returns is listed whole") {
  const TempDirectory temp;
  std::string expected;
  for (int i = 1000; i < 3000; ++i) {
    const std::string name = fmt::format("{}_with_a_name_that_fills_the_buffer", i);
    temp.write(name, "");
    expected += (expected.empty() ? "" : " ") + name;
  }
  CHECK(listed(temp.path()) == expected);
}

TEST_CASE("why a directory cannot be listed is said by errno") {
  const TempDirectory temp;
  temp.write("file", "");
  CHECK(listed(temp.path("nowhere")) == fmt::format("errno {}", ENOENT));
  CHECK(listed(temp.path("file")) == fmt::format("errno {}", ENOTDIR));
}

TEST_CASE("a file is read whole, up to the limit") {
  const TempDirectory temp;
  temp.write("empty", "");
  temp.write("file", std::string(k_limit, 'x'));
  CHECK(read(temp.path("empty")).empty());
  CHECK(read(temp.path("file")) == std::string(k_limit, 'x'));
  CHECK(unread(temp.path("file"), k_limit - 1).why == Unread::Why::too_large);
}

TEST_CASE("a file that has more than it says is read whole, and not beyond the limit") {
  const std::string status = "/proc/self/status";  // says 0 bytes
  REQUIRE(std::filesystem::file_size(status) == 0);
  const std::string text = read(status, 100'000);
  CHECK(text.starts_with("Name:"));
  CHECK(text.ends_with('\n'));
  CHECK(unread(status, 10).why == Unread::Why::too_large);
}

TEST_CASE("what is no file is not read, and nobody waits for the other end of a pipe") {
  const TempDirectory temp;
  std::filesystem::create_directory(temp.path("directory"));
  REQUIRE(::mkfifo(temp.path("pipe").c_str(), 0600) == 0);
  CHECK(unread(temp.path("directory")).why == Unread::Why::not_regular);
  CHECK(unread(temp.path("pipe")).why == Unread::Why::not_regular);
  temp.link("nowhere", "link");
  CHECK(unread(temp.path("link")).why == Unread::Why::refused);
  CHECK(unread(temp.path("link")).error == ENOENT);
}
