/// \file
/// What the core needs of a database, in domain steps: no SQL and no query function crosses this line.
///
/// pg::Database is the real one, tests/support/fake_database.hpp the one that can fail at the n-th call. Each step is a
/// point where a run can be cut: whatever was committed by then is what the history shows.
/// A lost connection, a signal and a deadline are thrown as util::Error; what a migration's own SQL does is a result.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/events.hpp"
#include "core/expectation.hpp"
#include "core/history.hpp"
#include "core/migration.hpp"
#include "util/clock.hpp"

namespace lockkeeper::core {

/// What the server says of itself and of us.
struct Server {
  std::string database;
  std::string user;        ///< current_user, after SET ROLE
  std::string version;     ///< "15.18"
  int version_number = 0;  ///< 150018
  bool in_recovery = false;
  bool read_only = false;  ///< transactions are read-only by default
  bool pooled = false;     ///< another backend answers than the one that we connected to
};

struct Snapshot {
  Server server;
  History history;
};

struct LockAttempt {
  bool acquired = false;
  /// Nothing is held after the attempt: apply_transaction() takes the lock in each transaction and looks whether the
  /// history is still the one below. So it is behind a pooler in transaction mode.
  bool per_transaction = false;
  std::optional<LockHolder> holder;  ///< when not acquired, if somebody is seen
  History history;                   ///< read after the attempt; complete when acquired
};

/// One script of one migration to run.
struct Attempt {
  const Migration* migration = nullptr;
  Direction direction = Direction::up;  ///< up or down
  std::size_t first_statement = 0;      ///< more than 0: the ones before are done
  bool resumed = false;                 ///< an earlier attempt was cut
  bool in_doubt = false;                ///< it had sent the first statement, which may be done without our knowing
  util::Duration lock_timeout{0};
  util::Duration statement_timeout{0};
  bool guard_data_loss = false;  ///< down: count what would be lost first, in the same transaction
  std::string new_until;         ///< kept in the row's details (core::select_phase); empty = nothing to keep
  std::optional<std::size_t> pending_after;  ///< migrations that are still pending when this one is applied

  [[nodiscard]] const Script& script() const { return direction == Direction::down ? *migration->down : migration->up; }
};

/// Something that a roll-back would destroy.
struct Loss {
  std::string what;                   ///< "Booking.calendlyEventId (non-null values)"
  std::optional<std::int64_t> count;  ///< nullopt: cannot be counted
};

/// A statement of a migration that the server refused.
struct SqlFailure {
  util::ErrorInfo error;          ///< with the place in the file
  bool worth_retrying = false;    ///< lock timeout, deadlock, gave way ...: the same SQL may succeed later
  bool maybe_in_part = false;     ///< it may have committed something on its way: CALL
  std::vector<Blocker> blockers;  ///< last seen, if somebody watched
  std::size_t queued = 0;         ///< most sessions that were seen waiting behind us
};

struct AttemptResult {
  /// Only where the lock is taken per transaction: another runner has it, or has changed the history since the plan was
  /// made. Nothing was run.
  enum class Turn { ours, busy, overtaken };
  Turn turn = Turn::ours;
  std::optional<LockHolder> holder;  ///< busy: if somebody is seen
  std::optional<SqlFailure> failure;
  std::vector<ExpectationResult> broken;  ///< expectations that do not hold
  std::vector<Loss> losses;               ///< why a guarded roll-back was refused
  Touched touched;                        ///< when applied()
  /// When applied(): how long the server was at it, up to COMMIT. nullopt: as long as the call took.
  std::optional<util::SteadyTime::duration> took;
  [[nodiscard]] bool applied() const { return turn == Turn::ours && !failure && broken.empty() && losses.empty(); }
};

/// A row that records something without running a script: baseline, repair.
struct Record {
  const Migration* migration = nullptr;
  Direction direction = Direction::baseline;
  std::string old_checksum;  ///< repair: what the history had
};

class Database {
 public:
  virtual ~Database() = default;

  /// Facts and history. One request and one answer; no lock, no write.
  virtual Snapshot read() = 0;
  /// Asks once for the advisory lock; the history is read in the same request, after the lock.
  virtual LockAttempt try_lock() = 0;
  /// Gives the lock back. Does not throw: closing the session gives it back too.
  virtual void unlock() noexcept = 0;
  /// Creates the history table, or brings its layout up to date. Needs the lock. Does nothing when it is as it should
  /// be.
  virtual void prepare_history() = 0;

  /// What apply_transaction() and record_started() will be asked for next, each once it is its turn, in this order;
  /// after the last one nothing but settle() and unlock(). A promise that saves round trips: a transaction may be sent
  /// before it is asked for, but commits only behind the one before it. Whoever is told that one of them failed finds
  /// nothing after it committed. The migrations must outlive the promise. Replaces an earlier promise.
  virtual void announce(std::vector<Attempt> attempts) = 0;

  /// Runs a script in one transaction that commits together with its history row, after its expectations hold (up).
  /// Anything else than applied() is rolled back whole. With an announced attempt behind it the server need not have
  /// written the commit to disk yet: settle().
  virtual AttemptResult apply_transaction(const Attempt& attempt) = 0;

  /// How many of the announced transactions may be committed without our having an answer: those that were sent. At
  /// least 1 while a transaction or its COMMIT is awaited. To be asked when the connection was lost.
  [[nodiscard]] virtual std::size_t unanswered() const = 0;

  /// What was committed is on the server's disk when this returns; asks only when it may not be.
  /// https://www.postgresql.org/docs/current/wal-async-commit.html
  virtual void settle() = 0;

  /// What a roll-back without a transaction would destroy; one in a transaction counts by itself (guard_data_loss).
  virtual std::vector<Loss> count_losses(const Attempt& attempt) = 0;
  /// The intent row of a script without a transaction. Returns its id.
  virtual std::int64_t record_started(const Attempt& attempt) = 0;
  /// Runs statement \p index of the script and records that it is done.
  virtual std::optional<SqlFailure> run_statement(const Attempt& attempt, std::int64_t row, std::size_t index) = 0;
  /// Checks the expectations (up) and marks the row as applied.
  virtual AttemptResult record_finished(const Attempt& attempt, std::int64_t row) = 0;

  /// Records a failed attempt, if that is possible; does not throw. \p row: the intent row, which is marked as failed
  /// when nothing of it was done and else only gets the error.
  virtual void record_failed(const Attempt& attempt, std::optional<std::int64_t> row, bool nothing_done,
                             const util::ErrorInfo& error) noexcept = 0;

  /// Writes a baseline or repair row.
  virtual void record(const Record& record) = 0;

  /// Looks at every expectation; never fails for one that does not hold.
  virtual std::vector<ExpectationResult> check(const std::vector<Expectation>& expectations) = 0;
};

}  // namespace lockkeeper::core
