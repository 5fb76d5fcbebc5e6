#include "core/apply.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "util/duration.hpp"

namespace lockkeeper::core {

namespace {

using util::Duration;
using util::Error;
using util::ErrorInfo;
using util::Outcome;

constexpr Duration k_lock_poll{250};
constexpr Duration k_lock_report_every = std::chrono::seconds(10);
constexpr Duration k_first_retry{100};
constexpr Duration k_deadline_margin{250};
constexpr Duration k_longest_retry = std::chrono::seconds(15);

/// Waits between retries: doubling, with jitter, so that runners and traffic do not meet again in step.
class Backoff {
 public:
  Duration next() {
    std::uniform_real_distribution<double> jitter(0.5, 1.0);
    const Duration wait(static_cast<Duration::rep>(static_cast<double>(m_base.count()) * jitter(m_random)));
    m_base = std::min(m_base * 2, k_longest_retry);
    return wait;
  }

 private:
  Duration m_base = k_first_retry;
  std::minstd_rand m_random{std::random_device{}()};
};

AppliedStep step_of(const Attempt& attempt, const util::Clock& clock, util::SteadyTime begin) {
  return {.version = attempt.migration->version.str(),
          .name = attempt.migration->name,
          .direction = std::string(to_string(attempt.direction)),
          .statements = attempt.script().statements.size(),
          .duration = clock.now() - begin};
}

/// Where a run stands after a failed step: what stays applied.
std::string standing(const Run& run) {
  if (run.report.applied.empty()) {
    return "nothing was changed";
  }
  const AppliedStep& last = run.report.applied.back();
  return fmt::format("what came before it stays applied, up to {}", last.version);
}

void append_sentence(std::string& hint, const std::string& sentence) {
  hint += hint.empty() ? sentence : " " + sentence;
}

std::string describe_losses(const std::vector<Loss>& losses) {
  std::string text;
  for (const Loss& loss : losses) {
    text += text.empty() ? "  " : "\n  ";
    text +=
        loss.count ? fmt::format("{}: {}", loss.what, *loss.count) : fmt::format("{}: cannot be counted", loss.what);
  }
  return text;
}

/// One attempt at one script, with everything that its outcome needs.
class StepRunner {
 public:
  StepRunner(Run& run, Attempt attempt) : m_run(run), m_attempt(std::move(attempt)), m_begin(run.clock.now()) {}

  void go() {
    tell_started();
    try {
      if (m_attempt.migration->transactional || is_transactional_down()) {
        in_transaction();
      } else {
        statement_by_statement();
      }
    } catch (const Error& error) {
      // Thrown from below: a signal, the deadline, a lost connection. The attempt is over; the history may learn why.
      // A question that was answered with no is no attempt; after a lost connection or lock nothing may be written.
      if (error.info().outcome != Outcome::data_loss && error.info().outcome != Outcome::connection_lost) {
        m_run.database.record_failed(m_attempt, m_row, m_done == 0 && !m_in_doubt, error.info());
      }
      if (m_row && m_done > 0 && !m_attempt.resumed) {
        m_run.report.half_done = m_run.report.half_done.value_or(0) + 1;
      }
      m_run.observer.on(StepFailed{m_attempt.migration->version.str(), m_attempt.migration->name, error.info()});
      throw;
    }
    finish();
  }

 private:
  /// A down script runs in a transaction whenever its statements can, whatever the up script needs.
  [[nodiscard]] bool is_transactional_down() const {
    const auto& statements = m_attempt.script().statements;
    return m_attempt.direction == Direction::down && m_attempt.first_statement == 0 && !m_attempt.resumed &&
           std::all_of(statements.begin(), statements.end(), [](const Statement& s) { return s.in_transaction; });
  }

  void tell_started() {
    m_run.observer.on(StepStarted{.version = m_attempt.migration->version.str(),
                                  .name = m_attempt.migration->name,
                                  .direction = std::string(to_string(m_attempt.direction)),
                                  .statements = m_attempt.script().statements.size(),
                                  .first_statement = m_attempt.first_statement,
                                  .transactional = m_attempt.migration->transactional || is_transactional_down()});
  }

  void tell_statement(std::size_t index) {
    const Statement& statement = m_attempt.script().statements[index];
    m_run.observer.on(StatementFinished{.version = m_attempt.migration->version.str(),
                                        .index = index,
                                        .total = m_attempt.script().statements.size(),
                                        .kind = statement.kind,
                                        .text = std::string(m_attempt.script().statement_text(statement))});
  }

  /// A wait for a table ends a little before the deadline, so that the outcome says what was waited for.
  void keep_lock_timeout_within_deadline() {
    if (const auto left = m_run.deadline.remaining(m_run.clock)) {
      const Duration limit = std::max(*left - k_deadline_margin, Duration(1));
      const bool unlimited = m_attempt.lock_timeout == Duration::zero();
      m_attempt.lock_timeout = unlimited ? limit : std::min(m_attempt.lock_timeout, limit);
    }
  }

  /// Calls \p attempt until it succeeds, fails for good, or the retry budget is spent.
  template <typename Call>
  std::optional<SqlFailure> with_retries(const Call& call) {
    const auto budget =
        util::Deadline::earlier(util::Deadline::after(m_run.clock, m_run.limits.lock_retry_budget), m_run.deadline);
    Backoff backoff;
    for (std::size_t tries = 1;; ++tries) {
      keep_lock_timeout_within_deadline();
      std::optional<SqlFailure> failure = call();
      if (!failure || !failure->worth_retrying) {
        return failure;
      }
      const Duration wait = backoff.next();
      const Duration enough = wait + 2 * k_deadline_margin;
      if (budget.remaining(m_run.clock).value_or(wait + Duration(1)) <= wait ||
          m_run.deadline.cap(m_run.clock, enough) < enough) {
        failure->error.outcome = Outcome::lock_timeout;
        append_sentence(failure->error.hint, fmt::format("Gave up after {} attempt{}.", tries, tries == 1 ? "" : "s"));
        return failure;
      }
      ++m_run.report.lock_timeout_retries;
      m_run.observer.on(
          StepRetry{.version = m_attempt.migration->version.str(),
                    .name = m_attempt.migration->name,
                    .reason = fmt::format("{} (SQLSTATE {})", failure->error.message, failure->error.sqlstate),
                    .attempt = tries,
                    .wait = wait});
      m_run.clock.sleep(wait);
    }
  }

  void in_transaction() {
    AttemptResult result;
    const auto failure = with_retries([&] {
      result = m_run.database.apply_transaction(m_attempt);
      return result.failure;
    });
    if (failure) {
      fail(failure->error, fmt::format("The migration was rolled back; {}.", standing(m_run)));
    }
    if (!result.losses.empty()) {
      refuse_loss(result.losses);
    }
    if (!result.broken.empty()) {
      fail(describe_broken(result.broken, ""), fmt::format("The migration was rolled back; {}.", standing(m_run)));
    }
    for (std::size_t i = 0; i < m_attempt.script().statements.size(); ++i) {
      tell_statement(i);
    }
  }

  void statement_by_statement() {
    const std::size_t total = m_attempt.script().statements.size();
    m_done = m_attempt.first_statement;
    if (m_attempt.guard_data_loss) {
      const std::vector<Loss> losses = m_run.database.count_losses(m_attempt);
      if (!losses.empty()) {
        refuse_loss(losses);
      }
    }
    m_row = m_run.database.record_started(m_attempt);
    for (std::size_t i = m_attempt.first_statement; i < total; ++i) {
      m_in_doubt = !m_attempt.script().statements[i].in_transaction;
      const auto failure = with_retries([&] { return m_run.database.run_statement(m_attempt, *m_row, i); });
      m_in_doubt = false;
      if (failure) {
        fail_half_way(failure->error, i);
      }
      m_done = i + 1;
      tell_statement(i);
    }
    const AttemptResult result = m_run.database.record_finished(m_attempt, *m_row);
    if (!result.broken.empty()) {
      fail(describe_broken(result.broken, ""),
           "All its statements are done, each committed by itself. Correct the database or the expectation and run "
           "`lockkeeper up` again, which only checks.");
    }
  }

  void fail_half_way(ErrorInfo error, std::size_t index) {
    if (index == 0) {
      fail(std::move(error), fmt::format("No statement of this file is done; {}.", standing(m_run)));
    }
    if (error.outcome == Outcome::sql) {
      error.outcome = Outcome::half_done;
    }
    fail(std::move(error),
         fmt::format(
             "Statements 1 to {} of {} are done and committed. Correct the file from this statement on and run "
             "`lockkeeper {}` again, which goes on here; or finish by hand and run `lockkeeper baseline --to {}`.",
             index, m_attempt.script().statements.size(), to_string(m_attempt.direction),
             m_attempt.migration->version.str()));
  }

  [[noreturn]] void fail(ErrorInfo error, const std::string& sentence) {
    append_sentence(error.hint, sentence);
    throw Error(std::move(error));
  }

  [[noreturn]] void refuse_loss(const std::vector<Loss>& losses) {
    throw Error(
        ErrorInfo{.outcome = Outcome::data_loss,
                  .message = fmt::format("rolling back {} would destroy data", m_attempt.migration->id()),
                  .hint = "Save the data first; then run `lockkeeper down --allow-data-loss`. Nothing was changed.",
                  .detail = describe_losses(losses),
                  .where = util::SourcePosition{.file = m_attempt.script().path}});
  }

  void finish() {
    if (m_attempt.resumed && m_run.report.half_done.value_or(0) > 0) {
      --*m_run.report.half_done;
    }
    m_run.report.applied.push_back(step_of(m_attempt, m_run.clock, m_begin));
    m_run.observer.on(StepFinished{m_run.report.applied.back()});
  }

  Run& m_run;
  Attempt m_attempt;
  util::SteadyTime m_begin;
  std::optional<std::int64_t> m_row;
  std::size_t m_done = 0;
  bool m_in_doubt = false;  ///< what is thrown now may hide that a statement outside a transaction is done
};

Attempt make_attempt(const Run& run, const Migration& migration, Direction direction, const HistoryRow* resume) {
  return {.migration = &migration,
          .direction = direction,
          .first_statement = resume == nullptr ? 0 : resume->statements_done,
          .resumed = resume != nullptr,
          .lock_timeout = migration.lock_timeout.value_or(run.limits.lock_timeout),
          .statement_timeout = migration.statement_timeout.value_or(run.limits.statement_timeout)};
}

[[noreturn]] void throw_lock_busy(const std::optional<LockHolder>& holder, util::SteadyTime::duration waited) {
  throw Error(Outcome::lock_busy,
              fmt::format("another runner holds the migration lock: {} (waited {})",
                          holder ? to_string(*holder) : "a session that has just gone",
                          util::to_string(std::chrono::duration_cast<Duration>(waited))),
              "It may simply be at work: a retry waits again, and --lock-wait sets for how long. If that process is "
              "gone, the server frees its lock within a minute.");
}

/// A deadline that ends a look at the lock was spent on waiting for it.
LockAttempt try_lock(Run& run, const std::optional<LockHolder>& holder, util::SteadyTime begin) {
  try {
    return run.database.try_lock();
  } catch (const Error& error) {
    if (error.info().outcome == Outcome::deadline && holder) {
      throw_lock_busy(holder, run.clock.now() - begin);
    }
    throw;
  }
}

}  // namespace

History acquire_lock(Run& run) {
  const util::SteadyTime begin = run.clock.now();
  const auto own_limit = util::Deadline::after(run.clock, run.limits.lock_wait);
  const auto limit = util::Deadline::earlier(own_limit, run.deadline);
  std::optional<util::SteadyTime> told;
  std::optional<LockHolder> holder;
  for (;;) {
    LockAttempt attempt = try_lock(run, holder, begin);
    holder = attempt.holder;
    const auto waited = run.clock.now() - begin;
    run.report.lock_wait = waited;
    if (attempt.acquired) {
      run.observer.on(LockAcquired{waited});
      return std::move(attempt.history);
    }
    if (limit.passed(run.clock)) {
      throw_lock_busy(holder, waited);
    }
    if (!told || run.clock.now() - *told >= k_lock_report_every) {
      told = run.clock.now();
      run.observer.on(LockWaiting{.holder = attempt.holder, .waited = waited, .limit = run.limits.lock_wait});
    }
    run.clock.sleep(limit.cap(run.clock, k_lock_poll));
  }
}

void apply(Run& run, const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    Attempt attempt = make_attempt(run, *step.migration, Direction::up, step.resume);
    attempt.new_until = step.new_until;
    StepRunner(run, std::move(attempt)).go();
  }
}

void roll_back(Run& run, const Migration& migration, const HistoryRow* resume, bool allow_data_loss) {
  Attempt attempt = make_attempt(run, migration, Direction::down, resume);
  attempt.guard_data_loss = !allow_data_loss && resume == nullptr;
  StepRunner(run, std::move(attempt)).go();
}

util::ErrorInfo describe_broken(const std::vector<ExpectationResult>& broken, std::string_view hint) {
  std::string detail;
  for (const ExpectationResult& result : broken) {
    detail += fmt::format("{}  {}: expected {}, found {}", detail.empty() ? "" : "\n", result.expectation.subject(),
                          result.expected, result.found);
  }
  return {.outcome = Outcome::verification,
          .message = broken.size() == 1 ? "the database is not as the migration expects"
                                        : fmt::format("the database is not as expected in {} places", broken.size()),
          .hint = std::string(hint),
          .detail = detail,
          .where = broken.empty() ? std::nullopt : std::optional(broken.front().expectation.where)};
}

}  // namespace lockkeeper::core
