# kill -9 in the middle of CREATE INDEX CONCURRENTLY on two million rows: the next run ends with a valid index and without
# leftovers, and needs nobody; whether the server has gone on without the runner, or was cut as well.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE UNLOGGED TABLE t (id int, name int); INSERT INTO t SELECT n, n::bigint * 7919 % 2000003 FROM generate_series(1, 2000000) n"
mig 1_first <<<'CREATE INDEX CONCURRENTLY t_name ON t (name);'

building="SELECT count(*) FROM pg_stat_progress_create_index WHERE relid = 't'::regclass AND phase LIKE 'building%'"
runners="SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%' AND datname = current_database()"
expect_whole() {
  expect_sql "SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1" "$1"
}

# --- the runner alone: the server builds to the end, or notices
start first up
wait_sql "$building" 1
kill -KILL "$pid_first"
finish first
expect_code 137
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE outcome = 'started' AND statements_done = 0" 1
run up
expect_code 0
expect_whole 't_name|t'
expect_sql "SELECT outcome, statements_done FROM lockkeeper.history ORDER BY id DESC LIMIT 1" 'applied|1'

# --- its server process as well: the index is INVALID, dropped and built again
mig 2_second <<<'CREATE INDEX CONCURRENTLY t_both ON t (name, id);'
start second up
wait_sql "$building" 1
kill -KILL "$pid_second"
finish second
expect_code 137
sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%'
     AND datname = current_database()" >/dev/null
wait_sql "$runners" 0
expect_whole $'t_name|t\nt_both|f'
run up
expect_code 0
expect_err 'index t_both was INVALID, left by a build that failed: dropped and built again'
expect_whole $'t_name|t\nt_both|t'
run check
expect_code 0
