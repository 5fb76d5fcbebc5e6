# kill -9 in the middle of REINDEX CONCURRENTLY: the next run drops the INVALID _ccnew indexes that it left, also of the
# TOAST table, and rebuilds.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE t (id int, name text); INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 1000) n;
     CREATE INDEX t_id ON t (id); CREATE INDEX t_name ON t (name)"
mig 1_reindex <<<'REINDEX TABLE CONCURRENTLY t;'
leftovers="SELECT count(*) FROM pg_class WHERE relname LIKE '%\\_cc%'"

hold BEGIN 'UPDATE t SET name = name WHERE id = 1' # REINDEX waits for this transaction
start first up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'REINDEX%' AND wait_event_type = 'Lock'
          AND datname = current_database()" 1
kill -KILL "$pid_first"
finish first
expect_code 137
sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%'
     AND datname = current_database()" >/dev/null
release
expect_sql "$leftovers" 3
expect_sql "SELECT count(*) FROM pg_index WHERE NOT indisvalid" 3
before=$(sql "SELECT 't_id'::regclass::oid")

run up
expect_code 0
expect_err 'index t_id_ccnew was INVALID, left by a REINDEX that failed: dropped'
expect_sql "$leftovers" 0
expect_sql "SELECT count(*) FROM pg_index WHERE NOT indisvalid" 0
expect_sql "SELECT 't_id'::regclass::oid <> $before" t
expect_sql "SELECT string_agg(outcome || ' ' || statements_done, ', ' ORDER BY id) FROM lockkeeper.history" \
  'started 0, applied 1'
