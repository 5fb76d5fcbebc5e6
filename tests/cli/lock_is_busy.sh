# The lock is held for longer than --lock-wait: 31, and it is said by whom. The holder is not disturbed.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE t (id int)'
mig 1_insert <<<'INSERT INTO t VALUES (1);'
hold BEGIN 'LOCK TABLE t'
start first up --lock-timeout 60s
wait_sql "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
          WHERE l.locktype = 'advisory' AND l.granted AND d.datname = current_database()" 1
pid=$(sql "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/% up' AND datname = current_database()")

for arguments in up baseline 'repair 1 --accept-checksum'; do
  # shellcheck disable=SC2086 # words
  run $arguments --lock-wait 300ms
  expect_code 31
  expect_err "another runner holds the migration lock: pid $pid \(lockkeeper/[^ ]+ up\), user postgres"
  expect_err "\"holder_pid\":$pid"
done
run up --lock-wait 10m --deadline 300ms
expect_code 31

release
finish first
expect_code 0
expect_sql 'SELECT count(*) FROM t' 1
