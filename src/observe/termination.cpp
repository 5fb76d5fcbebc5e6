#include "observe/termination.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "observe/posix.hpp"
#include "observe/terminal.hpp"

namespace lockkeeper::observe {

namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Server messages may be in any encoding; afterwards every string is valid UTF-8, so that sizes can be counted.
Json clean(const Json& json) {
  return Json::parse(dump(json));
}

void put(Json& json, const char* key, const std::string& value) {
  if (!value.empty()) {
    json[key] = value;
  }
}

template <typename T>
void put(Json& json, const char* key, const std::optional<T>& value) {
  if (value) {
    json[key] = *value;
  }
}

/// What there was none of is left out.
template <typename T>
void put_count(Json& json, const char* key, T count) {
  if (count > 0) {
    json[key] = count;
  }
}

std::string migration_id(const core::AppliedStep& step) {
  return step.name.empty() ? step.version : step.version + "_" + step.name;
}

/// What may be cut. Everything else is a number, a code or one of our own short words.
const std::array<Json::json_pointer, 10>& cuttable() {
  static const std::array<Json::json_pointer, 10> k_pointers = {
      Json::json_pointer("/error/detail"), Json::json_pointer("/error/hint"),   Json::json_pointer("/error/message"),
      Json::json_pointer("/migrations"),   Json::json_pointer("/error/file"),   Json::json_pointer("/environment"),
      Json::json_pointer("/database"),     Json::json_pointer("/version_from"), Json::json_pointer("/version_to"),
      Json::json_pointer("/tool_version")};
  return k_pointers;
}

struct Part {
  Json::json_pointer pointer;
  std::size_t size = 0;  ///< bytes in the output
};

std::vector<Part> parts_of(const Json& json) {
  std::vector<Part> parts;
  for (const Json::json_pointer& pointer : cuttable()) {
    if (json.contains(pointer)) {
      parts.push_back({pointer, dump(json.at(pointer)).size()});
    }
  }
  return parts;
}

/// The largest size at which parts may stay so that cutting the longer ones saves \p excess bytes: the longest pay
/// first.
std::size_t common_limit(const std::vector<Part>& parts, std::size_t excess, std::size_t limit) {
  std::size_t saved = 0;
  do {
    saved = 0;
    --limit;
    for (const Part& part : parts) {
      saved += part.size > limit ? part.size - limit : 0;
    }
  } while (saved < excess && limit > 0);
  return limit;
}

/// Bytes that JSON needs for \p c inside a string.
std::size_t escaped_size(char c) {
  constexpr std::string_view k_short_escapes = "\"\\\b\f\n\r\t";
  if (k_short_escapes.find(c) != std::string_view::npos) {
    return 2;
  }
  return static_cast<unsigned char>(c) < 0x20 ? 6 : 1;
}

/// The longest beginning of \p text that takes at most \p bytes in JSON, quotes and dots included.
std::string cut_text(const std::string& text, std::size_t bytes) {
  constexpr std::string_view k_dots = "...";
  std::size_t used = k_dots.size() + 2;
  std::size_t end = 0;
  while (end < text.size() && used + escaped_size(text[end]) <= bytes) {
    used += escaped_size(text[end]);
    ++end;
  }
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) {
    --end;  // not inside of a character
  }
  return end == 0 ? std::string() : text.substr(0, end).append(k_dots);
}

/// The newest stay: they are where the database is now. The count is a field of its own and stays right.
Json cut_list(const Json& list, std::size_t bytes) {
  std::size_t used = 2;
  auto first = list.end();
  while (first != list.begin()) {
    used += dump(*(first - 1)).size() + 1;
    if (used > bytes) {
      break;
    }
    --first;
  }
  Json newest = Json::array();
  newest.insert(newest.end(), first, list.end());
  return newest;
}

void cut(Json& json, const Json::json_pointer& pointer, std::size_t bytes) {
  Json& part = json.at(pointer);
  bool gone = false;
  if (part.is_array()) {
    part = cut_list(part, bytes);
    gone = part.empty();
  } else {
    std::string text = cut_text(part.get<std::string>(), bytes);
    gone = text.empty();
    part = std::move(text);
  }
  if (gone) {
    json.at(pointer.parent_pointer()).erase(pointer.back());
  }
}

std::string what_was_done(const core::Report& report) {
  const std::string steps = counted(report.applied.size(), "migration");
  if (report.command == "down") {
    return steps + " rolled back";
  }
  if (report.command == "baseline") {
    return steps + " recorded as applied";
  }
  if (report.command == "repair") {
    return steps + " repaired";
  }
  return steps + " applied";
}

bool changes_the_database(const std::string& command) {
  return command == "up" || command == "down" || command == "baseline" || command == "repair";
}

std::string result(const core::Report& report, const util::ExitCode& exit_code) {
  using util::RetryClass;
  if (exit_code.retry == RetryClass::fatal || exit_code.retry == RetryClass::retryable) {
    const std::string failed = fmt::format("failed with exit code {} ({})", exit_code.code, exit_code.name);
    return report.applied.empty() ? failed : failed + ", " + what_was_done(report) + " before";
  }
  if (!report.applied.empty()) {
    return what_was_done(report);
  }
  if (changes_the_database(report.command)) {
    return "nothing to do";
  }
  if (report.pending) {
    return *report.pending == 0 ? "nothing pending" : counted(*report.pending, "migration") + " pending";
  }
  return report.command.empty() ? "done" : report.command + " done";
}

std::string where_it_is(const core::Report& report) {
  if (!report.version_to) {
    return {};
  }
  std::string text = report.database.empty() ? "database" : "database " + report.database;
  text += report.version_to->empty() ? " has no migrations" : " is at " + *report.version_to;
  if (report.ahead.value_or(false)) {
    text += ", ahead of these files";
  }
  if (report.half_done.value_or(0) > 0) {
    text += fmt::format(", {} half done", *report.half_done);
  }
  return text;
}

}  // namespace

double report_seconds(std::chrono::steady_clock::duration duration) {
  return std::round(util::to_seconds(duration) * 1e6) / 1e6;
}

Json error_fields(const util::ErrorInfo& error) {
  Json json = Json::object();
  put(json, "message", error.message);
  if (error.where) {
    put(json, "file", error.where->file);
    if (error.where->line > 0) {
      json["line"] = error.where->line;
    }
    if (error.where->column > 0) {
      json["column"] = error.where->column;
    }
  }
  put(json, "sqlstate", error.sqlstate);
  put(json, "hint", error.hint);
  put(json, "detail", error.detail);
  return json;
}

Json summary(const core::Report& report) {
  const util::ExitCode& exit_code = util::exit_code(report.outcome);
  Json json = Json::object();
  json["exit_code"] = exit_code.code;
  json["outcome"] = std::string(exit_code.name);
  json["retry"] = std::string(util::to_string(exit_code.retry));
  put(json, "command", report.command);
  put(json, "tool_version", report.tool_version);
  put(json, "environment", report.environment);
  put(json, "database", report.database);
  put(json, "version_from", report.version_from);
  put(json, "version_to", report.version_to);
  json["applied"] = report.applied.size();
  for (const core::AppliedStep& step : report.applied) {
    json["migrations"].push_back(migration_id(step));
  }
  put(json, "pending", report.pending);
  put(json, "known", report.known);
  put(json, "ahead", report.ahead);
  put(json, "half_done", report.half_done);
  put(json, "checksum_mismatches", report.checksum_mismatches);
  if (report.lock_wait) {
    json["lock_wait_seconds"] = report_seconds(*report.lock_wait);
  }
  json["lock_timeout_retries"] = report.lock_timeout_retries;
  put_count(json, "lock_attempts", report.lock_attempts);
  put_count(json, "blockers_seen", report.blockers_seen);
  put_count(json, "queue_peak_sessions", report.queue_peak);
  if (report.queue_longest > util::Duration::zero()) {
    json["queue_longest_seconds"] = report_seconds(report.queue_longest);
  }
  put_count(json, "invalid_indexes_repaired", report.invalid_indexes_repaired);
  put_count(json, "touched_table_rows", report.touched.rows);
  put_count(json, "touched_table_bytes", report.touched.bytes);
  json["duration_seconds"] = report_seconds(report.duration);
  put(json, "trace_id", report.trace_id);
  if (report.error) {
    json["error"] = error_fields(*report.error);
  }
  return clean(json);
}

std::string headline(const core::Report& report) {
  std::string text = result(report, util::exit_code(report.outcome));
  if (const std::string where = where_it_is(report); !where.empty()) {
    text += (text == "nothing to do" ? ": " : ", ") + where;
  }
  return text + ", " + human(report.duration);
}

std::string termination_message(const core::Report& report, std::size_t limit) {
  Json json = summary(report);
  const std::size_t size = dump(json).size();
  if (size > limit) {
    const std::vector<Part> parts = parts_of(json);
    const std::size_t longest = common_limit(parts, size - limit, limit);
    for (const Part& part : parts) {
      if (part.size > longest) {
        cut(json, part.pointer, longest);
      }
    }
  }
  return dump(json);
}

std::optional<std::string> write_termination_message(const std::string& path, const core::Report& report,
                                                     const std::string& default_path) {
  const bool asked_for = !path.empty();
  const std::string& target = asked_for ? path : default_path;
  // Written in place, not renamed into place: the kubelet mounts this very file into the container.
  const int fd = asked_for ? ::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
                           : ::open(target.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC);
  bool written = fd >= 0 && write_all(fd, termination_message(report));
  int error = errno;
  if (fd >= 0 && ::close(fd) != 0 && written) {
    written = false;
    error = errno;
  }
  if (written || !asked_for) {
    return std::nullopt;
  }
  return fmt::format("termination message not written to {}: {}", target, errno_text(error));
}

}  // namespace lockkeeper::observe
