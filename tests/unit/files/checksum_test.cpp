#include "files/checksum.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/migrations.hpp"

using namespace lockkeeper;

TEST_CASE("SHA-256 is SHA-256") {
  CHECK(files::sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(files::sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("Windows line ends do not change a script's checksum, other carriage returns do") {
  CHECK(files::script_checksum("a;\r\nb;\r\n") == files::script_checksum("a;\nb;\n"));
  CHECK(files::script_checksum("a;\nb;\n") == files::sha256_hex("a;\nb;\n"));
  CHECK(files::script_checksum("\r\n") == files::sha256_hex("\n"));
  CHECK(files::script_checksum("\r\r\n") == files::sha256_hex("\r\n"));
  CHECK(files::script_checksum("a\rb") == files::sha256_hex("a\rb"));
  CHECK(files::script_checksum("a\r") == files::sha256_hex("a\r"));
}

TEST_CASE("the checksum of a history has a line for each migration, in the order of the versions as text") {
  std::vector<core::Migration> migrations;
  for (const std::string version : {"2", "007", "10"}) {
    migrations.push_back(test::make_migration(version, {}));
    migrations.back().up.checksum = "sum" + version;
  }
  CHECK(files::history_checksum(migrations) == files::sha256_hex("007 sum007\n10 sum10\n2 sum2\n"));
  CHECK(files::history_checksum({}) == files::sha256_hex(""));
}
