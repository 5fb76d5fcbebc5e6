/// \file
/// The metrics: one list of names, labels, units and help texts, and the Prometheus text format of a report.
///
/// All are gauges: this is a batch job. What is about this run is always sent, so that a push that merges into a group
/// leaves nothing of an older run; what is about the database is left out when it is not known, never 0. Not for:
/// sending them (push.hpp).
/// Sources: https://prometheus.io/docs/practices/instrumentation/#batch-jobs,
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/report.hpp"
#include "observe/family.hpp"
#include "observe/live.hpp"

namespace lockkeeper::observe {

inline constexpr std::size_t k_most_versions = 20;  ///< newest migrations of a run with a series of their own

struct Metric {
  std::string_view name;
  std::string_view label;  ///< name of its only label; empty = none
  std::string_view unit;   ///< "seconds", "unix seconds", "migrations", "0 or 1" ...
  std::string_view when;   ///< "always", "success", "known"
  std::string_view help;   ///< no backslash, no line feed: prometheus-cpp does not escape it
  std::vector<Sample> (*samples)(const core::Report& report);  ///< at the end of a run; empty = left out
  /// While it goes on; nullptr = an interim push does not send it.
  std::vector<Sample> (*live)(const Live& live, const Moment& now) = nullptr;
};

/// Every metric, in the order of the output.
std::span<const Metric> metrics();
/// The Markdown table of docs/metrics.md.
std::string metrics_table();

/// What a run says at its end, or in between; families in the order of metrics().
std::vector<Family> families(const core::Report& report);
std::vector<Family> families(const Live& live, const Moment& now);

/// Prometheus text format 0.0.4: samples by label value. \p labels are put on every sample, empty values left out: for
/// the metrics file, where no group key does it. Names: letters, digits, underscores.
std::string serialize(const std::vector<Family>& families, const MetricLabels& labels = {});
std::string serialize(const core::Report& report, const MetricLabels& labels = {});

/// Replaces \p path in one step (a temporary file in the same directory, fsync, rename; mode 0644), as node_exporter's
/// textfile collector needs it; a symbolic link is followed. The temporary file's name does not end in .prom.
/// \return a warning when it could not be written; nothing is left behind then and an older file stays as it was.
std::optional<std::string> write_metrics_file(const std::string& path, const std::string& text);

}  // namespace lockkeeper::observe
