/// \file
/// What the tests of config/ share.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <stdlib.h>

#include "config/load.hpp"
#include "util/error.hpp"

namespace lockkeeper::config::test {

/// The Error that \p action throws; an ErrorInfo with the message "no error" when it throws none.
inline util::ErrorInfo error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const util::Error& error) {
    return error.info();
  }
  return {util::Outcome::ok, "no error", {}, {}, {}, {}, {}};
}

/// Everything a person would see of the error.
inline std::string text_of(const std::function<void()>& action) {
  return util::to_string(error_of(action));
}

/// A directory that goes away with the test.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "lk-config-XXXXXX").string();
    m_path = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(m_path, ignored);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return (m_path / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }

 private:
  std::filesystem::path m_path;
};

/// load() as the binary does it, with files that are not there unless a test says so.
inline LoadResult run_load(const std::vector<std::string>& arguments, const Environment& environment = {},
                           const std::string& config_file = "/nonexistent/lockkeeper.yaml") {
  std::vector<const char*> argv{"lockkeeper"};
  for (const std::string& argument : arguments) {
    argv.push_back(argument.c_str());
  }
  LoadContext context;
  context.default_config_file = config_file;
  context.namespace_file = "/nonexistent/namespace";
  return load(static_cast<int>(argv.size()), argv.data(), environment, context);
}

}  // namespace lockkeeper::config::test
