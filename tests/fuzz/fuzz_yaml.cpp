/// \file
/// Any text is either a document within our bounds or an Error with a place; migration.yaml the same.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "files/metadata.hpp"
#include "yaml/document.hpp"

using namespace lockkeeper;

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check(const yaml::Value& value, std::size_t depth) {
  require(depth <= yaml::k_max_depth);
  require(value.line > 0 && value.column > 0);
  for (const yaml::Value& item : value.items) {
    check(item, depth + 1);
  }
  for (const yaml::Value::Entry& entry : value.entries) {
    require(!entry.key.empty() && entry.line > 0 && entry.column > 0);
    check(entry.value, depth + 1);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  bool parsed = false;
  try {
    const yaml::Value root = yaml::parse(text, "fuzz.yaml", util::Outcome::config);
    require(root.kind == yaml::Value::Kind::mapping);
    check(root, 0);
    parsed = true;
  } catch (const util::Error& error) {
    require(error.info().outcome == util::Outcome::config && error.info().where && !error.info().message.empty());
  }
  const files::MetadataResult result = files::read_metadata(text, "migration.yaml");
  require(parsed || result.problems.size() == 1);
  for (const util::ErrorInfo& problem : result.problems) {
    require(problem.where && !problem.message.empty());
  }
  for (const core::Expectation& expectation : result.metadata.expect) {
    require(expectation.where.line > 0);
  }
  return 0;
}
