#include "observe/trace.hpp"

#include <set>

#include <doctest/doctest.h>

#include "unit/observe/support.hpp"

namespace lockkeeper::observe {

namespace {

using namespace std::chrono_literals;

const TraceContext k_context{.trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
                             .parent_id = "00f067aa0ba902b7",
                             .sampled = true,
                             .state = "vendor=1"};
const std::string k_root = "b7ad6b7169203331";

const Span* find(const std::vector<Span>& spans, const std::string& name) {
  for (const Span& span : spans) {
    if (span.name == name) {
      return &span;
    }
  }
  return nullptr;
}

template <typename T>
std::optional<T> attribute(const Span& span, const std::string& name) {
  for (const auto& [key, value] : span.attributes) {
    if (key == name && std::holds_alternative<T>(value)) {
      return std::get<T>(value);
    }
  }
  return std::nullopt;
}

/// test::applied_report() with times: connect 20 ms, plan 5, lock 2, plan 4, apply 40.
core::Report timed_report() {
  core::Report report = test::applied_report();
  util::WallTime time = report.started;
  for (core::StageTime& stage : report.stages) {
    stage.began = time;
    time += std::chrono::duration_cast<util::WallTime::duration>(stage.duration);
  }
  report.applied[0].began = report.stages.back().began + 1ms;
  return report;
}

}  // namespace

TEST_CASE("a run is a root span, a span for each stage, and one for each migration under apply") {
  const core::Report report = timed_report();
  const std::vector<Span> all = spans(report, k_context, k_root);
  REQUIRE(all.size() == 1 + 5 + 1);
  const Span& root = all[0];
  CHECK(root.name == "lockkeeper up");
  CHECK(root.span_id == k_root);
  CHECK(root.parent == "00f067aa0ba902b7");
  CHECK(root.start == report.started);
  CHECK(root.end - root.start == 80ms);
  CHECK_FALSE(root.error);
  CHECK(attribute<std::string>(root, "db.system.name") == "postgresql");
  CHECK(attribute<std::string>(root, "db.namespace") == "app");
  CHECK(attribute<std::string>(root, "deployment.environment.name") == "prod");
  CHECK(attribute<std::int64_t>(root, "lockkeeper.exit_code") == 0);
  CHECK(attribute<std::int64_t>(root, "lockkeeper.migrations.applied") == 1);
  const Span* apply = find(all, "apply");
  const Span* migration = find(all, "up 20250520000000_calendly_integration");
  REQUIRE(apply != nullptr);
  REQUIRE(migration != nullptr);
  CHECK(apply->parent == k_root);
  CHECK(migration->parent == apply->span_id);
  CHECK(attribute<std::string>(*migration, "lockkeeper.migration.version") == "20250520000000");
  std::set<std::string> ids;
  for (const Span& span : all) {
    CHECK(span.trace_id == k_context.trace_id);
    CHECK(span.trace_state == "vendor=1");
    CHECK(span.start <= span.end);
    ids.insert(span.span_id);
  }
  CHECK(ids.size() == all.size());
}

TEST_CASE("what failed is an error in the trace: the run and its migration") {
  core::Report report = test::failed_report();
  report.failed = core::AppliedStep{.version = "42",
                                    .name = "add_index",
                                    .direction = "up",
                                    .statements = 1,
                                    .duration = 3ms,
                                    .began = report.started};
  const std::vector<Span> all = spans(report, k_context, k_root);
  const Span* migration = find(all, "up 42_add_index");
  REQUIRE(migration != nullptr);
  CHECK(migration->error);
  CHECK(migration->parent == k_root);  // no stage is known to have been under way
  CHECK(attribute<std::string>(*migration, "error.type") == "42703");
  CHECK(all[0].error);
  CHECK(all[0].error_message == "column \"bogus\" does not exist");
  CHECK(attribute<std::string>(all[0], "error.type") == "sql");
}

TEST_CASE("an answer that is no is no error") {
  core::Report report = test::applied_report();
  report.outcome = util::Outcome::pending;
  CHECK_FALSE(spans(report, k_context, k_root)[0].error);
}

TEST_CASE("a migration of which nobody knows when it ran has no span") {
  const core::Report report = test::applied_report();  // its COMMIT was not answered
  CHECK(find(spans(report, k_context, k_root), "up 20250520000000_calendly_integration") == nullptr);
}

}  // namespace lockkeeper::observe
