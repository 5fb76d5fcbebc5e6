/// \file
/// core::Database in memory, with a server that sessions come and go on, and one fault at a place of choice.
///
/// tests/db/contract_test.cpp runs the same cases on it and on pg::Database. Deterministic: no time, no threads.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "core/database.hpp"
#include "util/error.hpp"

namespace lockkeeper::test {

/// Where in a call the fault strikes. `between`: after the statement, before its progress is recorded, where that is
/// not one transaction; everywhere else it is the same as `before`.
enum class Moment { before, between, after };

struct Fault {
  std::size_t call = 0;  ///< the n-th call of all sessions, from 1; 0 = none
  Moment moment = Moment::before;
  /// connection_lost ends the session. Anything else is a stop request: the session lives, the failure can be recorded,
  /// and a commit that was under way is still told to the caller (the next call throws).
  util::Outcome outcome = util::Outcome::connection_lost;
};

struct FakeRow : core::HistoryRow {
  std::string error;
};

class FakeDatabase;

/// What outlives a session.
struct FakeServer {
  // the data
  std::map<std::string, int> effects;  ///< statement text -> how often it took effect
  bool history_exists = false;
  std::vector<FakeRow> rows;  ///< failed ones too
  const FakeDatabase* lock_owner = nullptr;

  // what a test sets
  std::optional<core::LockHolder> other_holder;  ///< a runner elsewhere that has the lock
  struct Refusal {
    core::SqlFailure failure;
    int times = 1 << 30;
  };
  std::map<std::string, Refusal> refusals;  ///< statement text -> how it fails, and how often
  std::vector<core::Loss> losses;           ///< what a guarded roll-back finds
  Fault fault;

  // what a test reads
  std::vector<core::Attempt> announced;
  bool settled = true;  ///< the last commit is on disk
  std::size_t calls = 0;
  bool fault_struck = false;
  int tries_at_lock = 0;
  std::vector<core::Attempt> attempts;  ///< of apply_transaction

  [[nodiscard]] int done(const std::string& statement) const {
    const auto found = effects.find(statement);
    return found == effects.end() ? 0 : found->second;
  }
  [[nodiscard]] std::vector<const FakeRow*> rows_of(const core::Version& version) const {
    std::vector<const FakeRow*> found;
    for (const FakeRow& row : rows) {
      if (row.version == version) {
        found.push_back(&row);
      }
    }
    return found;
  }
  [[nodiscard]] core::History history() const {
    core::History history{.exists = history_exists, .layout = history_exists ? 1 : 0, .rows = {}};
    for (const FakeRow& row : rows) {
      if (row.outcome != core::AttemptOutcome::failed) {
        history.rows.push_back(row);
      }
    }
    return history;
  }
};

/// One session. An expectation holds when it is `sql` and says "SELECT true".
class FakeDatabase final : public core::Database {
 public:
  explicit FakeDatabase(FakeServer& server) : m_server(server) {}
  FakeDatabase(const FakeDatabase&) = delete;
  FakeDatabase& operator=(const FakeDatabase&) = delete;
  ~FakeDatabase() override { free_lock(); }

  core::Snapshot read() override {
    return call([&] {
      return core::Snapshot{
          .server = {.database = "fake", .user = "tester", .version = "15.0", .version_number = 150000},
          .history = m_server.history()};
    });
  }

  core::LockAttempt try_lock() override {
    ++m_server.tries_at_lock;
    return call([&] {
      core::LockAttempt attempt;
      const bool taken = m_server.lock_owner != nullptr && m_server.lock_owner != this;
      attempt.acquired = !taken && !m_server.other_holder;
      if (attempt.acquired) {
        m_server.lock_owner = this;
      } else {
        attempt.holder = taken ? core::LockHolder{.pid = 1, .application_name = "fake"} : *m_server.other_holder;
      }
      attempt.history = m_server.history();
      return attempt;
    });
  }

  void unlock() noexcept override {
    quietly([&] { free_lock(); });
  }

  void prepare_history() override {
    call([&] { return m_server.history_exists = true; });
  }

  void announce(std::vector<core::Attempt> attempts) override { m_server.announced = std::move(attempts); }
  [[nodiscard]] std::size_t unanswered() const override { return 1; }
  void settle() override {
    if (!m_server.settled) {
      call([&] { return m_server.settled = true; });
    }
  }

  core::AttemptResult apply_transaction(const core::Attempt& attempt) override {
    return call(
        [&] {
          require_lock();
          m_server.attempts.push_back(attempt);
          core::AttemptResult result;
          if (attempt.guard_data_loss) {
            result.losses = m_server.losses;
          }
          for (const core::Statement& statement : attempt.script().statements) {
            if (result.applied()) {
              result.failure = refused(attempt, statement);
            }
          }
          if (result.applied()) {
            result.broken = broken(attempt);
          }
          if (result.applied()) {
            for (const core::Statement& statement : attempt.script().statements) {
              take_effect(attempt, statement);
            }
            add_row(attempt, core::AttemptOutcome::applied, attempt.script().statements.size());
            m_server.settled = m_server.announced.empty() ||
                               attempt.migration->version == m_server.announced.back().migration->version;
          }
          return result;
        },
        Commits::yes);
  }

  std::vector<core::Loss> count_losses(const core::Attempt&) override {
    return call([&] { return m_server.losses; });
  }

  std::int64_t record_started(const core::Attempt& attempt) override {
    return call([&] {
      require_lock();
      return add_row(attempt, core::AttemptOutcome::started, attempt.first_statement).id;
    });
  }

  std::optional<core::SqlFailure> run_statement(const core::Attempt& attempt, std::int64_t row,
                                                std::size_t index) override {
    const core::Statement& statement = attempt.script().statements.at(index);
    const auto both = [&]() -> std::optional<core::SqlFailure> {
      require_lock();
      if (auto failure = refused(attempt, statement)) {
        return failure;
      }
      FakeRow& progress = m_server.rows.at(static_cast<std::size_t>(row) - 1);
      if (!statement.in_transaction) {
        progress.running_checksum = statement.prefix_checksum;
      }
      const bool done_before =
          attempt.in_doubt && index == attempt.first_statement && m_server.done(text(attempt, statement)) > 0;
      if (!done_before) {
        take_effect(attempt, statement);
      }
      if (!statement.in_transaction && strikes(Moment::between)) {
        fail();
      }
      progress.running_checksum.clear();
      progress.statements_done = index + 1;
      progress.prefix_checksum = statement.prefix_checksum;
      return std::nullopt;
    };
    return call(both, Commits::yes, !statement.in_transaction);
  }

  core::AttemptResult record_finished(const core::Attempt& attempt, std::int64_t row) override {
    return call(
        [&] {
          require_lock();
          core::AttemptResult result;
          result.broken = broken(attempt);
          if (result.applied()) {
            m_server.rows.at(static_cast<std::size_t>(row) - 1).outcome = core::AttemptOutcome::applied;
          }
          return result;
        },
        Commits::yes);
  }

  void record_failed(const core::Attempt& attempt, std::optional<std::int64_t> row, bool nothing_done,
                     const util::ErrorInfo& error) noexcept override {
    quietly([&] {
      if (!row) {
        add_row(attempt, core::AttemptOutcome::failed, 0).error = to_string(error);
        return;
      }
      FakeRow& failed = m_server.rows.at(static_cast<std::size_t>(*row) - 1);
      failed.error = to_string(error);
      if (nothing_done) {
        failed.outcome = core::AttemptOutcome::failed;
      }
    });
  }

  void record(const core::Record& record) override {
    call([&] {
      require_lock();
      core::Attempt attempt{.migration = record.migration};
      FakeRow& row = add_row(attempt, core::AttemptOutcome::applied, record.migration->up.statements.size());
      row.direction = record.direction;
      row.checksum = record.migration->up.checksum;
      return true;
    });
  }

  std::vector<core::ExpectationResult> check(const std::vector<core::Expectation>& expectations) override {
    return call([&] {
      std::vector<core::ExpectationResult> results;
      for (const core::Expectation& expectation : expectations) {
        results.push_back(judge(expectation));
      }
      return results;
    });
  }

 private:
  enum class Commits { no, yes };

  static std::string text(const core::Attempt& attempt, const core::Statement& statement) {
    return std::string(attempt.script().statement_text(statement));
  }

  [[nodiscard]] bool strikes(Moment moment) const {
    return m_server.fault.call == m_server.calls && m_server.fault.moment == moment;
  }

  [[noreturn]] void fail() {
    m_server.fault_struck = true;
    if (m_server.fault.outcome == util::Outcome::connection_lost) {
      lose();
    }
    throw util::Error(m_server.fault.outcome, "the fault of this test");
  }

  void lose() {
    m_lost = true;
    free_lock();
  }

  void free_lock() {
    if (m_server.lock_owner == this) {
      m_server.lock_owner = nullptr;
    }
  }

  /// Counts the call and lets the fault strike before or after \p effect. \p has_between: the effect looks after it.
  template <typename Effect>
  std::invoke_result_t<const Effect&> call(const Effect& effect, Commits commits = Commits::no,
                                           bool has_between = false) {
    if (m_lost) {
      throw util::Error(util::Outcome::connection_lost, "the session has ended");
    }
    if (m_stop_pending) {
      m_stop_pending = false;
      throw util::Error(m_server.fault.outcome, "the stop request that came during the last call");
    }
    ++m_server.calls;
    if (strikes(Moment::before) || (strikes(Moment::between) && !has_between)) {
      fail();
    }
    auto result = effect();
    if (strikes(Moment::after)) {
      if (commits == Commits::no || m_server.fault.outcome == util::Outcome::connection_lost) {
        fail();
      }
      m_server.fault_struck = true;
      m_stop_pending = true;
    }
    return result;
  }

  /// For the calls that do not throw: the fault ends the session in silence.
  template <typename Effect>
  void quietly(const Effect& effect) {
    if (m_lost) {
      return;
    }
    ++m_server.calls;
    const bool struck = m_server.fault.call == m_server.calls;
    m_server.fault_struck = m_server.fault_struck || struck;
    if (!struck || m_server.fault.moment == Moment::after) {
      effect();
    }
    if (struck && m_server.fault.outcome == util::Outcome::connection_lost) {
      lose();
    }
  }

  void require_lock() {
    if (m_server.lock_owner != this) {
      throw util::Error(util::Outcome::connection_lost, "the migration lock was lost during the run");
    }
  }

  std::optional<core::SqlFailure> refused(const core::Attempt& attempt, const core::Statement& statement) {
    const auto found = m_server.refusals.find(text(attempt, statement));
    if (found == m_server.refusals.end() || found->second.times == 0) {
      return std::nullopt;
    }
    --found->second.times;
    return found->second.failure;
  }

  void take_effect(const core::Attempt& attempt, const core::Statement& statement) {
    ++m_server.effects[text(attempt, statement)];
  }

  static core::ExpectationResult judge(const core::Expectation& expectation) {
    const bool holds = expectation.kind == core::Expectation::Kind::sql && expectation.sql == "SELECT true";
    return {.expectation = expectation,
            .version = {},
            .holds = holds,
            .expected = "true",
            .found = holds ? "true" : "false"};
  }

  static std::vector<core::ExpectationResult> broken(const core::Attempt& attempt) {
    std::vector<core::ExpectationResult> results;
    if (attempt.direction == core::Direction::up) {
      for (const core::Expectation& expectation : attempt.migration->expect) {
        if (core::ExpectationResult result = judge(expectation); !result.holds) {
          results.push_back(std::move(result));
        }
      }
    }
    return results;
  }

  FakeRow& add_row(const core::Attempt& attempt, core::AttemptOutcome outcome, std::size_t done) {
    FakeRow row;
    row.id = static_cast<std::int64_t>(m_server.rows.size()) + 1;
    row.version = attempt.migration->version;
    row.name = attempt.migration->name;
    row.direction = attempt.direction;
    row.checksum = attempt.script().checksum;
    row.outcome = outcome;
    row.statements_done = done;
    row.statements_total = attempt.script().statements.size();
    row.prefix_checksum = done == 0 ? "" : attempt.script().statements.at(done - 1).prefix_checksum;
    row.running_checksum = attempt.in_doubt ? attempt.script().statements.at(done).prefix_checksum : "";
    row.new_until = attempt.new_until;
    m_server.rows.push_back(row);
    return m_server.rows.back();
  }

  FakeServer& m_server;
  bool m_lost = false;
  bool m_stop_pending = false;
};

}  // namespace lockkeeper::test
