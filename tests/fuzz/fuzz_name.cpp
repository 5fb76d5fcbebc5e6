/// \file
/// Any name of a directory is either taken apart without loss or refused with a reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "files/metadata.hpp"
#include "files/name.hpp"

using namespace lockkeeper;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  const auto parsed = files::parse_directory_name(text);
  if (const auto* good = std::get_if<files::DirectoryName>(&parsed)) {
    core::Migration migration;
    migration.version = good->version;
    migration.name = good->name;
    if (migration.id() != text) {
      std::abort();
    }
  } else if (const auto& problem = std::get<files::NameProblem>(parsed);
             problem.message.empty() || problem.hint.empty()) {
    std::abort();
  }
  if (const auto object = files::parse_object_name(text); object && object->name.empty()) {
    std::abort();
  }
  return 0;
}
