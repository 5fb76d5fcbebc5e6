#include "files/scaffold.hpp"

#include <chrono>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>

#include "files/directory.hpp"
#include "files/metadata.hpp"
#include "unit/files/temp_directory.hpp"
#include "util/error.hpp"

using namespace lockkeeper;
using test::TempDirectory;

namespace {

// 2025-05-20 10:11:12 UTC
const util::WallTime k_now{std::chrono::seconds{1747735872}};

util::ErrorInfo error_of(const std::string& directory, std::string_view name) {
  try {
    files::create_migration(directory, name, k_now);
  } catch (const util::Error& error) {
    return error.info();
  }
  return {};
}

}  // namespace

TEST_CASE("a new migration has the time as its version and a name made from what was said") {
  const TempDirectory temp;
  CHECK(files::create_migration(temp.path("m"), "Add user's e-mail", k_now) ==
        temp.path("m/20250520101112_Add_users_e_mail"));
  CHECK(files::create_migration(temp.path("n/"), "__x -- y..", k_now) == temp.path("n/20250520101112_x_y"));
  CHECK(temp.read("m/20250520101112_Add_users_e_mail/migration.yaml").find("description: 'Add user''s e-mail'\n") !=
        std::string::npos);
}

TEST_CASE("a new migration's version is later than every version that is there") {
  const TempDirectory temp;
  CHECK(files::create_migration(temp.path(), "a", k_now) == temp.path("20250520101112_a"));
  CHECK(files::create_migration(temp.path(), "a", k_now) == temp.path("20250520101113_a"));
  std::filesystem::create_directory(temp.path("99999999999999_far"));
  CHECK(files::create_migration(temp.path(), "b", k_now) == temp.path("100000000000000_b"));
}

TEST_CASE("a new migration that nobody has edited is well formed but has no statements") {
  const TempDirectory temp;
  files::create_migration(temp.path(), "a: {b}", k_now);
  std::vector<core::Migration> migrations = files::scan(temp.path());
  REQUIRE(migrations.size() == 1);
  const files::MetadataResult metadata =
      files::read_metadata(temp.read("20250520101112_a_b/migration.yaml"), "migration.yaml");
  CHECK(metadata.problems.empty());
  CHECK(metadata.metadata.description == "a: {b}");
  try {
    files::parse(std::vector<core::Migration*>{migrations.data()});
    FAIL("an unedited migration was accepted");
  } catch (const util::Error& error) {
    CHECK(error.info().outcome == util::Outcome::migration_files);
    CHECK(error.info().detail.find("up.sql: the file has no statements") != std::string::npos);
  }
}

TEST_CASE("the commented part of the new migration.yaml is valid once the comments are removed") {
  const TempDirectory temp;
  files::create_migration(temp.path(), "a", k_now);
  std::string text = temp.read("20250520101112_a/migration.yaml");
  std::string uncommented;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at) + 1;
    std::string line = text.substr(at, end - at);
    const bool is_yaml = line.starts_with("# ") && line.find(':') != std::string::npos && line[2] >= ' ' &&
                         line.find("# auto") != 0 && line.find("none:") == std::string::npos &&
                         !(line[2] >= 'A' && line[2] <= 'Z') && line.find("Optional") == std::string::npos;
    uncommented += is_yaml ? line.substr(2) : line;
    at = end;
  }
  CAPTURE(uncommented);
  const files::MetadataResult metadata = files::read_metadata(uncommented, "migration.yaml");
  CHECK(metadata.problems.empty());
  CHECK(metadata.metadata.expect.size() == 1);
  CHECK(metadata.metadata.data_loss.size() == 1);
  CHECK(metadata.metadata.lock_timeout.has_value());
}

TEST_CASE("a name without a letter or digit is a usage error") {
  const TempDirectory temp;
  for (const std::string_view name : {"", " ", "-_-", "äöü", "../"}) {
    CAPTURE(name);
    CHECK(error_of(temp.path(), name).outcome == util::Outcome::usage);
  }
  CHECK(files::create_migration(temp.path(), "../../etc/passwd", k_now) == temp.path("20250520101112_etcpasswd"));
}

TEST_CASE("a place that cannot be written to is an error of the files") {
  const TempDirectory temp;
  temp.write("file", "x");
  CHECK(error_of(temp.path("file"), "a").outcome == util::Outcome::migration_files);
}
