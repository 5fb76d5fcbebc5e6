/// \file
/// What `up` does with a database, without the binary around it: lock, plan, apply, unlock; and again on a new session
/// when the connection was lost.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/apply.hpp"
#include "core/plan.hpp"
#include "util/error.hpp"

namespace lockkeeper::test {

inline void deploy(core::Run& run, std::span<core::Migration> files, const core::Policy& policy = {}) {
  const core::History history = core::acquire_lock(run);
  core::Plan plan = core::make_plan(files, history, policy);
  core::select_phase(plan, policy.phase);
  core::check_resume(plan);
  if (const core::Finding* finding = plan.first_error()) {
    throw util::Error(finding->info);
  }
  if (!plan.steps.empty()) {
    run.database.prepare_history();
    core::apply(run, plan.steps);
  }
  run.database.unlock();
}

inline std::vector<std::string> versions_of(const core::Report& report) {
  std::vector<std::string> versions;
  for (const core::AppliedStep& step : report.applied) {
    versions.push_back(step.version);
  }
  return versions;
}

}  // namespace lockkeeper::test
