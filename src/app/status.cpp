#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "observe/terminal.hpp"

namespace lockkeeper::app {

namespace {

using nlohmann::ordered_json;
using observe::Colour;
using util::Outcome;

std::string state_words(const core::StatusRow& row) {
  std::string words(to_string(row.state));
  if (row.state == core::State::half_done) {
    words += fmt::format(" ({} of {} statements)", row.row->statements_done, row.row->statements_total);
  }
  if (row.changed) {
    words += ", file changed";
  }
  if (row.out_of_order) {
    words += ", out of order";
  }
  if (!row.has_file) {
    words += ", no file";
  }
  return words;
}

Colour state_colour(const core::StatusRow& row) {
  if (row.changed || row.out_of_order || row.state == core::State::half_done) {
    return Colour::red;
  }
  return row.state == core::State::applied ? Colour::green : Colour::yellow;
}

std::string render(const std::vector<core::StatusRow>& rows, bool colour) {
  std::vector<observe::Row> table = {{"VERSION", "NAME", "STATE", "WHEN", "BY"}};
  for (const core::StatusRow& row : rows) {
    table.push_back({row.version.str(),
                     observe::printable(row.name) + (row.phase == core::Phase::post ? " (post)" : ""),
                     {state_words(row), state_colour(row)},
                     row.row != nullptr ? row.row->finished_at : "",
                     row.row != nullptr ? row.row->applied_by : ""});
  }
  return observe::render_table(table, {.colour = colour, .align = {}, .indent = {}});
}

ordered_json to_json(const core::StatusRow& row) {
  ordered_json json = {{"version", row.version.str()},
                       {"name", row.name},
                       {"state", to_string(row.state)},
                       {"phase", row.phase == core::Phase::pre ? "pre" : "post"},
                       {"file", row.has_file},
                       {"changed", row.changed},
                       {"out_of_order", row.out_of_order}};
  if (row.row != nullptr) {
    json["direction"] = to_string(row.row->direction);
    json["statements_done"] = row.row->statements_done;
    json["statements_total"] = row.row->statements_total;
    json["finished_at"] = row.row->finished_at;
    json["applied_by"] = row.row->applied_by;
    json["checksum"] = row.row->checksum;
  }
  return json;
}

}  // namespace

Outcome status(Context& context) {
  std::vector<core::Migration> files = scan_files(context);
  parse_all(files);
  Session session(context, Session::Use::read);
  const std::vector<core::StatusRow> rows = core::make_status(files, session.snapshot().history);
  if (context.settings.format == config::OutputFormat::json) {
    ordered_json list = ordered_json::array();
    for (const core::StatusRow& row : rows) {
      list.push_back(to_json(row));
    }
    print(ordered_json({{"database", session.snapshot().server.database}, {"migrations", std::move(list)}})
              .dump(2, ' ', false, ordered_json::error_handler_t::replace) +
          "\n");
  } else {
    print(render(rows, context.stdout_colour));
  }
  return Outcome::ok;
}

}  // namespace lockkeeper::app
