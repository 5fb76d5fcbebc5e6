/// The commands that change no database: doctor, grants, new, explain.
#include <charconv>

#include <fmt/format.h>

#include "app/commands.hpp"
#include "files/scaffold.hpp"
#include "observe/terminal.hpp"
#include "pg/doctor.hpp"
#include "pg/grants.hpp"

namespace lockkeeper::app {

namespace {

using observe::Colour;
using util::Error;
using util::ExitCode;
using util::Outcome;
using Verdict = pg::Examination::Verdict;

pg::HistoryTable history_table(const config::Settings& settings) {
  return {.schema = settings.history_schema, .table = settings.history_table, .readers = settings.history_readers};
}

observe::Cell mark(Verdict verdict) {
  switch (verdict) {
    case Verdict::good: return {"✓", Colour::green};
    case Verdict::warning: return {"!", Colour::yellow};
    case Verdict::bad: return {"✗", Colour::red};
  }
  return {};
}

std::string describe(const ExitCode& row) {
  return fmt::format("{} {} ({})\n\n{}\n\nWhat to do: {}\n", row.code, row.name, to_string(row.retry), row.meaning,
                     row.next_step);
}

std::string list_codes(bool colour) {
  std::vector<observe::Row> table = {{"CODE", "NAME", "CLASS", "MEANING"}};
  for (const ExitCode& row : util::exit_codes()) {
    table.push_back(
        {std::to_string(row.code), std::string(row.name), std::string(to_string(row.retry)), std::string(row.meaning)});
  }
  return observe::render_table(table, {.colour = colour, .align = {observe::Align::right}, .indent = {}});
}

}  // namespace

Outcome doctor(Context& context) {
  std::vector<observe::Row> sources = {{"SETTING", "VALUE", "FROM"}};
  for (const config::ValueOrigin& origin : context.settings.origins) {
    sources.push_back({origin.option, observe::printable(origin.value), origin.source});
  }
  if (context.settings.database) {
    sources.push_back({"database", "(not shown)", context.settings.database->description});
  }
  print(observe::render_table(sources, {.colour = context.stdout_colour, .align = {}, .indent = {}}) + "\n");
  const std::vector<core::Migration> files = scan_files(context);
  std::optional<Session> session;
  session.emplace(context, Session::Use::read);
  const auto found = pg::examine(session->connection(), history_table(context.settings), session->snapshot(),
                                 context.settings.session_pooler);
  std::vector<observe::Row> table = {{"", "CHECK", "FOUND", "HINT"}};
  table.push_back(
      {mark(Verdict::good), "migrations", fmt::format("{} in {}", files.size(), context.settings.migrations), ""});
  const pg::Examination* worst = nullptr;
  for (const pg::Examination& one : found) {
    table.push_back({mark(one.verdict), one.subject, observe::printable(one.found), one.hint});
    worst = worst == nullptr && one.verdict == Verdict::bad ? &one : worst;
  }
  print(observe::render_table(table, {.colour = context.stdout_colour, .align = {}, .indent = {}}));
  if (worst != nullptr) {
    throw Error(worst->outcome, fmt::format("`up` would not work here: {}: {}", worst->subject, worst->found),
                worst->hint);
  }
  return Outcome::ok;
}

Outcome grants(Context& context) {
  print(pg::grant_script(history_table(context.settings), context.settings.role));
  return Outcome::ok;
}

Outcome new_migration(Context& context) {
  const std::string path =
      files::create_migration(context.settings.migrations, context.settings.arguments.at(0), context.clock.wall());
  print(path + "\n");
  return Outcome::ok;
}

Outcome explain(Context& context) {
  if (context.settings.arguments.empty()) {
    print(list_codes(context.stdout_colour));
    return Outcome::ok;
  }
  const std::string& argument = context.settings.arguments.front();
  int code = -1;
  const auto [end, error] = std::from_chars(argument.data(), argument.data() + argument.size(), code);
  const ExitCode* row = error == std::errc() && *end == '\0' ? util::find_exit_code(code) : nullptr;
  if (row == nullptr) {
    throw Error(Outcome::usage, "that is no exit code of Lockkeeper",
                "`lockkeeper explain` without a code lists them all.");
  }
  print(describe(*row));
  return Outcome::ok;
}

}  // namespace lockkeeper::app
