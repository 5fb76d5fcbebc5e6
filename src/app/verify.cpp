#include "core/verify.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "observe/terminal.hpp"

namespace lockkeeper::app {

namespace {

using core::ExpectationResult;
using nlohmann::ordered_json;
using observe::Colour;
using util::ErrorInfo;
using util::Outcome;

/// Looks at everything in force; the results know which migration states them.
std::vector<ExpectationResult> check_all(Session& session, const std::vector<core::InForce>& in_force) {
  std::vector<core::Expectation> expectations;
  expectations.reserve(in_force.size());
  for (const core::InForce& one : in_force) {
    expectations.push_back(one.expectation);
  }
  std::vector<ExpectationResult> results = session.database().check(expectations);
  for (std::size_t i = 0; i < results.size(); ++i) {
    results[i].version = in_force[i].version.str();
  }
  return results;
}

std::string render(const std::vector<ExpectationResult>& results, bool colour) {
  std::vector<observe::Row> table = {{"", "WHAT", "EXPECTED", "FOUND", "STATED BY"}};
  for (const ExpectationResult& result : results) {
    table.push_back({{result.holds ? "✓" : "✗", result.holds ? Colour::green : Colour::red},
                     observe::printable(result.expectation.subject()),
                     observe::printable(result.expected),
                     {observe::printable(result.found), result.holds ? Colour::none : Colour::red},
                     result.version});
  }
  return observe::render_table(table, {.colour = colour, .align = {}, .indent = {}});
}

ordered_json to_json(const std::vector<ErrorInfo>& changed, const std::vector<ExpectationResult>& results) {
  ordered_json files = ordered_json::array();
  for (const ErrorInfo& info : changed) {
    files.push_back({{"file", info.where ? info.where->file : ""}, {"message", info.message}});
  }
  ordered_json list = ordered_json::array();
  for (const ExpectationResult& result : results) {
    list.push_back({{"what", result.expectation.subject()},
                    {"holds", result.holds},
                    {"expected", result.expected},
                    {"found", result.found},
                    {"stated_by", result.version}});
  }
  return {{"changed_files", std::move(files)}, {"expectations", std::move(list)}};
}

}  // namespace

Outcome verify(Context& context) {
  std::vector<core::Migration> files = scan_files(context);
  parse_all(files);
  Session session(context, Session::Use::read);
  const StageTimer timer(context, "verify");
  const core::History& history = session.snapshot().history;
  const core::Plan plan = core::make_plan(files, history, context.settings.policy);
  context.report.version_to = plan.newest.str();
  context.report.checksum_mismatches = plan.checksum_mismatches;

  std::vector<ErrorInfo> errors;
  for (const core::Finding& finding : plan.findings) {
    if (finding.info.outcome == Outcome::checksum) {
      errors.push_back(finding.info);
    }
  }
  const std::vector<ExpectationResult> results = check_all(session, core::expectations_in_force(files, history));
  std::vector<ExpectationResult> broken;
  std::copy_if(results.begin(), results.end(), std::back_inserter(broken),
               [](const ExpectationResult& result) { return !result.holds; });

  if (context.settings.format == config::OutputFormat::json) {
    print(to_json(errors, results).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
  } else {
    print(results.empty() ? "no expectations are in force\n" : render(results, context.stdout_colour));
  }
  if (!broken.empty()) {
    errors.push_back(core::describe_broken(
        broken, "Somebody changed the schema by hand, or a migration lacks an expectation that ends this one."));
  }
  if (!errors.empty()) {
    throw_all(errors);
  }
  return Outcome::ok;
}

}  // namespace lockkeeper::app
