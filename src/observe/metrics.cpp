#include "observe/metrics.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <span>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "observe/posix.hpp"
#include "observe/termination.hpp"

namespace lockkeeper::observe {

namespace {

using core::Report;
using Samples = std::vector<Sample>;

bool success(const Report& report) {
  return util::exit_code(report.outcome).code == 0;
}

Samples value(double number) {
  return {{.label_value = {}, .value = number}};
}

template <typename T>
Samples count(const std::optional<T>& known) {
  return known ? value(static_cast<double>(*known)) : Samples{};
}

/// To the millisecond: a double holds that exactly enough until the year 285,000.
double unix_seconds(util::WallTime time) {
  const auto since_epoch = std::chrono::round<std::chrono::milliseconds>(time.time_since_epoch());
  return static_cast<double>(since_epoch.count()) / 1000;
}

/// Of the run's end.
double finished_at(const Report& report) {
  return unix_seconds(report.started + std::chrono::duration_cast<util::WallTime::duration>(report.duration));
}

/// One sample for each label value; a stage that was gone through twice (the plan is made again under the lock) is one
/// sum, because a series can have only one value.
template <typename Range, typename Label>
Samples durations_by(const Range& range, Label label) {
  std::map<std::string, std::chrono::steady_clock::duration> sums;
  for (const auto& element : range) {
    sums[std::invoke(label, element)] += element.duration;
  }
  Samples samples;
  for (const auto& [name, duration] : sums) {
    samples.push_back({.label_value = name, .value = report_seconds(duration)});
  }
  return samples;
}

Samples build_info(const std::string& version) {
  return {{.label_value = version, .value = 1}};
}

Samples last_run(const Report& report) {
  return value(finished_at(report));
}

Samples last_success(const Report& report) {
  return success(report) ? value(finished_at(report)) : Samples{};
}

/// A run that asked for no lock has not waited either.
Samples lock_wait(const Report& report) {
  return value(report_seconds(report.lock_wait.value_or(std::chrono::steady_clock::duration::zero())));
}

Samples live_lock_wait(const Live& live, const Moment& now) {
  const auto present = live.lock_wait_began ? now.steady - *live.lock_wait_began : util::SteadyTime::duration::zero();
  return value(report_seconds(live.lock_wait + present));
}

Samples live_statement(const Live& live, const Moment& now) {
  const auto running = now.steady - live.statement_began.value_or(now.steady);
  return value(report_seconds(std::max(running, util::SteadyTime::duration::zero())));  // a retry that is to come
}

Samples schema_version(const Report& report) {
  if (report.version_to.value_or("").empty()) {
    return {};  // not known, or nothing applied: a label with an empty value would be no label
  }
  return {{.label_value = *report.version_to, .value = 1}};
}

/// The newest of many. Without one there is a sample without the label, so that those of an older run are replaced.
Samples migration_durations(const Report& report) {
  if (report.applied.empty()) {
    return value(0);
  }
  const std::size_t shown = std::min(report.applied.size(), k_most_versions);
  return durations_by(std::span(report.applied).last(shown), &core::AppliedStep::version);
}

template <typename T>
Samples number(T count) {
  return value(static_cast<double>(count));
}

constexpr std::array k_metrics = {
    Metric{"lockkeeper_build_info", "version", "1", "always", "Version of the lockkeeper binary that ran last.",
           [](const Report& report) { return build_info(report.tool_version); },
           [](const Live& live, const Moment&) { return build_info(live.tool_version); }},
    Metric{"lockkeeper_last_run_timestamp_seconds", "", "Unix seconds", "always", "When the last run ended.", last_run},
    Metric{"lockkeeper_last_success_timestamp_seconds", "", "Unix seconds", "success",
           "When the last successful run (exit code 0) ended.", last_success},
    Metric{"lockkeeper_last_run_success", "", "0 or 1", "always", "Whether the last run was successful (exit code 0).",
           [](const Report& report) { return value(success(report) ? 1 : 0); }},
    Metric{"lockkeeper_last_run_exit_code", "", "exit code", "always", "Exit code of the last run.",
           [](const Report& report) { return value(util::exit_code(report.outcome).code); }},
    Metric{"lockkeeper_last_run_duration_seconds", "", "seconds", "always", "How long the last run took.",
           [](const Report& report) { return value(report_seconds(report.duration)); }},
    Metric{"lockkeeper_run_in_progress", "", "0 or 1", "always",
           "Whether a run is going on; believe it only while lockkeeper_run_heartbeat_timestamp_seconds is fresh.",
           [](const Report&) { return value(0); }, [](const Live&, const Moment&) { return value(1); }},
    Metric{"lockkeeper_run_started_timestamp_seconds", "", "Unix seconds", "always", "When the run began.",
           [](const Report& report) { return value(unix_seconds(report.started)); },
           [](const Live& live, const Moment&) { return value(unix_seconds(live.started)); }},
    Metric{"lockkeeper_run_heartbeat_timestamp_seconds", "", "Unix seconds", "always",
           "When the run was last known to be alive; at its end, when it ended.", last_run,
           [](const Live&, const Moment& now) { return value(unix_seconds(now.wall)); }},
    Metric{"lockkeeper_statement_running_seconds", "", "seconds", "always",
           "How long the statement that runs has been running; 0 when the run is over.",
           [](const Report&) { return value(0); }, live_statement},
    Metric{"lockkeeper_stage_duration_seconds", "stage", "seconds", "stages gone through",
           "How long each stage of the last run took: connect, plan, lock, apply, verify.",
           [](const Report& report) { return durations_by(report.stages, &core::StageTime::stage); }},
    Metric{"lockkeeper_lock_wait_seconds", "", "seconds", "always",
           "How long the last run waited for the lock that admits one runner at a time.", lock_wait, live_lock_wait},
    Metric{"lockkeeper_lock_attempts", "", "attempts", "always",
           "How often the last run asked for the lock that admits one runner at a time; 0 when nothing was pending.",
           [](const Report& report) { return number(report.lock_attempts); },
           [](const Live& live, const Moment&) { return number(live.lock_attempts); }},
    Metric{"lockkeeper_lock_timeout_retries", "", "retries", "always",
           "Attempts of the last run that gave way to another session's lock and were repeated.",
           [](const Report& report) { return number(report.lock_timeout_retries); },
           [](const Live& live, const Moment&) { return number(live.lock_timeout_retries); }},
    Metric{"lockkeeper_blockers_seen", "", "sessions", "always",
           "Different sessions that statements of the last run waited for.",
           [](const Report& report) { return number(report.blockers_seen); },
           [](const Live& live, const Moment&) { return number(live.blockers_seen); }},
    Metric{"lockkeeper_queue_peak_sessions", "", "sessions", "always",
           "Most sessions that were seen waiting behind the last run at once.",
           [](const Report& report) { return number(report.queue_peak); },
           [](const Live& live, const Moment&) { return number(live.queue_peak); }},
    Metric{"lockkeeper_queue_longest_seconds", "", "seconds", "always",
           "Longest time that other sessions waited behind the last run without a break.",
           [](const Report& report) { return value(report_seconds(report.queue_longest)); },
           [](const Live& live, const Moment&) { return value(report_seconds(live.queue_longest)); }},
    Metric{"lockkeeper_invalid_indexes_repaired", "", "indexes", "always",
           "INVALID indexes of cut builds that the last run dropped.",
           [](const Report& report) { return number(report.invalid_indexes_repaired); }},
    Metric{"lockkeeper_migrations_applied", "", "migrations", "always",
           "Migrations that the last run applied (down: rolled back).",
           [](const Report& report) { return number(report.applied.size()); },
           [](const Live& live, const Moment&) { return number(live.applied); }},
    Metric{"lockkeeper_migrations_pending", "", "migrations", "known", "Migrations still pending after the last run.",
           [](const Report& report) { return count(report.pending); },
           [](const Live& live, const Moment&) { return count(live.pending); }},
    Metric{"lockkeeper_migrations_known", "", "migrations", "known", "Migrations that the files of the last run hold.",
           [](const Report& report) { return count(report.known); }},
    Metric{"lockkeeper_migrations_half_done", "", "migrations", "known",
           "Migrations without a transaction that stopped on the way.",
           [](const Report& report) { return count(report.half_done); }},
    Metric{"lockkeeper_schema_version_info", "version", "1", "known and not empty",
           "Newest applied version of the database; the label holds it because a double cannot.", schema_version},
    Metric{"lockkeeper_schema_ahead", "", "0 or 1", "known",
           "Whether the database has versions that are newer than every file.",
           [](const Report& report) { return count(report.ahead); }},
    Metric{"lockkeeper_checksum_mismatches", "", "migrations", "known",
           "Applied migrations whose file was changed afterwards.",
           [](const Report& report) { return count(report.checksum_mismatches); }},
    Metric{"lockkeeper_touched_table_rows", "", "rows", "always",
           "Rows of the tables that the last run's transactions kept others from writing to, as the planner estimates.",
           [](const Report& report) { return number(report.touched.rows); }},
    Metric{"lockkeeper_touched_table_bytes", "", "bytes", "always",
           "Size of those tables, without indexes, as the planner knows it.",
           [](const Report& report) { return number(report.touched.bytes); }},
    Metric{"lockkeeper_migration_duration_seconds", "version", "seconds", "newest 20 of this run",
           "How long each migration of the last run took; one 0 without a version when there was none.",
           migration_durations},
};

void add(prometheus::Registry& registry, const Family& metric, const MetricLabels& labels) {
  auto& family =
      prometheus::BuildGauge().Name(std::string(metric.name)).Help(std::string(metric.help)).Register(registry);
  for (const Sample& sample : metric.samples) {
    prometheus::Labels all;
    for (const auto& [name, value_of_label] : labels) {
      if (!value_of_label.empty()) {
        all.emplace(name, value_of_label);
      }
    }
    if (!sample.label_value.empty()) {
      all.emplace(metric.label, sample.label_value);
    }
    family.Add(all).Set(sample.value);
  }
}

template <typename SamplesOf>
std::vector<Family> families_of(const SamplesOf& samples_of) {
  std::vector<Family> all;
  for (const Metric& metric : k_metrics) {
    Samples samples = samples_of(metric);
    if (!samples.empty()) {
      all.push_back({.name = metric.name, .label = metric.label, .help = metric.help, .samples = std::move(samples)});
    }
  }
  return all;
}

/// Removes the temporary file unless it has been renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& target) : m_path(target + ".XXXXXX") {
    m_fd = ::mkostemp(m_path.data(), O_CLOEXEC);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (m_fd >= 0) {
      static_cast<void>(::close(m_fd));
      static_cast<void>(::unlink(m_path.c_str()));
    }
  }

  [[nodiscard]] bool is_open() const { return m_fd >= 0; }

  /// False: errno says why.
  [[nodiscard]] bool write(std::string_view text) const { return write_all(m_fd, text); }

  /// The exporter runs as another user, so the file must be readable. False: errno says why.
  bool replace(const std::string& target) {
    if (::fchmod(m_fd, 0644) != 0 || ::fsync(m_fd) != 0 || ::rename(m_path.c_str(), target.c_str()) != 0) {
      return false;
    }
    static_cast<void>(::close(m_fd));
    m_fd = -1;
    return true;
  }

 private:
  std::string m_path;
  int m_fd = -1;
};

/// Where a symbolic link leads; \p path itself when there is nothing yet.
std::string resolved(const std::string& path) {
  struct Free {
    void operator()(char* text) const { std::free(text); }  // realpath() allocates with malloc
  };
  const std::unique_ptr<char, Free> real(::realpath(path.c_str(), nullptr));
  return real ? std::string(real.get()) : path;
}

std::string not_written(const std::string& path, const std::string& why) {
  return fmt::format("metrics file {} not written: {}", path, why);
}

}  // namespace

std::span<const Metric> metrics() {
  return k_metrics;
}

std::string metrics_table() {
  std::string table = "| metric | unit | sent | meaning |\n|---|---|---|---|\n";
  for (const Metric& metric : k_metrics) {
    const std::string label = metric.label.empty() ? "" : fmt::format("{{{}}}", metric.label);
    table += fmt::format("| `{}{}` | {} | {}{} | {} |\n", metric.name, label, metric.unit, metric.when,
                         metric.live == nullptr ? "" : ", interim", metric.help);
  }
  return table;
}

std::vector<Family> families(const Report& report) {
  return families_of([&](const Metric& metric) { return metric.samples(report); });
}

std::vector<Family> families(const Live& live, const Moment& now) {
  return families_of([&](const Metric& metric) { return metric.live == nullptr ? Samples{} : metric.live(live, now); });
}

std::string serialize(const std::vector<Family>& families, const MetricLabels& labels) {
  prometheus::Registry registry;
  for (const Family& family : families) {
    add(registry, family, labels);
  }
  auto collected = registry.Collect();
  for (auto& family : collected) {
    // The registry keeps samples in a hash map; the same report shall give the same bytes.
    std::sort(family.metric.begin(), family.metric.end(),
              [](const auto& a, const auto& b) { return a.label < b.label; });
  }
  return prometheus::TextSerializer().Serialize(collected);
}

std::string serialize(const Report& report, const MetricLabels& labels) {
  return serialize(families(report), labels);
}

std::optional<std::string> write_metrics_file(const std::string& path, const std::string& text) {
  const std::string target = resolved(path);
  struct stat status{};
  if (::stat(target.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return not_written(path, "it is there already and is not a regular file");
  }
  TemporaryFile file(target);
  if (!file.is_open() || !file.write(text) || !file.replace(target)) {
    return not_written(path, errno_text(errno));
  }
  return std::nullopt;
}

}  // namespace lockkeeper::observe
