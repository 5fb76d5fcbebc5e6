/// \file
/// What the tests of observe/ share: a clock that stands, a FILE* that is a string, one event of each type, a report.
#pragma once

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

#include "core/events.hpp"
#include "util/clock.hpp"

namespace lockkeeper::test {

/// 2026-11-22T14:00:00.123Z until it is moved.
class StandingClock final : public util::Clock {
 public:
  util::WallTime m_wall{std::chrono::milliseconds(1795356000123)};
  util::SteadyTime m_now{};

  [[nodiscard]] util::SteadyTime now() const override { return m_now; }
  [[nodiscard]] util::WallTime wall() const override { return m_wall; }
  void sleep(util::Duration duration) override { m_now += duration; }
};

class StringFile {
 public:
  StringFile() : m_file(::open_memstream(&m_text, &m_size)) {}
  StringFile(const StringFile&) = delete;
  StringFile& operator=(const StringFile&) = delete;
  ~StringFile() {
    static_cast<void>(std::fclose(m_file));
    std::free(m_text);
  }
  [[nodiscard]] std::FILE* file() const { return m_file; }
  [[nodiscard]] std::string text() const {
    static_cast<void>(std::fflush(m_file));
    return {m_text, m_size};
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    std::vector<std::string> lines;
    std::string line;
    for (const char c : text()) {
      if (c == '\n') {
        lines.push_back(std::exchange(line, {}));
      } else {
        line += c;
      }
    }
    return lines;
  }

 private:
  char* m_text = nullptr;
  std::size_t m_size = 0;
  std::FILE* m_file;
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() : m_path("/tmp/lockkeeper-observe-XXXXXX") {
    if (::mkdtemp(m_path.data()) == nullptr) {
      std::abort();
    }
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  [[nodiscard]] std::string operator/(const std::string& name) const { return m_path + "/" + name; }
  [[nodiscard]] const std::string& path() const { return m_path; }

 private:
  std::string m_path;
};

std::string read_file(const std::string& path);

/// Compares the part of docs/\p name between its "begin: generated" and "end: generated" comments with \p expected;
/// with LOCKKEEPER_UPDATE_DOCS=1 it writes it instead.
void check_generated(const std::string& name, const std::string& expected);

/// A successful `up` that applied the Calendly migration in 80 ms.
core::Report applied_report();
/// A failed one: SQL error in the second of two migrations.
core::Report failed_report();
/// Could not connect: almost nothing is known.
core::Report unreachable_report();

/// A session that blocks us, of which everything is known.
core::Blocker reports_session();
/// One event of every type, in the order of core::Event.
std::vector<core::Event> every_event();

}  // namespace lockkeeper::test
