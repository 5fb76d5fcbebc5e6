# The statement of a runner that was killed ends on the server within seconds, not when it is done: the lock is free,
# the next run goes on.
source "$SUPPORT/lib.sh"
new_db
if (($(sql 'SHOW server_version_num') < 140000)); then
  seconds=2 # PostgreSQL 13 looks for its client only when it has something to say
else
  seconds=60
fi
sleeping="SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
for transaction in all none; do
  new_db "$transaction"
  mig 1_slow <<<"CREATE TABLE a (id int); SELECT pg_sleep($seconds);"
  [[ $transaction == all ]] || mig 1_slow migration.yaml <<<'transaction: none'
  start dead up
  wait_sql "$sleeping" 1
  kill -KILL "$pid_dead"
  finish dead 2>/dev/null
  expect_code 137
  mig 1_slow <<<'CREATE TABLE a (id int); SELECT pg_sleep(0);'
  begin=$SECONDS
  run up
  expect_code 0
  ((SECONDS - begin <= 12)) || fail "the lock was free after $((SECONDS - begin)) seconds"
  expect_sql "$sleeping" 0
  expect_sql "SELECT outcome, statements_done FROM lockkeeper.history ORDER BY id DESC LIMIT 1" 'applied|2'
done
