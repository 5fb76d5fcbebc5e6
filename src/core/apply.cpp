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

constexpr Duration k_first_lock_poll{20};
constexpr Duration k_longest_lock_poll{250};
constexpr Duration k_lock_report_every = std::chrono::seconds(10);
constexpr Duration k_first_retry{100};
constexpr Duration k_deadline_margin{250};
constexpr Duration k_longest_retry = std::chrono::seconds(15);

/// Waits between retries: doubling, with jitter, so that runners and traffic do not meet again in step.
class Backoff {
 public:
  Backoff(Duration first, Duration longest) : m_base(first), m_longest(longest) {}

  Duration next() {
    std::uniform_real_distribution<double> jitter(0.5, 1.0);
    const Duration wait(static_cast<Duration::rep>(static_cast<double>(m_base.count()) * jitter(m_random)));
    m_base = std::min(m_base * 2, m_longest);
    return wait;
  }

 private:
  Duration m_base;
  Duration m_longest;
  std::minstd_rand m_random{std::random_device{}()};
};

AppliedStep step_of(const Attempt& attempt, const util::Clock& clock, util::SteadyTime begin, util::WallTime began) {
  return {.version = attempt.migration->version.str(),
          .name = attempt.migration->name,
          .direction = std::string(to_string(attempt.direction)),
          .statements = attempt.script().statements.size(),
          .duration = clock.now() - begin,
          .began = began};
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

[[noreturn]] void throw_lock_busy(const std::optional<LockHolder>& holder, util::SteadyTime::duration waited) {
  throw Error(Outcome::lock_busy,
              fmt::format("another runner holds the migration lock: {} (waited {})",
                          holder ? to_string(*holder) : "a session that has just gone",
                          util::to_string(std::chrono::duration_cast<Duration>(waited))),
              "It may simply be at work: a retry waits again, and --lock-wait sets for how long. If that process is "
              "gone, the server frees its lock within a minute.");
}

/// The wait for the advisory lock: how long, and what is told of it.
class LockWait {
 public:
  explicit LockWait(Run& run)
      : m_run(run),
        m_begin(run.clock.now()),
        m_limit(util::Deadline::earlier(util::Deadline::after(run.clock, run.limits.lock_wait), run.deadline)) {}

  [[nodiscard]] util::SteadyTime::duration waited() const { return m_run.clock.now() - m_begin; }

  /// Until it is worth asking again. \throws Error{lock_busy} when the wait is over
  void pause(const std::optional<LockHolder>& holder) {
    if (m_limit.passed(m_run.clock)) {
      throw_lock_busy(holder, waited());
    }
    if (!m_told || m_run.clock.now() - *m_told >= k_lock_report_every) {
      m_told = m_run.clock.now();
      m_run.observer.on(LockWaiting{.holder = holder, .waited = waited(), .limit = m_run.limits.lock_wait});
    }
    m_run.clock.sleep(m_limit.cap(m_run.clock, m_polls.next()));
  }

 private:
  Run& m_run;
  util::SteadyTime m_begin;
  util::Deadline m_limit;
  Backoff m_polls{k_first_lock_poll, k_longest_lock_poll};
  std::optional<util::SteadyTime> m_told;
};

/// Whom a lock was waited for, and the one line that ends it.
void name_blockers(ErrorInfo& error, const std::vector<Blocker>& blockers) {
  bool hidden = false;
  if (blockers.empty()) {
    append_sentence(error.hint, "While it waits, pg_blocking_pids() tells for whom.");
  }
  for (const Blocker& blocker : blockers) {
    error.detail += fmt::format("{}blocked by {}", error.detail.empty() ? "" : "\n", to_string(blocker));
    hidden = hidden || (blocker.pid != 0 && blocker.backend_type.empty());
    if (blocker.pid != 0) {
      append_sentence(error.hint,
                      fmt::format("To end the session that blocks: SELECT pg_terminate_backend({});", blocker.pid));
    } else {
      append_sentence(error.hint,
                      "A prepared transaction blocks: SELECT * FROM pg_prepared_xacts; and ROLLBACK PREPARED.");
    }
  }
  if (hidden) {
    append_sentence(error.hint, "What is not shown of it needs the role pg_read_all_stats.");
  }
}

/// A wait for a table ends a little before the deadline, so that the outcome says what was waited for.
void keep_lock_timeout_within_deadline(const Run& run, Attempt& attempt) {
  if (const auto left = run.deadline.remaining(run.clock)) {
    const Duration limit = std::max(*left - k_deadline_margin, Duration(1));
    const bool unlimited = attempt.lock_timeout == Duration::zero();
    attempt.lock_timeout = unlimited ? limit : std::min(attempt.lock_timeout, limit);
  }
}

/// One attempt at one script, with everything that its outcome needs.
class StepRunner {
 public:
  StepRunner(Run& run, Attempt attempt)
      : m_run(run), m_attempt(std::move(attempt)), m_begin(run.clock.now()), m_began(run.clock.wall()) {}

  /// False: another runner was faster, nothing was done.
  [[nodiscard]] bool go() {
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
      m_run.report.failed = step_of(m_attempt, m_run.clock, m_begin, m_began);
      m_run.observer.on(StepFailed{m_attempt.migration->version.str(), m_attempt.migration->name, error.info()});
      throw;
    }
    if (m_overtaken) {
      m_run.observer.on(Note{.level = Level::info,
                             .message = fmt::format("another runner has changed the history meanwhile; {} was not "
                                                    "touched, looking again",
                                                    m_attempt.migration->id())});
      return false;
    }
    finish();
    return true;
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

  /// Calls \p attempt until it succeeds, fails for good, or the retry budget is spent.
  template <typename Call>
  std::optional<SqlFailure> with_retries(const Call& call) {
    std::optional<util::Deadline> budget;  // from the first attempt that could wait for a table
    Backoff backoff{k_first_retry, k_longest_retry};
    for (std::size_t tries = 1;; ++tries) {
      keep_lock_timeout_within_deadline(m_run, m_attempt);
      const auto limit =
          util::Deadline::earlier(util::Deadline::after(m_run.clock, m_run.limits.lock_retry_budget), m_run.deadline);
      const util::SteadyTime began = m_run.clock.now();
      std::optional<SqlFailure> failure = call();
      const auto took = std::chrono::duration_cast<Duration>(m_run.clock.now() - began);
      budget = budget.value_or(limit);
      if (!failure || !failure->worth_retrying) {
        return failure;
      }
      Duration wait = backoff.next();
      if (failure->queued > 0) {  // those whom we held up get as much time without us
        wait = std::max(wait, std::min(took, k_longest_retry));
      }
      const Duration enough = wait + 2 * k_deadline_margin;
      if (budget->remaining(m_run.clock).value_or(wait + Duration(1)) <= wait ||
          m_run.deadline.cap(m_run.clock, enough) < enough) {
        failure->error.outcome = Outcome::lock_timeout;
        append_sentence(failure->error.hint, fmt::format("Gave up after {} attempt{}.", tries, tries == 1 ? "" : "s"));
        name_blockers(failure->error, failure->blockers);
        return failure;
      }
      ++m_run.report.lock_timeout_retries;
      m_run.observer.on(
          StepRetry{.version = m_attempt.migration->version.str(),
                    .name = m_attempt.migration->name,
                    .reason = fmt::format("{} (SQLSTATE {})", failure->error.message, failure->error.sqlstate),
                    .attempt = tries,
                    .wait = wait,
                    .blockers = failure->blockers,
                    .queued = failure->queued});
      m_run.clock.sleep(wait);
    }
  }

  void in_transaction() {
    AttemptResult result;
    const auto failure = with_retries([&] {
      LockWait wait(m_run);
      for (result = m_run.database.apply_transaction(m_attempt); result.turn == AttemptResult::Turn::busy;
           result = m_run.database.apply_transaction(m_attempt)) {
        ++m_run.report.lock_attempts;
        wait.pause(result.holder);
        m_run.report.lock_wait = wait.waited();
      }
      return result.failure;
    });
    if (result.turn == AttemptResult::Turn::overtaken) {
      m_overtaken = true;
      return;
    }
    if (failure) {
      fail(failure->error, fmt::format("The migration was rolled back; {}.", standing(m_run)));
    }
    if (!result.losses.empty()) {
      refuse_loss(result.losses);
    }
    if (!result.broken.empty()) {
      fail(describe_broken(result.broken, ""), fmt::format("The migration was rolled back; {}.", standing(m_run)));
    }
    m_took = result.took;
    m_run.report.touched.rows += result.touched.rows;
    m_run.report.touched.bytes += result.touched.bytes;
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
      m_in_doubt = failure && failure->maybe_in_part;
      if (m_in_doubt) {
        fail_in_part(failure->error);
      }
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

  /// Nobody but a person can tell how far it got; a run that finds it says what to do (pg::Footprints).
  [[noreturn]] void fail_in_part(ErrorInfo error) {
    error.outcome = Outcome::half_done;
    fail(std::move(error),
         fmt::format("What it had committed by then stays. Look how far it got; then correct the file "
                     "from this statement on and run `lockkeeper {}` again.",
                     to_string(m_attempt.direction)));
  }

  void fail_half_way(ErrorInfo error, std::size_t index) {
    if (index == 0) {
      fail(std::move(error), fmt::format("No statement of this file is done; {}.", standing(m_run)));
    }
    if (error.outcome == Outcome::sql) {
      error.outcome = Outcome::half_done;
    }
    const bool up = m_attempt.direction == Direction::up;
    fail(std::move(error),
         fmt::format("Statements 1 to {} of {} are done and committed. Correct the file from this statement on and run "
                     "`lockkeeper {}` again, which goes on here{}.",
                     index, m_attempt.script().statements.size(), to_string(m_attempt.direction),
                     up ? fmt::format("; or finish by hand and run `lockkeeper baseline --to {}`",
                                      m_attempt.migration->version.str())
                        : ""));
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
    m_run.report.failed.reset();  // after a lost connection it was tried again
    AppliedStep step = step_of(m_attempt, m_run.clock, m_begin, m_began);
    if (m_took) {  // it was sent before it was asked for
      step.duration = *m_took;
      step.began = m_run.clock.wall() - std::chrono::duration_cast<util::WallTime::duration>(*m_took);
    }
    m_run.report.applied.push_back(std::move(step));
    m_run.observer.on(StepFinished{m_run.report.applied.back()});
  }

  Run& m_run;
  Attempt m_attempt;
  util::SteadyTime m_begin;
  util::WallTime m_began;
  std::optional<std::int64_t> m_row;
  std::optional<util::SteadyTime::duration> m_took;
  std::size_t m_done = 0;
  bool m_overtaken = false;
  bool m_in_doubt = false;  ///< what is thrown now may hide that a statement outside a transaction is done
};

/// The statement that was sent last may be done. One that was changed since is not the one that was sent: whoever
/// changed it has looked.
bool is_in_doubt(const Script& script, const HistoryRow& cut) {
  const std::size_t next = cut.statements_done;
  return !cut.running_checksum.empty() && next < script.statements.size() &&
         script.statements[next].prefix_checksum == cut.running_checksum;
}

Attempt make_attempt(const Run& run, const Migration& migration, Direction direction, const HistoryRow* resume) {
  const Script& script = direction == Direction::down ? *migration.down : migration.up;
  return {.migration = &migration,
          .direction = direction,
          .first_statement = resume == nullptr ? 0 : resume->statements_done,
          .resumed = resume != nullptr,
          .in_doubt = resume != nullptr && is_in_doubt(script, *resume),
          .lock_timeout = migration.lock_timeout.value_or(run.limits.lock_timeout),
          .statement_timeout = migration.statement_timeout.value_or(run.limits.statement_timeout)};
}

std::vector<Attempt> make_attempts(const Run& run, const std::vector<Step>& steps) {
  const std::size_t pending = run.report.pending.value_or(steps.size());  // more than the steps: out of order
  std::vector<Attempt> attempts;
  attempts.reserve(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    Attempt attempt = make_attempt(run, *steps[i].migration, Direction::up, steps[i].resume);
    attempt.new_until = steps[i].new_until;
    attempt.pending_after = pending - std::min(pending, i + 1);
    keep_lock_timeout_within_deadline(run, attempt);
    attempts.push_back(std::move(attempt));
  }
  return attempts;
}

void tell_unsettled(Run& run, const Error& error) {
  run.observer.on(Note{.level = Level::warning,
                       .message = fmt::format("what was applied is committed, but the server may not have written it "
                                              "to disk yet: {}",
                                              error.info().message)});
}

/// settle() after a failure, which stays the one that is told.
void settle_after(Run& run, const Error& failure) {
  if (failure.info().outcome == Outcome::connection_lost) {
    return;
  }
  try {
    run.database.settle();
  } catch (const Error& error) {
    tell_unsettled(run, error);
  }
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

void settle(Run& run) {
  try {
    run.database.settle();
  } catch (const Error& error) {
    if (error.info().outcome == Outcome::connection_lost) {
      throw;
    }
    tell_unsettled(run, error);
  }
}

History acquire_lock(Run& run) {
  LockWait wait(run);
  const util::SteadyTime begin = run.clock.now();
  std::optional<LockHolder> holder;
  for (;;) {
    LockAttempt attempt = try_lock(run, holder, begin);
    ++run.report.lock_attempts;
    holder = attempt.holder;
    run.report.lock_wait = wait.waited();
    if (attempt.acquired) {
      if (!attempt.per_transaction) {
        run.observer.on(LockAcquired{wait.waited()});
      }
      return std::move(attempt.history);
    }
    wait.pause(holder);
  }
}

bool apply(Run& run, const std::vector<Step>& steps) {
  const std::vector<Attempt> attempts = make_attempts(run, steps);
  run.database.announce(attempts);
  try {
    for (const Attempt& attempt : attempts) {
      if (!StepRunner(run, attempt).go()) {
        settle(run);
        return false;
      }
    }
    settle(run);
  } catch (const Error& error) {
    settle_after(run, error);
    throw;
  }
  return true;
}

void roll_back(Run& run, const Migration& migration, const HistoryRow* resume, bool allow_data_loss) {
  Attempt attempt = make_attempt(run, migration, Direction::down, resume);
  attempt.guard_data_loss = !allow_data_loss;
  if (!StepRunner(run, std::move(attempt)).go()) {
    throw Error(Outcome::history_conflict, "another runner has changed the history since it was read",
                "Nothing was changed; look at `lockkeeper status` and choose again.");
  }
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
