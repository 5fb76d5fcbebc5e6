# Exit codes 130 and 143: the statement is cancelled on the server within seconds, nothing is changed, the next run succeeds.
# A second signal does not wait for the server. (As the first process of a container: tests/image.)
source "$SUPPORT/lib.sh"
new_db
declare -A code_of=([INT]=130 [TERM]=143)
for signal in INT TERM; do
  mig 1_slow <<<'CREATE TABLE a (id int); SELECT pg_sleep(60);'
  start stopped up
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(60)%'
            AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'" 1
  begin=$EPOCHREALTIME
  kill "-$signal" "$pid_stopped"
  finish stopped
  expect_code "${code_of[$signal]}"
  took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
  ((took < 3000)) || fail "took $took ms to end"
  expect_err 'the running statement was cancelled'
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()" 0 3
  expect_sql "SELECT to_regclass('a') IS NULL" t
  expect_sql "SELECT count(*) FROM lockkeeper.history WHERE outcome <> 'failed'" 0
  run check
  expect_code 3
done
mig 1_slow <<<'CREATE TABLE a (id int);'
run up
expect_code 0

# The server process does not answer, as on a node that stands still: a second signal ends the runner at once.
for signal in INT TERM; do
  mig 2_slow <<<'ALTER TABLE a ADD COLUMN b int; SELECT pg_sleep(61);'
  start stopped up
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'" 1
  backend=$(sql "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'")
  kill -STOP "$backend"
  kill "-$signal" "$pid_stopped"
  sleep 0.7
  kill -0 "$pid_stopped" || fail 'it ended before the server had answered'
  begin=$EPOCHREALTIME
  kill "-$signal" "$pid_stopped"
  finish stopped
  took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
  kill -CONT "$backend"
  expect_code "${code_of[$signal]}"
  ((took < 1000)) || fail "took $took ms to end"
  # The cancel request was sent at the first one.
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()" 0 3
  expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'b'" 0
  expect_sql "SELECT count(*) FROM lockkeeper.history WHERE version = '2'" 0
done
rm -r migrations/2_slow

# A signal also ends the waiting: for the server, for the lock, for a table.
key="hashtextextended(current_database()::text || ':lockkeeper.history', 0)"
mig 2_a <<<'ALTER TABLE a ADD COLUMN b int;'
hold "SELECT pg_advisory_lock($key)" BEGIN 'LOCK TABLE a'
stop_while_waiting() { # EVENT ARGUMENT...
  local event=$1 begin
  shift
  start stopped "$@"
  for _ in {1..100}; do
    ! grep -q "\"$event\"" stopped.err || break
    sleep 0.1
  done
  kill -TERM "$pid_stopped"
  begin=$SECONDS
  finish stopped
  expect_code 143
  ((SECONDS - begin <= 3)) || fail "took $((SECONDS - begin)) seconds to end"
}
stop_while_waiting lock_waiting up
release
hold BEGIN 'LOCK TABLE a'
stop_while_waiting step_retry up --lock-timeout 100ms
stop_while_waiting step_started up --lock-timeout 60s
release
good=$URL
URL=postgresql://app:x@127.0.0.1:9/app
stop_while_waiting connect_retry up
URL=$good
run up
expect_code 0
