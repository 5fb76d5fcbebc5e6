# Commits that do not wait for the disk lose nothing that was reported: however a run ends (all well, a statement that
# fails, a signal), the server may crash the next moment. Its WAL writer is asleep here, so that only a commit that waits
# brings anything to disk; a run that is killed shows that this is so.
source "$SUPPORT/lib.sh"
LOCKKEEPER_TEST_FSYNC=1 LOCKKEEPER_TEST_CONF=$'wal_writer_delay = 10s\nwal_writer_flush_after = 1GB\nautovacuum = off' own_cluster
new_db
small() {
  local n
  for n in "$@"; do
    mig "${n}_t" <<<"INSERT INTO t VALUES ($n);"
  done
}
crash() { "$SUPPORT/cluster.sh" restart "$PWD/own" immediate; }
in_history() { sql "SELECT count(*) FROM lockkeeper.history WHERE outcome = 'applied'"; }
reported() { jq -s 'map(select(.event == "run_finished"))[0].applied' <<<"$err"; }
sql 'CREATE TABLE t (id int)'
small 0
run up
expect_code 0
sql CHECKPOINT

small {1..50}
run up
expect_code 0
crash
[[ $(in_history) == 51 ]] || fail "$(in_history) of 51 migrations are there after the crash"

small {51..80}
mig 81_bad <<<'INSERT INTO nowhere VALUES (1);'
run up
expect_code 12
[[ $(reported) == 30 ]] || fail "$(reported) reported"
crash
[[ $(in_history) == 81 ]] || fail "$(in_history) of 81 migrations are there after the crash"

# Terminated, and killed, while the last one sleeps and those before it are committed but not on disk.
rm -r migrations/81_bad
mig 1000_sleeps <<<'SELECT pg_sleep(60);'
begin_and() {
  start run up --watch off "${@:2}"
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'" 1
  kill -s "$1" "$pid_run"
  finish run 2>/dev/null
}
small {81..99}
begin_and TERM
expect_code 143
[[ $(reported) == 19 ]] || fail "$(reported) reported"
crash
[[ $(in_history) == 100 ]] || fail "$(in_history) of 100 migrations are there after the crash"
small {100..120}
begin_and KILL
crash
(($(in_history) < 121)) || fail 'the server has written what it need not: this test shows nothing'
begin_and KILL --async-commits off
crash
[[ $(in_history) == 121 ]] || fail "$(in_history) of 121 migrations are there after the crash"
expect_sql 'SELECT count(*), count(DISTINCT id) FROM t' '121|121'

# The server is gone for good in the middle: what it may have lost is not counted.
small {121..150}
start run up --watch off --connect-wait 1s
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'" 1
"$SUPPORT/cluster.sh" stop "$PWD/own" immediate
finish run
expect_code 33
expect_err 'not counted: 30 migrations, from 121 on'
[[ $(reported) == 0 ]] || fail "$(reported) reported"
crash
(($(in_history) < 151)) || fail 'the server has written what it need not: this test shows nothing'
rm -r migrations/1000_sleeps
run up
expect_code 0
[[ $(in_history) == 151 ]] || fail "$(in_history) of 151 migrations"
expect_sql 'SELECT count(*), count(DISTINCT id) FROM t' '151|151'
