/// \file
/// The report as one line of words, as JSON, and as the container's termination message.
///
/// Kubernetes shows the file /dev/termination-log of a finished container in `kubectl describe pod`; it keeps 4096
/// bytes and divides 12 KiB among a pod's containers, so we stay within 2 KiB. Source:
/// https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "core/report.hpp"

namespace lockkeeper::observe {

inline constexpr std::size_t k_termination_limit = 2048;  ///< bytes
inline constexpr const char* k_default_termination_log = "/dev/termination-log";

/// The run in numbers, in a stable order, valid UTF-8; what is not known is left out. The last log line, the
/// termination message and the metrics agree because they come from here or from the same functions. Fields:
/// docs/logs.md.
nlohmann::ordered_json summary(const core::Report& report);
/// {message, file, line, column, sqlstate, hint, detail}; empty parts are left out.
nlohmann::ordered_json error_fields(const util::ErrorInfo& error);
/// "1 migration applied, database app is at 20250520000000, 80 ms"; a failed run: "failed with exit code 12 (sql):
/// ...", without the error's own text.
std::string headline(const core::Report& report);
/// Seconds, to the microsecond: the one conversion for log, termination message and metrics.
double report_seconds(std::chrono::steady_clock::duration duration);

/// summary() as JSON in at most \p limit bytes (sensible from 512). The longest of detail, hint, message, the list of
/// migrations and the names is cut first; numbers never.
std::string termination_message(const core::Report& report, std::size_t limit = k_termination_limit);

/// Writes termination_message() without a line feed. A \p path is created or truncated; an empty one means
/// \p default_path, but only where that is there already and may be written. Never throws for the file's sake.
/// \return a warning when a path that was given could not be written.
std::optional<std::string> write_termination_message(const std::string& path, const core::Report& report,
                                                     const std::string& default_path = k_default_termination_log);

}  // namespace lockkeeper::observe
