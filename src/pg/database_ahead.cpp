#include <algorithm>

#include <fmt/format.h>

#include "pg/database.hpp"
#include "pg/lock.hpp"
#include "pg/script_queries.hpp"
#include "pg/session.hpp"

// The part of Database that sends transactions before those ahead of them are answered. Nobody looks at an answer
// before COMMIT then, so what must hold is asserted on the server: the lock, the migration before, the expectations.
namespace lockkeeper::pg {

namespace {

using core::Attempt;
using core::AttemptOutcome;
using core::AttemptResult;
using core::SqlFailure;
using core::Statement;
using util::Error;
using util::Outcome;

// What may be under way at once: enough to fill a link with a round trip of 100 ms, few enough that a signal stops a
// run within moments. https://www.postgresql.org/docs/current/libpq-pipeline-mode.html
constexpr std::size_t k_most_sent = 256;
constexpr std::size_t k_most_bytes = std::size_t{256} * 1024;

}  // namespace

void Database::announce(std::vector<Attempt> attempts) {
  m_announced.assign(std::make_move_iterator(attempts.begin()), std::make_move_iterator(attempts.end()));
  m_promised = true;
  m_held = nullptr;
}

std::size_t Database::unanswered() const {
  return std::max<std::size_t>(m_sent.size(), 1);
}

/// \p attempt is asked for now: it and what was announced before it is no announcement any more.
void Database::keep_promise(const Attempt& attempt) {
  const auto asked = std::find_if(m_announced.begin(), m_announced.end(),
                                  [&](const Attempt& announced) { return announced.migration == attempt.migration; });
  if (asked != m_announced.end()) {
    m_announced.erase(m_announced.begin(), asked + 1);
  }
}

/// Statements that our parser does not know could end the transaction: there the answer is looked at before COMMIT.
bool Database::may_be_sent_ahead(const Attempt& attempt) const {
  const auto& statements = attempt.script().statements;
  return m_settings.pipeline && !m_per_transaction && m_history_exists && attempt.migration->transactional &&
         attempt.direction == core::Direction::up && !attempt.guard_data_loss && !has_copy(attempt.script()) &&
         std::all_of(statements.begin(), statements.end(), [](const Statement& s) { return s.known; });
}

/// \p early: before it is asked for.
void Database::send_ahead(Attempt attempt, bool early) {
  Sent sent{.attempt = std::move(attempt), .early = early, .followed = is_followed()};
  Batch batch;
  // The reset is in the transaction, so that nothing runs without it; the level is fixed before the first query.
  batch.add("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE");
  add_clean_session(batch);
  batch = in_one_segment(std::move(batch));
  batch.add(lock_guard(m_settings.history));
  if (!m_sent.empty()) {
    batch.add(order_guard(m_settings.history, *m_sent.back().attempt.migration));
  }
  add_limits(batch, sent.attempt, sent.attempt.lock_timeout);
  if (sent.followed && m_settings.async_commits) {
    batch.add("SET LOCAL synchronous_commit TO off");
  }
  sent.preamble = batch.size();
  sent.answers = add_script(batch, sent.attempt, [this](const Attempt& a, const Statement& s) { return sql_of(a, s); });
  add_own_identity(batch, m_settings.session, m_session_search_path);
  sent.checks = add_asserted_checks(batch, sent.attempt);
  sent.touched = batch.add(touched_query());
  sent.row = add_history_row(batch, sent.attempt, AttemptOutcome::applied, sent.attempt.script().statements.size(), {});
  batch.add("UNLISTEN *");  // at the next one's reset it would be in force until COMMIT
  sent.commit = batch.add("COMMIT");
  if (m_promised && m_announced.empty() && !m_locked_pid) {
    batch.sync();
    sent.unlock = batch.add(unlock_behind_query(m_settings.history, *sent.attempt.migration));
  }
  sent.bytes = batch.bytes();
  m_sent_bytes += sent.bytes;
  m_sent.push_back(std::move(sent));
  m_connection.send(std::move(batch));
}

/// As many of the announced ones as the window takes, and not one by one when it is full.
void Database::send_followers() {
  if (m_held != nullptr || m_connection.stop_was_asked() || m_sent.size() > k_most_sent / 2) {
    return;
  }
  while (!m_announced.empty() && m_sent.size() < k_most_sent && m_sent_bytes < k_most_bytes &&
         may_be_sent_ahead(m_announced.front())) {
    Attempt next = std::move(m_announced.front());
    m_announced.pop_front();
    send_ahead(std::move(next), true);
  }
}

/// Whether what is sent now gets company: not while an attempt is repeated, and what is next may have to go alone.
bool Database::is_followed() const {
  return m_held == nullptr && !m_announced.empty() && may_be_sent_ahead(m_announced.front());
}

AttemptResult Database::apply_ahead(const Attempt& attempt) {
  AttemptResult result;
  try {
    Watch watch(m_watcher, m_connection, watched(attempt, std::nullopt));
    if (m_sent.empty()) {
      m_connection.throw_if_stopped();
      keep_promise(attempt);
      send_ahead(attempt, false);
    } else if (m_sent.front().attempt.migration != attempt.migration) {
      throw Error(Outcome::internal, fmt::format("{} was not announced as the next", attempt.migration->id()));
    }
    send_followers();
    std::vector<Result> results = m_connection.receive();
    Sighting seen = watch.end();
    if (is_committed(results, m_sent.front())) {
      take_committed(results, seen, result);
      return result;
    }
    const Sent failed = forget_sent();
    m_connection.throw_if_stopped();
    if (seen.gave_way.empty() && m_late_reach > 0) {  // a cancel for one before came too late for it
      seen.gave_way = m_late_give_way;
    }
    m_late_reach = 0;
    if (!explain(failed, results, seen, result)) {
      roll_back();  // only the server's, stricter eyes saw something: look with ours
      return apply_alone(attempt);
    }
    roll_back();
  } catch (const Error&) {
    roll_back();
    throw;
  }
  return result;
}

bool Database::is_committed(const std::vector<Result>& results, const Sent& sent) {
  return std::all_of(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(sent.commit) + 1,
                     [](const Result& result) { return result.ok(); }) &&
         results[sent.commit].tag() == "COMMIT";
}

void Database::take_committed(const std::vector<Result>& results, const Sighting& seen, AttemptResult& result) {
  const Sent& sent = m_sent.front();
  result.touched = {.rows = results[sent.touched].number(0, 0), .bytes = results[sent.touched].number(0, 1)};
  if (sent.early) {
    result.took = std::chrono::microseconds(results[sent.row].number(0, 1));
  }
  m_newest_row = results[sent.row].number(0, 0);
  m_unlocked = sent.unlock && results[*sent.unlock].ok() && results[*sent.unlock].rows() == 1;
  count_commit(sent.attempt, sent.followed && m_settings.async_commits);
  m_sent_bytes -= sent.bytes;
  m_sent.pop_front();
  m_held = nullptr;
  if (!seen.gave_way.empty()) {
    m_late_give_way = seen.gave_way;
    m_late_reach = m_sent.size();
  } else if (m_late_reach > 0) {
    --m_late_reach;
  }
}

/// A commit that waits for the disk takes along what was committed before it.
void Database::count_commit(const Attempt& attempt, bool asynchronous) {
  if (asynchronous || sets_itself(attempt, "synchronous_commit")) {
    ++m_unsettled;
  } else {
    m_unsettled = 0;
    m_unsettled_before = false;
  }
}

/// The oldest has failed, and so have all behind it: they are announced again. What failed is repeated without company.
Database::Sent Database::forget_sent() {
  m_connection.drain();
  Sent failed = std::move(m_sent.front());
  m_sent.pop_front();
  for (; !m_sent.empty(); m_sent.pop_back()) {
    m_announced.push_front(std::move(m_sent.back().attempt));
  }
  m_sent_bytes = 0;
  m_held = failed.attempt.migration;
  return failed;
}

/// Why it was not committed. False: as far as we can tell it should have been.
bool Database::explain(const Sent& sent, const std::vector<Result>& results, const Sighting& seen,
                       AttemptResult& result) const {
  const Attempt& attempt = sent.attempt;
  const auto& statements = attempt.script().statements;
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (results[i].status() != Result::Status::failed) {
      continue;
    }
    const ServerError error = results[i].error();
    const auto own = std::find(sent.answers.begin(), sent.answers.end(), i);
    const Statement& statement = own == sent.answers.end()
                                     ? statements.back()
                                     : statements[static_cast<std::size_t>(own - sent.answers.begin())];
    const bool between = i >= sent.preamble && i < sent.touched;
    if (own != sent.answers.end() || is_given_way(error, seen) || i == sent.commit || (between && is_passing(error))) {
      result.failure = failure(attempt, {.statement = &statement, .error = error}, seen);
      if (i >= sent.touched) {
        result.failure->error.message = "at COMMIT: " + result.failure->error.message;
      }
      return true;
    }
    if (i < sent.preamble) {
      m_diagnosis.throw_if_failed(results[i], "cannot begin the transaction");
    }
    if (i >= sent.touched) {
      m_diagnosis.throw_if_failed(results[i], "cannot commit the migration");
    }
    result.broken = broken_of(sent.checks, attempt, results);
    if (result.broken.empty() && sent.checks.empty()) {
      m_diagnosis.throw_if_failed(results[i], "cannot run the migration");
    }
    return !result.broken.empty();
  }
  throw Error(Outcome::internal, fmt::format("the server answered COMMIT with {}",
                                             results[sent.commit].ok() ? results[sent.commit].tag() : "nothing"));
}

void Database::settle() {
  if (m_unsettled == 0 && !m_unsettled_before) {
    return;
  }
  Batch batch;
  if (m_session_used) {
    add_reset(batch);
    add_session(batch, m_connection, m_settings.session);
  }
  // Any commit that waits for the disk takes along what was committed before it; it must have something to write.
  // https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-REPLICATION
  batch.add("SELECT pg_catalog.pg_logical_emit_message(true, 'lockkeeper', 'settled')");
  const std::vector<Result> results = m_connection.run(std::move(batch), Connection::Stop::caller_throws);
  m_diagnosis.throw_if_failed(results.back(), "cannot have the commits written to disk");
  m_unsettled = 0;
  m_unsettled_before = false;
}

}  // namespace lockkeeper::pg
