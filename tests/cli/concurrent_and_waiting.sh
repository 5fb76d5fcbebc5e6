# One runner builds an index CONCURRENTLY on a table in use while another one waits for the lock: no deadlock between the
# two (a runner that waited inside one statement would hold a snapshot that the build waits for).
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE t (id int, name text); INSERT INTO t SELECT n, md5(n::text) FROM generate_series(1, 20000) n"
mig 1_index <<<'CREATE INDEX CONCURRENTLY t_name ON t (name);'
mig 2_row <<<'INSERT INTO t VALUES (0);'

hold BEGIN 'UPDATE t SET name = name WHERE id = 1' # the build waits for this transaction
start first up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'
          AND datname = current_database()" 1
start second up
for _ in {1..200}; do
  ! grep -q '"event":"lock_waiting"' second.err || break
  sleep 0.05
done
grep -q '"event":"lock_waiting"' second.err || fail 'the second runner does not wait'
sleep 0.6 # it has looked again
release
finish first
expect_code 0
finish second
expect_code 0
expect_no 'deadlock'
expect_sql 'SELECT count(*) FROM t WHERE id = 0' 1
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_name'::regclass" t
