#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "files/checksum.hpp"
#include "observe/terminal.hpp"
#include "util/text.hpp"

namespace lockkeeper::app {

namespace {

using nlohmann::ordered_json;
using observe::Colour;
using util::Outcome;

/// A statement in one line.
std::string one_line(std::string_view sql, std::size_t width) {
  std::string line;
  for (const char c : sql) {
    const bool space = c == ' ' || c == '\n' || c == '\r' || c == '\t';
    if (!space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  return util::shorten(line, width);
}

std::string mode(const core::Migration& migration) {
  return migration.transactional ? "one transaction" : "without a transaction";
}

ordered_json to_json(const core::Plan& plan) {
  ordered_json steps = ordered_json::array();
  for (const core::Step& step : plan.steps) {
    const core::Migration& m = *step.migration;
    ordered_json statements = ordered_json::array();
    for (std::size_t i = 0; i < m.up.statements.size(); ++i) {
      const core::Statement& s = m.up.statements[i];
      statements.push_back({{"line", s.line},
                            {"kind", s.kind},
                            {"done", step.resume != nullptr && i < step.resume->statements_done},
                            {"sql", m.up.statement_text(s)}});
    }
    steps.push_back({{"version", m.version.str()},
                     {"name", m.name},
                     {"file", m.up.path},
                     {"phase", m.phase == core::Phase::pre ? "pre" : "post"},
                     {"transactional", m.transactional},
                     {"expectations", m.expect.size()},
                     {"statements", std::move(statements)}});
  }
  ordered_json findings = ordered_json::array();
  for (const core::Finding& finding : plan.findings) {
    findings.push_back({{"error", finding.is_error},
                        {"exit_code", util::exit_code(finding.info.outcome).code},
                        {"version", finding.version.str()},
                        {"message", finding.info.message},
                        {"hint", finding.info.hint}});
  }
  return {{"known", plan.known}, {"applied", plan.applied},     {"version", plan.newest.str()},
          {"ahead", plan.ahead}, {"pending", std::move(steps)}, {"findings", std::move(findings)}};
}

std::string to_markdown(const core::Plan& plan) {
  if (plan.steps.empty()) {
    return "No pending migrations.\n";
  }
  std::string text = fmt::format("### {} pending\n", observe::counted(plan.steps.size(), "migration"));
  for (const core::Step& step : plan.steps) {
    const core::Migration& m = *step.migration;
    text +=
        fmt::format("\n**{}** ({}){}\n\n```sql\n", m.id(), mode(m), m.description.empty() ? "" : " — " + m.description);
    for (const core::Statement& statement : m.up.statements) {
      text += fmt::format("{};\n", m.up.statement_text(statement));
    }
    text += "```\n";
  }
  return text;
}

}  // namespace

std::string render_plan(const core::Plan& plan, bool colour) {
  std::string text;
  for (const core::Step& step : plan.steps) {
    const core::Migration& m = *step.migration;
    text += fmt::format(
        "{}  {}", observe::paint(m.id(), Colour::bold, colour),
        observe::paint(fmt::format("{}, {}", observe::counted(m.up.statements.size(), "statement"), mode(m)),
                       Colour::dim, colour));
    if (!m.expect.empty()) {
      text +=
          observe::paint(fmt::format(", {}", observe::counted(m.expect.size(), "expectation")), Colour::dim, colour);
    }
    text += '\n';
    if (!m.description.empty()) {
      text += "  " + observe::printable(m.description) + "\n";
    }
    for (std::size_t i = 0; i < m.up.statements.size(); ++i) {
      const core::Statement& s = m.up.statements[i];
      const bool done = step.resume != nullptr && i < step.resume->statements_done;
      text += fmt::format("  {:>4}  {}{}\n", s.line, done ? "(done) " : "",
                          observe::printable(one_line(m.up.statement_text(s), 110)));
    }
  }
  return text;
}

Outcome plan(Context& context) {
  std::vector<core::Migration> files = scan_files(context);
  parse_all(files);
  Session session(context, Session::Use::read, files::history_checksum(files));
  const core::Plan plan = plan_run(context, files, session.snapshot().history);
  switch (context.settings.format) {
    case config::OutputFormat::json:
      print(to_json(plan).dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n");
      break;
    case config::OutputFormat::markdown: print(to_markdown(plan)); break;
    case config::OutputFormat::table:
      print(plan.steps.empty() ? "nothing to do: no pending migrations\n" : render_plan(plan, context.stdout_colour));
      break;
  }
  throw_findings(context, plan);
  return Outcome::ok;
}

}  // namespace lockkeeper::app
