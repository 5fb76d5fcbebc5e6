#include "pg/loss_guard.hpp"

#include <fmt/format.h>

namespace lockkeeper::pg {

namespace {

using core::DataLoss;
using core::Loss;
using util::Error;
using util::Outcome;

class LossGuard {
 public:
  LossGuard(Connection& connection, const Diagnosis& diagnosis) : m_connection(connection), m_diagnosis(diagnosis) {}

  std::vector<Loss> count(const core::Attempt& attempt) {
    // Rows that a policy hides would be lost too: fail rather than not see them.
    ask("SET LOCAL row_security = off", {}, "cannot begin the transaction");
    const auto& statements = attempt.script().statements;
    for (std::size_t i = attempt.first_statement; i < statements.size(); ++i) {
      for (const DataLoss& loss : statements[i].losses) {
        look_at(loss, statements[i]);
      }
    }
    for (const core::LossCount& guard : attempt.migration->data_loss) {
      add(guard.label, number(guard.sql));
    }
    ask("SET LOCAL row_security = on", {}, "cannot go on with the transaction");  // the script's own statements
    return std::move(m_losses);
  }

 private:
  void look_at(const DataLoss& loss, const core::Statement& statement) {
    if (loss.what == DataLoss::What::unknown) {
      m_losses.push_back({.what = fmt::format("line {}: {}", statement.line, loss.summary), .count = std::nullopt});
      return;
    }
    if (!exists(loss)) {
      return;
    }
    const std::string table = loss.table.quoted();
    const bool column = loss.what == DataLoss::What::column;
    // SHARE keeps writers out until the roll-back is done, so that the count stays true.
    ask(fmt::format("LOCK TABLE {} IN SHARE MODE", table), {}, "cannot lock the table to count what would be lost");
    const std::string what = column ? fmt::format("{}.{} (values that are not null)", loss.table.str(), loss.column)
                                    : fmt::format("{} (rows)", loss.table.str());
    add(what, number(fmt::format("SELECT pg_catalog.count({}) FROM {}", column ? quote_identifier(loss.column) : "*",
                                 table)));
  }

  void add(const std::string& what, std::int64_t count) {
    if (count > 0) {
      m_losses.push_back({.what = what, .count = count});
    }
  }

  bool exists(const DataLoss& loss) {
    return ask("SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1) AND "
               "c.relkind "
               "IN ('r', 'p') AND ($2 = '' OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid "
               "AND "
               "a.attname = $2 AND NOT a.attisdropped)))",
               {loss.table.quoted(), loss.column}, "cannot look for what would be lost")
        .boolean(0, 0);
  }

  std::int64_t number(const std::string& sql) {
    const Result result = ask(sql, {}, "cannot count what would be lost");
    if (result.rows() != 1) {
      throw Error(Outcome::migration_files, "a data_loss query must return one row with one number");
    }
    return result.number(0, 0);
  }

  Result ask(std::string sql, std::vector<Batch::Parameter> parameters, const char* what) {
    Batch batch;
    batch.add(std::move(sql), std::move(parameters));
    std::vector<Result> results = m_connection.run(std::move(batch));
    m_diagnosis.throw_if_failed(results[0], what);
    return std::move(results[0]);
  }

  Connection& m_connection;
  const Diagnosis& m_diagnosis;
  std::vector<Loss> m_losses;
};

}  // namespace

std::vector<Loss> count_losses(Connection& connection, const Diagnosis& diagnosis, const core::Attempt& attempt) {
  return LossGuard(connection, diagnosis).count(attempt);
}

}  // namespace lockkeeper::pg
