#include "observe/metrics.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <regex>
#include <set>

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include "observe/termination.hpp"
#include "unit/observe/support.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;

/// The sample lines, without HELP and TYPE.
std::vector<std::string> sample_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (text[begin] != '#') {
      lines.push_back(text.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return lines;
}

/// The value of the only sample of a family without a label; "" when it is left out.
std::string value_of(const std::string& text, const std::string& name) {
  for (const std::string& line : sample_lines(text)) {
    if (line.starts_with(name + " ")) {
      return line.substr(name.size() + 1);
    }
  }
  return {};
}

std::set<std::string> family_names(const std::string& text) {
  std::set<std::string> names;
  for (const std::string& line : sample_lines(text)) {
    names.insert(line.substr(0, line.find_first_of(" {")));
  }
  return names;
}

/// Exit status of a command; 127 when there is no such program.
int run(const std::string& command) {
  const int status = std::system(command.c_str());  // NOLINT(cert-env33-c): fixed commands of this test
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::vector<std::string> files_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  return names;
}

}  // namespace

TEST_CASE("the metrics of a successful run") {
  CHECK(sample_lines(serialize(test::applied_report())) ==
        std::vector<std::string>{
            R"(lockkeeper_build_info{version="0.1.0"} 1)",
            R"(lockkeeper_last_run_timestamp_seconds 1795356000.123)",
            R"(lockkeeper_last_success_timestamp_seconds 1795356000.123)",
            R"(lockkeeper_last_run_success 1)",
            R"(lockkeeper_last_run_exit_code 0)",
            R"(lockkeeper_last_run_duration_seconds 0.08)",
            R"(lockkeeper_run_in_progress 0)",
            R"(lockkeeper_run_started_timestamp_seconds 1795356000.043)",
            R"(lockkeeper_run_heartbeat_timestamp_seconds 1795356000.123)",
            R"(lockkeeper_statement_running_seconds 0)",
            R"(lockkeeper_stage_duration_seconds{stage="apply"} 0.04)",
            R"(lockkeeper_stage_duration_seconds{stage="connect"} 0.02)",
            R"(lockkeeper_stage_duration_seconds{stage="lock"} 0.002)",
            R"(lockkeeper_stage_duration_seconds{stage="plan"} 0.008999999999999999)",
            R"(lockkeeper_lock_wait_seconds 0.0015)",
            R"(lockkeeper_lock_attempts 2)",
            R"(lockkeeper_lock_timeout_retries 3)",
            R"(lockkeeper_blockers_seen 2)",
            R"(lockkeeper_queue_peak_sessions 5)",
            R"(lockkeeper_queue_longest_seconds 1.25)",
            R"(lockkeeper_invalid_indexes_repaired 1)",
            R"(lockkeeper_migrations_applied 1)",
            R"(lockkeeper_migrations_pending 0)",
            R"(lockkeeper_migrations_known 1)",
            R"(lockkeeper_migrations_half_done 0)",
            R"(lockkeeper_schema_version_info{version="20250520000000"} 1)",
            R"(lockkeeper_schema_ahead 0)",
            R"(lockkeeper_checksum_mismatches 0)",
            R"(lockkeeper_touched_table_rows 1000)",
            R"(lockkeeper_touched_table_bytes 81920)",
            R"(lockkeeper_migration_duration_seconds{version="20250520000000"} 0.012346)",
        });
}

TEST_CASE("the metrics of a run that never reached the server hold what is known and nothing else") {
  CHECK(sample_lines(serialize(test::unreachable_report())) ==
        std::vector<std::string>{
            R"(lockkeeper_build_info{version="0.1.0"} 1)",
            R"(lockkeeper_last_run_timestamp_seconds 1795356060.043)",
            R"(lockkeeper_last_run_success 0)",
            R"(lockkeeper_last_run_exit_code 30)",
            R"(lockkeeper_last_run_duration_seconds 60)",
            R"(lockkeeper_run_in_progress 0)",
            R"(lockkeeper_run_started_timestamp_seconds 1795356000.043)",
            R"(lockkeeper_run_heartbeat_timestamp_seconds 1795356060.043)",
            R"(lockkeeper_statement_running_seconds 0)",
            R"(lockkeeper_lock_wait_seconds 0)",
            R"(lockkeeper_lock_attempts 0)",
            R"(lockkeeper_lock_timeout_retries 0)",
            R"(lockkeeper_blockers_seen 0)",
            R"(lockkeeper_queue_peak_sessions 0)",
            R"(lockkeeper_queue_longest_seconds 0)",
            R"(lockkeeper_invalid_indexes_repaired 0)",
            R"(lockkeeper_migrations_applied 0)",
            R"(lockkeeper_touched_table_rows 0)",
            R"(lockkeeper_touched_table_bytes 0)",
            R"(lockkeeper_migration_duration_seconds 0)",
        });
}

TEST_CASE("an interim push says what is known of the run so far, and nothing of its end") {
  Live live;
  live.tool_version = "0.1.0";
  live.database = "app";
  live.started = util::WallTime(1795356000043ms);
  live.applied = 3;
  live.pending = 4;
  live.lock_attempts = 1;
  const util::SteadyTime now{60s};
  live.lock_wait = 500ms;
  live.statement_began = now - 12s;
  const auto lines = [&] {
    return sample_lines(serialize(families(live, {.wall = util::WallTime(1795356060043ms), .steady = now})));
  };
  CHECK(lines() == std::vector<std::string>{
                       R"(lockkeeper_build_info{version="0.1.0"} 1)",
                       R"(lockkeeper_run_in_progress 1)",
                       R"(lockkeeper_run_started_timestamp_seconds 1795356000.043)",
                       R"(lockkeeper_run_heartbeat_timestamp_seconds 1795356060.043)",
                       R"(lockkeeper_statement_running_seconds 12)",
                       R"(lockkeeper_lock_wait_seconds 0.5)",
                       R"(lockkeeper_lock_attempts 1)",
                       R"(lockkeeper_lock_timeout_retries 0)",
                       R"(lockkeeper_blockers_seen 0)",
                       R"(lockkeeper_queue_peak_sessions 0)",
                       R"(lockkeeper_queue_longest_seconds 0)",
                       R"(lockkeeper_migrations_applied 3)",
                       R"(lockkeeper_migrations_pending 4)",
                   });
  live.lock_wait_began = now - 2s;
  live.statement_began.reset();
  live.pending.reset();
  const std::vector<std::string> waiting = lines();
  CHECK(std::find(waiting.begin(), waiting.end(), "lockkeeper_lock_wait_seconds 2.5") != waiting.end());
  CHECK(std::find(waiting.begin(), waiting.end(), "lockkeeper_statement_running_seconds 0") != waiting.end());
  CHECK(
      std::none_of(waiting.begin(), waiting.end(), [](const auto& line) { return line.find("pending") != line.npos; }));
}

TEST_CASE("whatever a run was like, it replaces every family about a run that an older one has sent") {
  const auto names = [](const core::Report& report) { return family_names(serialize(report)); };
  const std::set<std::string> of_database = {"lockkeeper_migrations_pending",
                                             "lockkeeper_migrations_known",
                                             "lockkeeper_migrations_half_done",
                                             "lockkeeper_schema_ahead",
                                             "lockkeeper_checksum_mismatches",
                                             "lockkeeper_schema_version_info",
                                             "lockkeeper_last_success_timestamp_seconds"};
  std::set<std::string> missing;
  const std::set<std::string> sent = names(test::unreachable_report());
  for (const std::string& name : names(test::applied_report())) {
    if (!sent.contains(name) && !of_database.contains(name)) {
      missing.insert(name);
    }
  }
  // Whoever pushes has connected, so that there is always a stage.
  CHECK(missing == std::set<std::string>{"lockkeeper_stage_duration_seconds"});
}

TEST_CASE("of many migrations only the newest twenty have a series of their own") {
  core::Report report = test::applied_report();
  report.applied.clear();
  for (int i = 1; i <= 1000; ++i) {
    report.applied.push_back(
        {.version = std::to_string(i), .name = "", .direction = "up", .statements = 1, .duration = 1ms});
  }
  std::set<std::string> versions;
  for (const Family& family : families(report)) {
    for (const Sample& sample : family.samples) {
      if (family.name == "lockkeeper_migration_duration_seconds") {
        versions.insert(sample.label_value);
      }
    }
  }
  CHECK(versions.size() == k_most_versions);
  CHECK(versions.contains("1000"));
  CHECK_FALSE(versions.contains("980"));
}

TEST_CASE("the time of the last success is sent by a success only") {
  const std::string name = "lockkeeper_last_success_timestamp_seconds";
  for (const util::ExitCode& row : util::exit_codes()) {
    core::Report report = test::applied_report();
    report.outcome = row.outcome;
    const std::string text = serialize(report);
    CAPTURE(row.name);
    CHECK(value_of(text, "lockkeeper_last_run_exit_code") == std::to_string(row.code));
    CHECK(value_of(text, "lockkeeper_last_run_success") == (row.code == 0 ? "1" : "0"));
    CHECK(value_of(text, name).empty() == (row.code != 0));
  }
}

TEST_CASE("a report in which everything is known has every metric of the list, and no other") {
  std::set<std::string> listed;
  for (const Metric& metric : metrics()) {
    listed.insert(std::string(metric.name));
  }
  CHECK(listed.size() == metrics().size());
  CHECK(family_names(serialize(test::applied_report())) == listed);
}

TEST_CASE("the names are the ones that dashboards and alerts rely on") {
  std::vector<std::string> names;
  for (const Metric& metric : metrics()) {
    names.push_back(std::string(metric.name) + (metric.label.empty() ? "" : "{" + std::string(metric.label) + "}"));
  }
  CHECK(names == std::vector<std::string>{
                     "lockkeeper_build_info{version}",
                     "lockkeeper_last_run_timestamp_seconds",
                     "lockkeeper_last_success_timestamp_seconds",
                     "lockkeeper_last_run_success",
                     "lockkeeper_last_run_exit_code",
                     "lockkeeper_last_run_duration_seconds",
                     "lockkeeper_run_in_progress",
                     "lockkeeper_run_started_timestamp_seconds",
                     "lockkeeper_run_heartbeat_timestamp_seconds",
                     "lockkeeper_statement_running_seconds",
                     "lockkeeper_stage_duration_seconds{stage}",
                     "lockkeeper_lock_wait_seconds",
                     "lockkeeper_lock_attempts",
                     "lockkeeper_lock_timeout_retries",
                     "lockkeeper_blockers_seen",
                     "lockkeeper_queue_peak_sessions",
                     "lockkeeper_queue_longest_seconds",
                     "lockkeeper_invalid_indexes_repaired",
                     "lockkeeper_migrations_applied",
                     "lockkeeper_migrations_pending",
                     "lockkeeper_migrations_known",
                     "lockkeeper_migrations_half_done",
                     "lockkeeper_schema_version_info{version}",
                     "lockkeeper_schema_ahead",
                     "lockkeeper_checksum_mismatches",
                     "lockkeeper_touched_table_rows",
                     "lockkeeper_touched_table_bytes",
                     "lockkeeper_migration_duration_seconds{version}",
                 });
}

TEST_CASE("help texts need no escaping, in the text format and in the table") {
  for (const Metric& metric : metrics()) {
    CAPTURE(metric.name);
    CHECK_FALSE(metric.help.empty());
    CHECK(metric.help.find_first_of("\\\n|") == std::string_view::npos);
  }
}

TEST_CASE("every metric is a gauge with a help text, once") {
  const std::string text = serialize(test::applied_report());
  for (const Metric& metric : metrics()) {
    const std::string help = fmt::format("# HELP {} {}\n", metric.name, metric.help);
    const std::string type = fmt::format("# TYPE {} gauge\n", metric.name);
    CHECK(text.find(help) != std::string::npos);
    CHECK(text.find(type) != std::string::npos);
    CHECK(text.find(type) == text.rfind(type));
  }
}

TEST_CASE("the same report gives the same bytes") {
  core::Report report = test::applied_report();
  for (int i = 0; i < 50; ++i) {
    report.applied.push_back(
        {.version = std::to_string(i), .name = "", .direction = "up", .statements = 1, .duration = 1ms});
  }
  CHECK(serialize(report) == serialize(report));
}

TEST_CASE("a version of many digits keeps all of them, because it is a label") {
  core::Report report = test::applied_report();
  report.version_to = "20250520000000123456789";
  CHECK(serialize(report).find("lockkeeper_schema_version_info{version=\"20250520000000123456789\"} 1\n") !=
        std::string::npos);
}

TEST_CASE("a database without migrations has no schema version") {
  core::Report report = test::applied_report();
  report.version_to = "";
  CHECK(serialize(report).find("lockkeeper_schema_version_info") == std::string::npos);
}

TEST_CASE("timestamps survive the serializer to the millisecond") {
  core::Report report = test::applied_report();
  report.duration = {};
  for (long long ms = 1795356000000; ms < 1795356001000; ms += 7) {
    report.started = util::WallTime(std::chrono::milliseconds(ms));
    const std::string text = value_of(serialize(report), "lockkeeper_last_run_timestamp_seconds");
    CHECK(std::llround(std::strtod(text.c_str(), nullptr) * 1000) == ms);
    CHECK(text.size() <= std::string_view("1795356000.123").size());
  }
}

TEST_CASE("the metrics, the termination message and the last log line have the same numbers") {
  const core::Report report = test::applied_report();
  const std::string text = serialize(report);
  const std::string json = termination_message(report);
  CHECK(value_of(text, "lockkeeper_lock_wait_seconds") == "0.0015");
  CHECK(json.find("\"lock_wait_seconds\":0.0015,") != std::string::npos);
  CHECK(value_of(text, "lockkeeper_last_run_duration_seconds") == "0.08");
  CHECK(json.find("\"duration_seconds\":0.08}") != std::string::npos);
}

// promtool is part of the development environment; without it this test fails, it does not skip.
TEST_CASE("promtool accepts the metrics") {
  const test::TemporaryDirectory directory;
  for (const core::Report& report : {test::applied_report(), test::failed_report(), test::unreachable_report()}) {
    REQUIRE(write_metrics_file(directory / "lockkeeper.prom", serialize(report)) == std::nullopt);
    CHECK(run("promtool check metrics < " + directory / "lockkeeper.prom") == 0);
  }
}

TEST_CASE("docs/metrics.md has the table of the list") {
  test::check_generated("metrics.md", metrics_table());
}

TEST_CASE("docs/metrics.md uses no metric that is not in the list") {
  std::set<std::string> listed;
  for (const Metric& metric : metrics()) {
    listed.insert(std::string(metric.name));
  }
  const std::string text = test::read_file(LOCKKEEPER_SOURCE_DIR "/docs/metrics.md");
  const std::regex name("lockkeeper_[a-z_]+");
  for (std::sregex_iterator match(text.begin(), text.end(), name); match != std::sregex_iterator(); ++match) {
    CAPTURE(match->str());
    CHECK(listed.contains(match->str()));
  }
}

TEST_CASE("promtool accepts the queries in docs/metrics.md") {
  const std::string text = test::read_file(LOCKKEEPER_SOURCE_DIR "/docs/metrics.md");
  const std::regex block("```promql\n([^`]*)```");
  std::string rules = "groups:\n- name: docs\n  rules:\n";
  int count = 0;
  for (std::sregex_iterator match(text.begin(), text.end(), block); match != std::sregex_iterator(); ++match) {
    const std::string query = std::regex_replace((*match)[1].str(), std::regex("\n"), "\n      ");
    rules += fmt::format("  - record: docs:query{}\n    expr: |\n      {}\n", ++count, query);
  }
  CHECK(count >= 3);
  const test::TemporaryDirectory directory;
  std::ofstream(directory / "rules.yml") << rules;
  CHECK(run("promtool check rules " + directory / "rules.yml" + " >/dev/null") == 0);
}

TEST_CASE("labels for a metrics file are put on every sample, escaped, empty ones left out") {
  const std::string text =
      serialize(test::applied_report(), {{"namespace", "shop"}, {"database", "a\"b\\c\nd"}, {"environment", ""}});
  const std::string group = R"(database="a\"b\\c\nd",namespace="shop")";
  for (const std::string& line : sample_lines(text)) {
    CAPTURE(line);
    CHECK(line.find("{" + group) != std::string::npos);
    CHECK(line.find("environment") == std::string::npos);
  }
  CHECK(text.find("lockkeeper_stage_duration_seconds{" + group + ",stage=\"apply\"} 0.04\n") != std::string::npos);
  const test::TemporaryDirectory directory;
  REQUIRE(write_metrics_file(directory / "lockkeeper.prom", text) == std::nullopt);
  CHECK(run("promtool check metrics < " + directory / "lockkeeper.prom") == 0);
}

TEST_CASE("the metrics file is replaced in one step and readable by others") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "lockkeeper.prom";
  REQUIRE(write_metrics_file(path, "old\n") == std::nullopt);
  std::ifstream reader(path);  // node_exporter, in the middle of reading
  struct stat before{};
  REQUIRE(::stat(path.c_str(), &before) == 0);
  REQUIRE(write_metrics_file(path, "new\n") == std::nullopt);
  struct stat after{};
  REQUIRE(::stat(path.c_str(), &after) == 0);
  CHECK(before.st_ino != after.st_ino);
  CHECK((after.st_mode & 0777U) == 0644);
  CHECK(test::read_file(path) == "new\n");
  std::string line;
  std::getline(reader, line);
  CHECK(line == "old");
  CHECK(files_in(directory.path()) == std::vector<std::string>{"lockkeeper.prom"});
}

TEST_CASE("a metrics file that cannot be written is a warning and leaves nothing behind") {
  const test::TemporaryDirectory directory;
  CHECK(write_metrics_file(directory / "no/such.prom", "x").value() ==
        "metrics file " + directory / "no/such.prom" + " not written: No such file or directory");
  std::filesystem::create_directory(directory / "directory.prom");
  CHECK(write_metrics_file(directory / "directory.prom", "x").value().ends_with("is not a regular file"));
  CHECK(write_metrics_file("/dev/full", "x").value().ends_with("is not a regular file"));
  CHECK(write_metrics_file("", "x").has_value());
  CHECK(files_in(directory.path()) == std::vector<std::string>{"directory.prom"});
}

TEST_CASE("a full disk leaves the old metrics file as it was and no temporary file") {
  const test::TemporaryDirectory directory;
  const std::string path = directory / "lockkeeper.prom";
  REQUIRE(write_metrics_file(path, "old\n") == std::nullopt);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 4096, .rlim_max = before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::optional<std::string> warning = write_metrics_file(path, std::string(100'000, 'x'));
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  static_cast<void>(std::signal(SIGXFSZ, handler));
  CHECK(warning.value() == "metrics file " + path + " not written: File too large");
  CHECK(test::read_file(path) == "old\n");
  CHECK(files_in(directory.path()) == std::vector<std::string>{"lockkeeper.prom"});
}

TEST_CASE("a symbolic link to a metrics file stays a link") {
  const test::TemporaryDirectory directory;
  std::ofstream(directory / "real.prom") << "old\n";
  std::filesystem::create_symlink("real.prom", directory / "link.prom");
  REQUIRE(write_metrics_file(directory / "link.prom", "new\n") == std::nullopt);
  CHECK(std::filesystem::is_symlink(directory / "link.prom"));
  CHECK(test::read_file(directory / "real.prom") == "new\n");
}

}  // namespace lockkeeper::observe
