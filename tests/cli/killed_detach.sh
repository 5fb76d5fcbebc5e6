# kill -9 in the middle of DETACH PARTITION CONCURRENTLY: the partition is left half detached, and the next run finishes it.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE t (id int) PARTITION BY RANGE (id); CREATE TABLE t_old PARTITION OF t FOR VALUES FROM (1) TO (100);
     CREATE TABLE t_new PARTITION OF t FOR VALUES FROM (100) TO (200); INSERT INTO t SELECT generate_series(1, 150)"
mig 1_detach <<<'ALTER TABLE t DETACH PARTITION t_old CONCURRENTLY;'
if (($(sql 'SHOW server_version_num') < 140000)); then # PostgreSQL 13 has no CONCURRENTLY here, and says so
  run up
  expect_code 12
  expect_err 'syntax error'
  expect_sql "SELECT relispartition FROM pg_class WHERE relname = 't_old'" t
  exit 0
fi

hold BEGIN 'SELECT count(*) FROM t'
start first up
wait_sql "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = 't_old'::regclass" t
kill -KILL "$pid_first"
finish first
expect_code 137
sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%'
     AND datname = current_database()" >/dev/null
release
expect_sql "SELECT relispartition FROM pg_class WHERE relname = 't_old'" t

run up
expect_code 0
expect_err 'partition t_old is half detached, by a DETACH that was cut: finished'
expect_sql "SELECT relispartition FROM pg_class WHERE relname = 't_old'" f
expect_sql 'SELECT count(*) FROM t' 51
expect_sql 'SELECT count(*) FROM t_old' 99
run up
expect_code 0
expect_err 'nothing to do'
