#include "files/directory.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "files/checksum.hpp"
#include "support/errors.hpp"
#include "unit/files/temp_directory.hpp"

using namespace lockkeeper;
using core::Migration;
using test::TempDirectory;

namespace {

std::string data(std::string_view fault) {
  return fmt::format("{}/tests/data/files/{}", LOCKKEEPER_SOURCE_DIR, fault);
}

std::vector<Migration> scan_and_parse(const std::string& directory) {
  std::vector<Migration> migrations = files::scan(directory);
  std::vector<Migration*> pointers;
  for (Migration& migration : migrations) {
    pointers.push_back(&migration);
  }
  files::parse(pointers);
  return migrations;
}

/// The error of reading \p directory whole, with the directory's path written as DIR.
util::ErrorInfo error_of(const std::string& directory) {
  try {
    scan_and_parse(directory);
  } catch (const util::Error& error) {
    util::ErrorInfo info = error.info();
    for (std::string* text : {&info.message, &info.detail, &info.hint}) {
      for (std::size_t at = text->find(directory); at != std::string::npos; at = text->find(directory)) {
        text->replace(at, directory.size(), "DIR");
      }
    }
    if (info.where && info.where->file.starts_with(directory)) {
      info.where->file.replace(0, directory.size(), "DIR");
    }
    CHECK(info.outcome == util::Outcome::migration_files);
    return info;
  }
  return {};
}

/// "file:line:column: message" of the only problem in tests/data/files/<fault>.
std::string problem_of(const std::string& directory) {
  const util::ErrorInfo info = error_of(directory);
  return info.where ? fmt::format("{}: {}", util::to_string(*info.where), info.message) : "none";
}

}  // namespace

TEST_CASE("migrations are ordered by version as a number, and documentation next to them is no problem") {
  const std::vector<Migration> migrations = scan_and_parse(data("good"));
  REQUIRE(migrations.size() == 4);
  CHECK(migrations[0].id() == "1_first");
  CHECK(migrations[1].id() == "007_second");
  CHECK(migrations[2].id() == "10_index");
  CHECK(migrations[3].id() == "20250520000000");
  CHECK(migrations[0].directory == data("good") + "/1_first");
  CHECK(migrations[0].up.path == data("good") + "/1_first/up.sql");
  CHECK(migrations[0].has_metadata);
  CHECK(migrations[0].description == "the first");
  REQUIRE(migrations[0].down);
  CHECK(migrations[0].down->parsed);
  CHECK(migrations[0].down->statements.at(0).kind == "DROP TABLE");
  CHECK_FALSE(migrations[1].down);
  CHECK_FALSE(migrations[1].has_metadata);
  CHECK(migrations[1].transactional);
  CHECK_FALSE(migrations[2].transactional);
}

TEST_CASE("a scan reads and hashes, and parses nothing") {
  const std::vector<Migration> migrations = files::scan(data("several_in_parse"));
  REQUIRE(migrations.size() == 2);
  CHECK_FALSE(migrations[0].parsed);
  CHECK_FALSE(migrations[0].up.parsed);
  CHECK(migrations[0].up.statements.empty());
  CHECK(migrations[0].up.checksum == files::script_checksum("SELECT 'x;\n"));
}

TEST_CASE("what is parsed already is not read again") {
  std::vector<Migration> migrations = files::scan(data("good"));
  migrations[0].parsed = true;
  files::parse(std::vector<Migration*>{&migrations[0]});
  CHECK(migrations[0].up.statements.empty());
  files::parse({});
}

TEST_CASE("CRLF, LF and a byte order mark give the same checksum") {
  const std::string lf = files::scan(data("lf")).at(0).up.checksum;
  CHECK(lf == files::sha256_hex("SELECT 1;\nSELECT 2;\n"));
  CHECK(files::scan(data("crlf")).at(0).up.checksum == lf);
  CHECK(files::scan(data("bom")).at(0).up.checksum == lf);
  CHECK(files::scan(data("crlf")).at(0).up.text == "SELECT 1;\r\nSELECT 2;\r\n");
  CHECK(files::scan(data("bom")).at(0).up.text == "SELECT 1;\nSELECT 2;\n");
  CHECK(scan_and_parse(data("crlf")).at(0).up.statements.at(1).prefix_checksum ==
        scan_and_parse(data("lf")).at(0).up.statements.at(1).prefix_checksum);
}

TEST_CASE("a gap between versions is no problem") {
  CHECK(files::scan(data("gap")).size() == 2);
}

TEST_CASE("each fault of the files has its own message and place") {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"duplicate", "DIR/7_a: the same version as DIR/007_b"},
      {"bad_utf8", "DIR/1_a/up.sql:2:9: not valid UTF-8: byte 0xff"},
      {"utf16", "DIR/1_a/up.sql: UTF-16 text"},
      {"nul", "DIR/1_a/up.sql:2:7: NUL byte"},
      {"zero_bytes", "DIR/1_a/up.sql: the file is empty"},
      {"no_up", "DIR/1_a: the migration has no up.sql"},
      {"stray_sql", "DIR/2_b.sql: SQL outside of a migration's directory"},
      {"no_version", "DIR/add_orders: the directory's name does not start with a version (digits)"},
      {"git_lfs", "DIR/1_a/up.sql: a Git LFS pointer instead of the file's content"},
      {"merge_conflict", "DIR/1_a/up.sql:2:1: merge conflict marker"},
      {"mixed", "DIR/1_a/up.sql:2:3: CREATE INDEX CONCURRENTLY cannot run inside a transaction"},
      {"single_concurrently", "DIR/1_a/up.sql:1:1: CREATE INDEX CONCURRENTLY cannot run inside a transaction"},
      {"down_concurrently", "DIR/1_a/down.sql:1:1: DROP INDEX CONCURRENTLY cannot run inside a transaction"},
      {"tag_in_yaml",
       "DIR/1_a/migration.yaml:1:14: tags are not supported here (tag:yaml.org,2002:python/object:os.system)"},
  };
  for (const auto& [fault, expected] : cases) {
    CAPTURE(fault);
    CHECK(problem_of(data(fault)) == expected);
  }
  CHECK(error_of(data("stray_sql")).hint == "Lockkeeper wants a directory for each migration: 2_b/up.sql.");
  CHECK(error_of(data("mixed")).hint.find("transaction: none") != std::string::npos);
  CHECK(error_of(data("single_concurrently")).hint.find("transaction: single") != std::string::npos);
  CHECK_FALSE(scan_and_parse(data("mixed_none")).at(0).transactional);
}

TEST_CASE("names that are nearly right are problems with a hint") {
  const util::ErrorInfo info = error_of(data("wrong_names"));
  CHECK(info.message == "5 problems in DIR");
  CHECK(info.detail ==
        "DIR/1_a/UP.sql: unexpected file\nhint: Did you mean \"up.sql\"?\n"
        "DIR/1_a/down.sql.bak: unexpected file\nhint: Did you mean \"down.sql\"? Remove copies of files.\n"
        "DIR/1_a/migration.sql: unexpected file\nhint: Did you mean \"up.sql\"? Lockkeeper's name for Prisma's "
        "migration.sql is up.sql.\n"
        "DIR/1_a/migration.yml: unexpected file\nhint: Did you mean \"migration.yaml\"?\n"
        "DIR/1_a/notes.txt: unexpected file\nhint: A migration consists of up.sql, down.sql and migration.yaml; README "
        "and *.md are allowed.");
}

TEST_CASE("Prisma's migrations are told how to become Lockkeeper's") {
  const util::ErrorInfo info = error_of(data("prisma"));
  CHECK(info.message == "2 problems in DIR");
  CHECK(info.detail.find("Lockkeeper's name for Prisma's migration.sql is up.sql") != std::string::npos);
}

TEST_CASE("a scan reports all problems together") {
  const util::ErrorInfo info = error_of(data("several_faults"));
  CHECK(info.message == "4 problems in DIR");
  CHECK(info.where->file == "DIR/1_a/up.sql");
  for (const std::string_view part : {"1_a/up.sql: the file is empty", "2_b: the migration has no up.sql",
                                      "x_c: the directory's name", "3_d: the same version as DIR/03_e"}) {
    CAPTURE(part);
    CHECK(info.detail.find(part) != std::string::npos);
  }
}

TEST_CASE("parsing reports all problems of all migrations together") {
  const util::ErrorInfo info = error_of(data("several_in_parse"));
  CHECK(info.message == "4 problems in DIR");
  for (const std::string_view part : {"1_a/migration.yaml:1:1: migration.yaml: unknown key \"transacton\"",
                                      "1_a/migration.yaml:2:8: phase: \"later\" is neither pre nor post",
                                      "1_a/up.sql:1:8: unterminated quoted string", "2_b/up.sql:1:1: COMMIT"}) {
    CAPTURE(part);
    CHECK(info.detail.find(part) != std::string::npos);
  }
}

TEST_CASE("BEGIN and COMMIT in a file are errors that show the line") {
  const util::ErrorInfo info = error_of(data("transaction_control"));
  CHECK(info.message == "3 problems in DIR");
  CHECK(info.detail.find("DIR/1_a/up.sql:2:1: BEGIN in a migration\n    2 | BEGIN;\n") != std::string::npos);
  CHECK(info.detail.find("DIR/1_a/up.sql:4:1: COMMIT in a migration") != std::string::npos);
  CHECK(info.detail.find("DIR/1_a/down.sql:1:11: ROLLBACK in a migration") != std::string::npos);
  CHECK(info.detail.find("remove this statement") != std::string::npos);
}

TEST_CASE("a file of comments is readable and has no statements") {
  CHECK(files::scan(data("comments_only")).size() == 1);
  const util::ErrorInfo info = error_of(data("comments_only"));
  CHECK(info.detail.find("DIR/1_a/up.sql: the file has no statements") != std::string::npos);
  CHECK(info.detail.find("DIR/1_a/down.sql: the file has no statements\nhint: Write what undoes up.sql, or delete") !=
        std::string::npos);
}

TEST_CASE("a missing directory, an empty one and a file in its place are told apart") {
  const TempDirectory temp;
  CHECK(problem_of(temp.path("nowhere")) == "DIR: there is no such directory");
  CHECK(problem_of(temp.path()) == "DIR: there are no migrations in the directory");
  CHECK(error_of(temp.path()).hint.find("not mounted") != std::string::npos);
  temp.write("README.md", "# nothing here");
  temp.write(".gitkeep", "");
  std::filesystem::create_directory(temp.path("lost+found"));
  CHECK(problem_of(temp.path()) == "DIR: there are no migrations in the directory");
  temp.write("file", "x");
  CHECK(problem_of(temp.path("file")) == "DIR: cannot be read: Not a directory");
}

TEST_CASE("what is not a regular file is not read") {
  const TempDirectory temp;
  std::filesystem::create_directories(temp.path("1_a/up.sql"));
  CHECK(problem_of(temp.path()) == "DIR/1_a/up.sql: expected a file, found something else");
  std::filesystem::remove(temp.path("1_a/up.sql"));
  temp.link("../nowhere.sql", "1_a/up.sql");
  CHECK(problem_of(temp.path()) == "DIR/1_a/up.sql: a symbolic link that leads nowhere");
  std::filesystem::remove(temp.path("1_a/up.sql"));
  temp.link("up.sql", "1_a/up.sql");
  CHECK(problem_of(temp.path()).find("DIR/1_a/up.sql: cannot be read: Too many levels") == 0);
  std::filesystem::remove(temp.path("1_a/up.sql"));
  temp.write("1_a/up.sql", "SELECT 1;");
  std::filesystem::create_directory(temp.path("1_a/sub"));
  CHECK(problem_of(temp.path()) == "DIR/1_a/sub: unexpected directory");
}

TEST_CASE("a file over 64 MiB is not read") {
  const TempDirectory temp;
  temp.write("1_a/up.sql", "SELECT 1;");
  std::filesystem::resize_file(temp.path("1_a/up.sql"), 64 * 1024 * 1024 + 1);  // sparse
  CHECK(problem_of(temp.path()) == "DIR/1_a/up.sql: larger than 64 MiB");
}

TEST_CASE("a Kubernetes volume is read through its ..data links") {
  const TempDirectory temp;
  const std::string stamp = "..2025_05_20_10_00_00.123456789";
  temp.write(stamp + "/2_b/up.sql", "SELECT 2;");
  temp.write(stamp + "/2_b/migration.yaml", "description: linked\n");
  temp.write(stamp + "/1_a/up.sql", "SELECT 1;");
  temp.link(stamp, "..data");
  temp.link("..data/1_a", "1_a");
  temp.link("..data/2_b", "2_b");
  const std::vector<Migration> migrations = scan_and_parse(temp.path());
  REQUIRE(migrations.size() == 2);
  CHECK(migrations[0].up.text == "SELECT 1;");
  CHECK(migrations[1].description == "linked");
  CHECK(migrations[1].up.path == temp.path("2_b/up.sql"));
}

TEST_CASE("a migration that is a Kubernetes volume of its own is read, too") {
  const TempDirectory temp;
  temp.write("1_a/..2025/up.sql", "SELECT 1;");
  temp.link("..2025", "1_a/..data");
  temp.link("..data/up.sql", "1_a/up.sql");
  CHECK(scan_and_parse(temp.path()).at(0).up.text == "SELECT 1;");
}

TEST_CASE("a migrations directory that is a link, or ends with a slash, gives the paths as they were asked for") {
  const TempDirectory temp;
  temp.write("real/1_a/up.sql", "SELECT 1;");
  temp.link("real", "link");
  CHECK(files::scan(temp.path("link")).at(0).up.path == temp.path("link/1_a/up.sql"));
  CHECK(files::scan(temp.path("real/")).at(0).up.path == temp.path("real/1_a/up.sql"));
}

TEST_CASE("a file that vanished between scan and parse is a problem, not an empty one") {
  const TempDirectory temp;
  temp.write("1_a/up.sql", "SELECT 1;");
  temp.write("1_a/migration.yaml", "transaction: none\n");
  std::vector<Migration> migrations = files::scan(temp.path());
  std::filesystem::remove(temp.path("1_a/migration.yaml"));
  CHECK_THROWS_AS(files::parse(std::vector<Migration*>{migrations.data()}), util::Error);
}

TEST_CASE("only the newest texts are kept, and an older one is read again when it is needed") {
  const TempDirectory temp;
  const std::string large = "SELECT 1;" + std::string(std::size_t{3} * 1024 * 1024, ' ');
  for (const std::string_view version : {"1", "2", "3"}) {
    temp.write(fmt::format("{}_a/up.sql", version), large);
  }
  temp.write("1_a/down.sql", "SELECT 2;");
  std::vector<Migration> migrations = files::scan(temp.path());
  CHECK(migrations[0].up.text.empty());
  CHECK(migrations[0].down->text.empty());
  CHECK(migrations[0].up.checksum == migrations[2].up.checksum);
  CHECK(migrations[1].up.text.empty());
  CHECK(migrations[2].up.text == large);
  files::parse(std::vector<Migration*>{migrations.data()});
  CHECK(migrations[0].up.text == large);
  CHECK(migrations[0].up.statements.size() == 1);
  CHECK(migrations[0].down->text == "SELECT 2;");
  // Changed meanwhile: the plan was made of the other one.
  temp.write("2_a/up.sql", large + "\n");
  CHECK(test::error_of([&] { files::parse(std::vector<Migration*>{&migrations[1]}); }).message ==
        "the file was changed while this run was reading it");
}

TEST_CASE("transaction: decides how a file runs, auto from its statements") {
  const auto transactional = [](std::string_view sql, std::string_view metadata) {
    const TempDirectory temp;
    temp.write("1_a/up.sql", sql);
    temp.write("1_a/migration.yaml", metadata);
    return scan_and_parse(temp.path()).at(0).transactional;
  };
  CHECK(transactional("CREATE TABLE a ();", ""));
  CHECK(transactional("CREATE TABLE a ();", "transaction: auto"));
  CHECK(transactional("CREATE TABLE a ();", "transaction: single"));
  CHECK_FALSE(transactional("CREATE TABLE a ();", "transaction: none"));
  CHECK_FALSE(transactional("VACUUM a; DROP INDEX CONCURRENTLY b;", ""));
  CHECK(transactional("SOMETHING NEW;", ""));
}
