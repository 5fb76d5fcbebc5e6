#include "config/database_source.hpp"

#include <filesystem>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

namespace {

constexpr const char* k_url = "postgresql://app:hunter2@db:5432/shop";

std::string chosen(const std::vector<std::string>& line, const Environment& environment,
                   const std::string& file = "/nonexistent") {
  const auto source = run_load(line, environment, file).settings.database;
  return source ? source->name : "none";
}

util::ErrorInfo read_error(const std::string& path) {
  return error_of([&] { read_database_address({DatabaseSource::Kind::file, path, "file " + path}, {}); });
}

}  // namespace

TEST_CASE("the first source that is set counts") {
  const TempDir directory;
  const std::string file = directory.write("lockkeeper.yaml",
                                           "database_url_env: TOP\n"
                                           "environments:\n"
                                           "  prod: {database_url_file: /block}\n"
                                           "  dev: {}\n");
  Environment environment{{"LOCKKEEPER_DATABASE_URL", k_url},
                          {"LOCKKEEPER_DATABASE_URL_FILE", "/lk-file"},
                          {"DIRECT_URL", k_url},
                          {"DATABASE_URL", k_url},
                          {"DATABASE_URL_FILE", "/file"},
                          {"PGHOST", "h"},
                          {"PGUSER", "u"}};
  CHECK(chosen({"up", "--env=prod", "--database-url-env=FLAG"}, environment, file) == "FLAG");
  CHECK(chosen({"up", "--env=prod", "--database-url-file=/flag"}, environment, file) == "/flag");
  CHECK(chosen({"up", "--env=prod"}, environment, file) == "/block");
  CHECK(chosen({"up", "--env=dev"}, environment, file) == "LOCKKEEPER_DATABASE_URL");
  environment.erase("LOCKKEEPER_DATABASE_URL");
  CHECK(chosen({"up"}, environment, file) == "/lk-file");
  environment.erase("LOCKKEEPER_DATABASE_URL_FILE");
  CHECK(chosen({"up"}, environment, file) == "TOP");
  CHECK(chosen({"up"}, environment) == "DIRECT_URL");
  environment["DIRECT_URL"] = "";
  CHECK(chosen({"up"}, environment) == "DATABASE_URL");
  environment.erase("DATABASE_URL");
  CHECK(chosen({"up"}, environment) == "/file");
  environment.erase("DATABASE_URL_FILE");
  CHECK(chosen({"up"}, environment) == "PGHOST");
  environment.erase("PGHOST");
  CHECK(chosen({"up"}, environment) == "PGUSER");
  environment.erase("PGUSER");
  CHECK(chosen({"up"}, environment) == "none");
  CHECK(chosen({"up"}, {{"PGPASSWORD", "x"}}) == "none");
}

TEST_CASE("the description names the source and never the value") {
  CHECK(run_load({"up"}, {{"DATABASE_URL", k_url}}).settings.database->description ==
        "environment variable DATABASE_URL");
  CHECK(run_load({"up"}, {{"DATABASE_URL_FILE", "/run/url"}}).settings.database->description ==
        "file /run/url (environment variable DATABASE_URL_FILE)");
  CHECK(run_load({"up", "--database-url-env=APP"}, {}).settings.database->description ==
        "environment variable APP (flag --database-url-env)");
  CHECK(run_load({"up"}, {{"PGSERVICE", "s"}}).settings.database->description ==
        "PG* environment variables (PGSERVICE)");
}

TEST_CASE("a source that is named and then not set is an error, not a reason to take another database") {
  const Environment environment{{"DATABASE_URL", k_url}};
  const auto source = run_load({"up", "--database-url-env=PROD_URL"}, environment).settings.database;
  const auto error = error_of([&] { read_database_address(source, environment); });
  CHECK(error.outcome == util::Outcome::config);
  CHECK(error.message == "environment variable PROD_URL (flag --database-url-env) is not set or empty");
}

TEST_CASE("nothing set says how to set it, in a shell and in a Job") {
  const auto error = error_of([] { read_database_address(std::nullopt, {}); });
  CHECK(error.outcome == util::Outcome::config);
  CHECK(error.message.starts_with("DATABASE_URL is not set"));
  for (const char* part :
       {"export DATABASE_URL=", "secretKeyRef", "LOCKKEEPER_DATABASE_URL_FILE", "DIRECT_URL", "PGHOST"}) {
    CHECK(error.hint.find(part) != std::string::npos);
  }
}

TEST_CASE("PG* variables are left to libpq, which reads them by itself") {
  const Environment environment{{"PGHOST", "a,b"}, {"PGPORT", "6543"}, {"PGPASSWORD", "hunter2"}};
  const auto source = run_load({"up"}, environment).settings.database;
  const DatabaseAddress address = read_database_address(source, environment);
  CHECK(address.parameters.empty());
  CHECK(address.multi_host);
  CHECK(address.pgbouncer);
}

TEST_CASE("a file is read anew each time, through links, without BOM and trailing newlines") {
  const TempDir directory;
  std::filesystem::create_directory(directory.path("..v1"));
  directory.write("..v1/url", "\xEF\xBB\xBFpostgresql://app:one@db/shop\r\n\n");
  std::filesystem::create_directory_symlink("..v1", directory.path("..data"));
  std::filesystem::create_symlink("..data/url", directory.path("url"));
  const DatabaseSource source{DatabaseSource::Kind::file, directory.path("url"), "file url"};
  CHECK(read_database_address(source, {}).password.reveal() == "one");
  directory.write("..v1/url", "postgresql://app:two@db/shop");
  CHECK(read_database_address(source, {}).password.reveal() == "two");
}

TEST_CASE("a file that cannot be read is an error that names it and says why") {
  const TempDir directory;
  CHECK(read_error(directory.path("none")).message.ends_with("/none does not exist"));
  CHECK(read_error(directory.path("none")).outcome == util::Outcome::config);
  CHECK(read_error(directory.write("empty", "\n\n")).message.ends_with("/empty is empty"));
  CHECK(
      read_error(directory.write("large", std::string(70000, 'x'))).message.ends_with("/large is larger than 64 KiB"));
  CHECK(read_error(directory.path(".")).message.ends_with(" is a directory"));
  REQUIRE(::mkfifo(directory.path("pipe").c_str(), 0600) == 0);
  CHECK(read_error(directory.path("pipe")).message.ends_with("/pipe is not a regular file"));
  const auto garbage = read_error(directory.write("garbage", "hunter2"));
  CHECK(garbage.message.ends_with("/garbage is no database URL"));
  CHECK(util::to_string(garbage).find("hunter2") == std::string::npos);
  if (::geteuid() != 0) {
    const std::string secret = directory.write("secret", k_url);
    ::chmod(secret.c_str(), 0);
    CHECK(read_error(secret).message.find("cannot be read: Permission denied") != std::string::npos);
    CHECK(read_error(secret).hint.find("fsGroup") != std::string::npos);
  }
}

TEST_CASE("a URL where its file should be named is not repeated") {
  for (const char* name : {"DATABASE_URL_FILE", "LOCKKEEPER_DATABASE_URL_FILE"}) {
    const auto error = error_of([&] { run_load({"up"}, {{name, k_url}}); });
    CHECK(error.outcome == util::Outcome::config);
    CHECK(error.message.find(name) != std::string::npos);
    CHECK(util::to_string(error).find("hunter2") == std::string::npos);
  }
}

TEST_CASE("commands without a database look for no URL") {
  CHECK_FALSE(run_load({"new", "x"}, {{"DATABASE_URL", k_url}}).settings.database.has_value());
  CHECK_FALSE(run_load({"explain", "10"}, {{"DATABASE_URL", k_url}}).settings.database.has_value());
}
