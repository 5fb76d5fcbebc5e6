#include "pg/script_queries.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "pg/expectations.hpp"

namespace lockkeeper::pg {

namespace {

using core::Attempt;
using core::Direction;
using core::Expectation;
using core::ExpectationResult;
using core::Statement;
using util::Outcome;

std::string milliseconds(util::Duration duration) {
  constexpr util::Duration k_longest{2147483647};  // what PostgreSQL's own time limits can be
  return std::to_string(std::min(duration, k_longest).count()) + "ms";
}

}  // namespace

bool has_copy(const core::Script& script) {
  return std::any_of(script.statements.begin(), script.statements.end(),
                     [](const Statement& s) { return s.copy_data.has_value() || s.kind == "COPY"; });
}

bool sets_itself(const Attempt& attempt, std::string_view setting) {
  const std::string& text = attempt.script().text;
  return std::search(text.begin(), text.end(), setting.begin(), setting.end(),
                     [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; }) != text.end();
}

bool keeps_lock_budget(const Attempt& attempt) {
  return attempt.lock_timeout > util::Duration::zero() && !sets_itself(attempt, "lock_timeout");
}

bool needs_new_budget(const Statement& before, const Statement& statement) {
  const bool of_rows = statement.kind == "INSERT" || statement.kind == "UPDATE" || statement.kind == "DELETE" ||
                       statement.kind == "SELECT" || statement.kind == "COMMENT";
  return !of_rows || before.kind != statement.kind;
}

void add_limits(Batch& batch, const Attempt& attempt, util::Duration lock_timeout, bool for_session) {
  const bool by_statement = !attempt.migration->transactional;
  const std::string scope = for_session ? "false" : "true";
  if (!by_statement || !sets_itself(attempt, "lock_timeout")) {
    batch.add(fmt::format("SELECT pg_catalog.set_config('lock_timeout', $1, {})", scope), {milliseconds(lock_timeout)});
  }
  if (!by_statement || !sets_itself(attempt, "statement_timeout")) {
    batch.add(fmt::format("SELECT pg_catalog.set_config('statement_timeout', $1, {})", scope),
              {milliseconds(attempt.statement_timeout)});
  }
}

void add_remaining_lock_budget(Batch& batch, util::Duration lock_timeout) {
  batch.add(
      "SELECT pg_catalog.set_config('lock_timeout', greatest($1::bigint / 10, 1, $1::bigint - (1000 * "
      "pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - "
      "pg_catalog.transaction_timestamp()))::bigint)::text || 'ms', true)",
      {std::to_string(lock_timeout.count())});
}

Batch::Parameter pending_when(const Attempt& attempt, bool applied) {
  return attempt.pending_after ? Batch::Parameter(std::to_string(*attempt.pending_after + (applied ? 0 : 1)))
                               : std::nullopt;
}

std::string prefix_checksum(const Attempt& attempt, std::size_t done) {
  return done == 0 ? std::string() : attempt.script().statements[done - 1].prefix_checksum;
}

std::string touched_query() {
  return "SELECT coalesce(pg_catalog.sum(greatest(c.reltuples, 0))::bigint, 0), "
         "coalesce(pg_catalog.sum(c.relpages::bigint) * pg_catalog.current_setting('block_size')::bigint, 0)::bigint "
         "FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'm') AND c.oid IN (SELECT l.relation FROM "
         "pg_catalog.pg_locks l WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode IN "
         "('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'))";
}

std::vector<const Expectation*> stated_by(const Attempt& attempt) {
  std::vector<const Expectation*> stated;
  if (attempt.direction == Direction::up) {
    for (const Expectation& expectation : attempt.migration->expect) {
      if (expectation.kind != Expectation::Kind::sql || !expectation.absent) {
        stated.push_back(&expectation);
      }
    }
  }
  return stated;
}

Checks add_checks(Batch& batch, const Attempt& attempt) {
  Checks checks;
  for (const Expectation* expectation : stated_by(attempt)) {
    Check check = make_check(*expectation);
    checks.emplace_back(expectation, batch.add(std::move(check.sql), std::move(check.parameters)));
  }
  return checks;
}

Checks add_asserted_checks(Batch& batch, const Attempt& attempt) {
  Checks checks;
  std::string all_hold;
  for (const Expectation* expectation : stated_by(attempt)) {
    AssertedCheck check = make_asserted_check(*expectation, checks.size());
    checks.emplace_back(expectation, batch.add(std::move(check.check.sql), std::move(check.check.parameters)));
    all_hold += (all_hold.empty() ? "" : " AND ") + check.holds;
  }
  if (!checks.empty()) {
    // The text is made at run time: the planner would evaluate the cast of a constant while it plans.
    batch.add(
        fmt::format("SELECT CASE WHEN {} THEN 0 ELSE ('lockkeeper: an expectation does not hold, backend ' || "
                    "pg_catalog.pg_backend_pid())::integer END",
                    all_hold));
  }
  return checks;
}

std::vector<ExpectationResult> broken_of(const Checks& checks, const Attempt& attempt,
                                         const std::vector<Result>& results) {
  std::vector<ExpectationResult> broken;
  for (const auto& [expectation, index] : checks) {
    ExpectationResult judged = judge(*expectation, results[index]);
    if (!judged.holds) {
      judged.version = attempt.migration->version.str();
      broken.push_back(std::move(judged));
    }
  }
  return broken;
}

bool is_passing(const ServerError& error) {
  return error.sqlstate == k_cancelled || outcome_of(error.sqlstate) == Outcome::lock_timeout;
}

}  // namespace lockkeeper::pg
