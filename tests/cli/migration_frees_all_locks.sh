# A migration that calls pg_advisory_unlock_all() loses the session's lock, but nobody gets in before it has committed:
# another runner waits, and finds it applied.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE t (n int)'
mig 1_unlocks <<<'SELECT pg_advisory_unlock_all(); INSERT INTO t VALUES (1); SELECT pg_sleep(2);'
start first up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/% up' AND query LIKE '%pg_sleep%'
  AND datname = current_database() AND pid <> pg_backend_pid()" 1
start second up
finish second
expect_code 0
expect_err '"event":"lock_waiting"'
finish first
expect_code 0
expect_sql 'SELECT count(*) FROM t' 1
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1

# The next migration of that run notices it, before it changes anything.
mig 2_unlocks <<<'SELECT pg_advisory_unlock_all(); INSERT INTO t VALUES (2);'
mig 3_next <<<'INSERT INTO t VALUES (3);'
run up
expect_code 0
expect_err 'the migration lock was lost during the run'
expect_sql 'SELECT string_agg(n::text, $$ $$ ORDER BY n) FROM t' '1 2 3'
