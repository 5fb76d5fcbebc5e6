#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "config/option_table.hpp"
#include "config/yaml_file.hpp"
#include "unit/config/helpers.hpp"

using namespace lockkeeper;
using namespace lockkeeper::config;
using namespace lockkeeper::config::test;

namespace {

const std::string k_document = std::string(LOCKKEEPER_SOURCE_DIR) + "/docs/configuration.md";
const std::string k_begin = "<!-- options: generated, see tests/unit/config/configuration_doc_test.cpp -->\n";
const std::string k_end = "<!-- end of options -->\n";

std::string read_document() {
  std::ostringstream text;
  text << std::ifstream(k_document, std::ios::binary).rdbuf();
  return text.str();
}

/// The code blocks of a language, in order.
std::vector<std::string> code_blocks(const std::string& document, const std::string& language) {
  std::vector<std::string> blocks;
  const std::string fence = "```" + language + "\n";
  for (std::size_t at = document.find(fence); at != std::string::npos; at = document.find(fence, at)) {
    at += fence.size();
    blocks.push_back(document.substr(at, document.find("```", at) - at));
  }
  return blocks;
}

}  // namespace

TEST_CASE("docs/configuration.md lists the options as they are (LOCKKEEPER_UPDATE_DOCS=1 rewrites it)") {
  const std::string document = read_document();
  const std::size_t begin = document.find(k_begin);
  const std::size_t end = document.find(k_end);
  REQUIRE(begin != std::string::npos);
  REQUIRE(end != std::string::npos);
  const std::string wanted = "\n" + configuration_markdown();
  const std::size_t first = begin + k_begin.size();
  const char* update = std::getenv("LOCKKEEPER_UPDATE_DOCS");
  if (update != nullptr && std::string(update) == "1") {
    std::ofstream(k_document, std::ios::binary) << document.substr(0, first) << wanted << document.substr(end);
    return;
  }
  CHECK(document.substr(first, end - first) == wanted);
}

TEST_CASE("the lockkeeper.yaml in docs/configuration.md is valid, with its three environments") {
  std::string sample;
  for (const std::string& block : code_blocks(read_document(), "yaml")) {
    if (block.starts_with("# lockkeeper.yaml")) {
      sample = block;
    }
  }
  REQUIRE_FALSE(sample.empty());
  const TempDir directory;
  const std::string file = directory.write("lockkeeper.yaml", sample);
  for (const char* name : {"dev", "preview", "prod"}) {
    CAPTURE(name);
    const Settings settings = run_load({"up", "--env", name}, {}, file).settings;
    CHECK(settings.environment == name);
    CHECK(settings.database.has_value());
  }
  const Settings prod = run_load({"up", "--env=prod"}, {}, file).settings;
  CHECK(prod.environment_rules->forbid == std::vector<std::string>{"down"});
  CHECK(prod.limits.lock_wait == std::chrono::minutes(10));
}

TEST_CASE("the .env in docs/configuration.md is valid") {
  const auto blocks = code_blocks(read_document(), "sh");
  bool found = false;
  for (const std::string& block : blocks) {
    if (block.starts_with("# dev.env")) {
      found = true;
      CHECK(parse_dotenv(block, "dev.env").size() >= 3);
    }
  }
  CHECK(found);
}
