# kill -9 in the middle of a CALL: nobody knows whether it is done. That is 13, again and again, until a person says so:
# by a comment that it may run, or with baseline that everything is done.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE t (id int); CREATE PROCEDURE fill() LANGUAGE plpgsql AS
     \$\$ BEGIN INSERT INTO t VALUES (1); COMMIT; PERFORM pg_sleep(s) FROM (SELECT 60 AS s) x
     WHERE EXISTS (SELECT FROM pg_class WHERE relname = 'slow'); INSERT INTO t VALUES (2); COMMIT; END \$\$"
cut_the_call() {
  sql 'CREATE TABLE slow ()'
  start "$1" up
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL%' AND wait_event = 'PgSleep'
            AND datname = current_database()" 1
  local pid=pid_$1
  kill -KILL "${!pid}"
  finish "$1"
  expect_code 137
  sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%'
       AND datname = current_database()" >/dev/null
  sql 'DROP TABLE slow'
}

mig 1_fill migration.yaml <<<'transaction: none'
mig 1_fill <<<'INSERT INTO t VALUES (0);
CALL fill();'
cut_the_call first
expect_sql "SELECT string_agg(id::text, ' ') FROM t" '0 1'
for _ in 1 2; do
  run up
  expect_code 13
  expect_err 'migrations/1_fill/up.sql:2:1.*CALL was sent by a run that was cut, and it may or may not be done'
  expect_err 'lockkeeper baseline --to 1.*which asserts that the whole file is done'
  expect_sql "SELECT string_agg(id::text, ' ') FROM t" '0 1'
done
run check
expect_code 3

# --- it may run again
mig 1_fill <<<'INSERT INTO t VALUES (0);
CALL /* again */ fill();'
run up
expect_code 0
expect_sql "SELECT string_agg(id::text, ' ') FROM t" '0 1 1 2'

# --- it is done: finished by hand
mig 2_fill migration.yaml <<<'transaction: none'
mig 2_fill <<<'CALL fill();'
cut_the_call second
run up
expect_code 13
run baseline --to 2
expect_code 0
run up
expect_code 0
expect_sql "SELECT string_agg(id::text, ' ') FROM t" '0 1 1 2 1'
run check
expect_code 0
