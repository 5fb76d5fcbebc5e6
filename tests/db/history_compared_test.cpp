// The comparison that the server makes (pg::rows_query_unless) says "the same" exactly when the plan that is made of
// all rows has nothing to do and nothing to say.
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "core/plan.hpp"
#include "pg/history.hpp"
#include "support/errors.hpp"
#include "support/pg_session.hpp"

using namespace lockkeeper;
using core::History;
using core::Migration;
using test::PgSession;
using test::sql_migration;
using test::TempDatabase;

namespace {

const pg::HistoryTable k_table;

std::vector<Migration> make_files() {
  return {sql_migration("1", "SELECT 1;"), sql_migration("007", "SELECT 7;"), sql_migration("10", "SELECT 10;")};
}

History read(PgSession& session, const std::string& rows_query) {
  pg::Batch batch;
  const std::size_t layout = batch.add(layout_query(k_table));
  batch.sync();
  const std::size_t rows = batch.add(rows_query);
  const auto results = session.connection().run(std::move(batch));
  return read_history(k_table, "postgres", results[layout], results[rows]);
}

/// A row as it is added: its version, direction and outcome, with the checksum of the newest row of \p checksum_of.
std::string row(const std::string& version, const std::string& direction, const std::string& outcome,
                const std::string& checksum_of) {
  return "INSERT INTO lockkeeper.history (version, name, direction, checksum, outcome, runner) SELECT '" + version +
         "', name, '" + direction + "', checksum, '" + outcome + "', 'test' FROM lockkeeper.history WHERE version = '" +
         checksum_of + "' ORDER BY id DESC LIMIT 1;";
}

struct Case {
  std::string name;
  bool same;
  std::string change;
};

std::vector<Case> cases() {
  const std::string rolled_back = row("007", "down", "applied", "007");
  return {
      {"as applied", true, ""},
      {"a failed attempt besides", true, row("007", "up", "failed", "007")},
      {"rolled back and applied again", true, rolled_back + row("007", "up", "applied", "007")},
      {"baseline", true, "UPDATE lockkeeper.history SET direction = 'baseline'"},
      {"another checksum, accepted", true,
       "UPDATE lockkeeper.history SET checksum = 'old' WHERE version = '10';" + row("10", "repair", "applied", "10") +
           "UPDATE lockkeeper.history SET checksum = (SELECT encode(sha256('SELECT 10;'), 'hex')) WHERE direction "
           "= 'repair'"},
      {"another checksum", false, "UPDATE lockkeeper.history SET checksum = 'old' WHERE version = '10'"},
      {"one is pending", false, "DELETE FROM lockkeeper.history WHERE version = '10'"},
      {"an older one is pending", false, "DELETE FROM lockkeeper.history WHERE version = '1'"},
      {"nothing is applied", false, "DELETE FROM lockkeeper.history"},
      {"one more, newer", false, row("11", "up", "applied", "10")},
      {"one more, without files", false, row("8", "up", "applied", "10")},
      {"half done", false, "UPDATE lockkeeper.history SET outcome = 'started' WHERE version = '10'"},
      {"begun again", false, row("1", "up", "started", "1")},
      {"rolled back", false, rolled_back},
      {"rolled back under another spelling", false, row("7", "down", "applied", "007")},
      {"a roll-back that is half done", false, row("10", "down", "started", "10")}};
}

}  // namespace

TEST_CASE("the server finds the history to be the files' exactly when a plan would have nothing to do") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    TempDatabase database;
    PgSession session(database);
    session.prepare();
    std::vector<Migration> files = make_files();
    for (const Migration& file : files) {
      session.apply(file);
    }
    if (!c.change.empty()) {
      database.admin().run(c.change);
    }
    const History all = read(session, rows_query(k_table));
    const History compared = read(session, rows_query_unless(k_table, files::history_checksum(files)));
    const core::Plan plan = make_plan(files, all, {});
    CHECK(c.same == (plan.steps.empty() && plan.findings.empty() && !plan.ahead));
    CHECK(compared.matches_files == c.same);
    CHECK(compared.exists);
    CHECK(compared.layout == 1);
    CHECK(compared.rows.size() == (c.same ? 0 : all.rows.size()));
    for (std::size_t i = 0; i < compared.rows.size(); ++i) {
      CHECK(compared.rows[i].id == all.rows[i].id);
      CHECK(compared.rows[i].checksum == all.rows[i].checksum);
    }
  }
}

TEST_CASE("a row of a kind that is not known is never taken for the same") {
  TempDatabase database;
  PgSession session(database);
  session.prepare();
  const std::vector<Migration> files = {sql_migration("1", "SELECT 1;")};
  session.apply(files[0]);
  database.admin().run(
      "ALTER TABLE lockkeeper.history DROP CONSTRAINT history_direction_check; UPDATE lockkeeper.history SET direction "
      "= 'sideways'");
  CHECK(test::error_of([&] { read(session, rows_query_unless(k_table, files::history_checksum(files))); }).outcome ==
        util::Outcome::unsupported_server);
}

TEST_CASE("a history that is not there yet is not compared") {
  TempDatabase database;
  PgSession session(database);
  const History history = read(session, rows_query_unless(k_table, files::history_checksum(make_files())));
  CHECK_FALSE(history.exists);
  CHECK_FALSE(history.matches_files);
}
