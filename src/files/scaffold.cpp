#include "files/scaffold.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "files/name.hpp"
#include "util/error.hpp"

namespace lockkeeper::files {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view k_up = R"(-- What this migration does, and why.
--
-- Plain SQL, run in one transaction together with the row of the history: no BEGIN, no COMMIT. Names that were created
-- with quotes need quotes: "SessionType". For example:
--
--   ALTER TABLE "SessionType" ADD COLUMN IF NOT EXISTS "color" TEXT;
--
-- Statements that cannot run in a transaction (CREATE INDEX CONCURRENTLY) go into a migration of their own.
)";

constexpr std::string_view k_down = R"(-- What undoes up.sql. Delete this file when nothing can.
--
-- lockkeeper down counts what would be lost first, and refuses unless it is told --allow-data-loss. For example:
--
--   ALTER TABLE "SessionType" DROP COLUMN IF EXISTS "color";
)";

constexpr std::string_view k_metadata = R"(# Optional; delete this file when there is nothing to say.
description: {}

# auto: one transaction, unless no statement can run in one. none: each statement commits by itself.
# transaction: auto
# phase: pre            # post: runs after the deploy (lockkeeper up --phase post)
# lock_timeout: 2s      # the run's setting otherwise
# statement_timeout: 5m

# What holds after this migration; lockkeeper verify keeps checking it. Names are case-sensitive.
# expect:
#   columns:
#     SessionType:
#       color: {{type: text, nullable: true, default: null}}

# What lockkeeper down must find to be zero, beyond what it sees in down.sql.
# data_loss:
#   sessions with a colour: SELECT count(*) FROM "SessionType" WHERE "color" IS NOT NULL
)";

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/// "Add user's e-mail" -> "Add_users_e_mail".
std::string normalise(std::string_view name) {
  std::string result;
  for (const char c : name) {
    const bool separates = c == ' ' || c == '-' || c == '_' || c == '\t';
    if (is_letter_or_digit(c) || (c == '.' && !result.empty())) {
      result += c;
    } else if (separates && !result.empty() && result.back() != '_') {
      result += '_';
    }
  }
  while (!result.empty() && !is_letter_or_digit(result.back())) {
    result.pop_back();
  }
  return result;
}

std::string plus_one(std::string digits) {
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    if (*digit != '9') {
      ++*digit;
      return digits;
    }
    *digit = '0';
  }
  return "1" + digits;
}

[[noreturn]] void fail(const std::string& path, std::string message) {
  util::ErrorInfo info;
  info.outcome = util::Outcome::migration_files;
  info.message = std::move(message);
  info.where = util::SourcePosition{path, 0, 0};
  throw util::Error(std::move(info));
}

/// The newest version below \p directory, whatever else is wrong there; empty when there is none.
core::Version newest_version(const std::string& directory) {
  core::Version newest;
  std::error_code error;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const auto parsed = parse_directory_name(entry->path().filename().string());
    if (const auto* name = std::get_if<DirectoryName>(&parsed); name != nullptr && newest < name->version) {
      newest = name->version;
    }
  }
  return newest;
}

core::Version next_version(const std::string& directory, util::WallTime now) {
  const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(now);
  core::Version version(fmt::format("{:%Y%m%d%H%M%S}", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds))));
  const core::Version newest = newest_version(directory);
  return newest < version ? version : core::Version(plus_one(newest.str()));
}

void write_file(const std::string& path, std::string_view content) {
  std::ofstream stream(path, std::ios::binary);
  stream << content;
  stream.close();
  if (!stream) {
    fail(path, fmt::format("cannot be written: {}", std::strerror(errno)));
  }
}

/// \p text as a YAML scalar that needs no thought.
std::string yaml_quoted(std::string_view text) {
  std::string result = "'";
  for (const char c : text) {
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    result += c == '\'' ? "'" : "";
  }
  return result + "'";
}

}  // namespace

std::string create_migration(const std::string& directory, std::string_view name, util::WallTime now) {
  const std::string normalised = normalise(name);
  if (normalised.empty()) {
    throw util::Error(util::Outcome::usage, fmt::format("\"{}\" has no letter or digit", name),
                      "Name the migration by what it does: lockkeeper new add_orders.");
  }
  std::error_code error;
  fs::create_directories(directory, error);
  const std::string separator = directory.ends_with('/') ? "" : "/";
  std::string path = fmt::format("{}{}{}_{}", directory, separator, next_version(directory, now).str(), normalised);
  if (!fs::create_directory(path, error)) {
    fail(path, error ? fmt::format("cannot be created: {}", error.message()) : std::string("exists already"));
  }
  write_file(path + "/up.sql", k_up);
  write_file(path + "/down.sql", k_down);
  write_file(path + "/migration.yaml", fmt::format(fmt::runtime(k_metadata), yaml_quoted(name)));
  return path;
}

}  // namespace lockkeeper::files
