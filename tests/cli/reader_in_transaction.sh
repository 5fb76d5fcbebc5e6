# A report that has read a table and forgotten its transaction: the migration waits for it, and nobody else waits longer
# than one attempt, also where the lock of the first table is had and only the second is missing. The log names who it
# is; the migration lands when the report is over.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"

blocked_by_report() { # TABLE
  new_db "$(tr '[:upper:]' '[:lower:]' <<<"$1")"
  calendly_base
  rm -rf migrations
  cp -r "$REPO/migrations" migrations
  idle_holder reports "SELECT count(*) FROM \"$1\""
  start_traffic 4 'SELECT count(*) FROM "Booking"' 'SELECT count(*) FROM "SessionType"'
  start_up # lock_timeout 2s, the default
  wait_log '"event":"step_retry"'
  sleep 0.5 # into the next attempt
  idle_commit
  finish up
  stop_traffic
  expect_code 0
  expect_sql "SELECT count(*) FROM information_schema.columns WHERE column_name LIKE 'calendly%'" 5

  local named='.application_name == "reports" and .user == "postgres" and .state == "idle in transaction" and
    .backend_type == "client backend" and .transaction_age_seconds >= 0 and (.query | startswith("SELECT count"))'
  expect_log "[.[] | select(.event == \"step_blocked\") | .blockers[] | select(.pid == $idle_pid) | $named] | all and
    length >= 1" true
  expect_log "[.[] | select(.event == \"step_retry\")] | first | [.blockers[] | select(.pid == $idle_pid) | $named] |
    all and length == 1" true
  expect_log '[.[] | select(.event == "step_retry")] | first | .reason | contains("SQLSTATE 55P03")' true
  # The budget of an attempt is for both tables; a second more, for a busy machine.
  ((longest < 3000)) || fail "a reader was held up for $longest ms ($1)"
  # The attempt's whole wait is seen by the readers of the table that is locked first.
  ((longest > 1000)) || fail "no reader was held up: this test has shown nothing ($longest ms)"
  echo "held up by a transaction on $1: $reads reads, the longest took $longest ms, at most $peak waited"
}
blocked_by_report SessionType
blocked_by_report Booking # the second: the lock of "SessionType" is held while the migration waits
