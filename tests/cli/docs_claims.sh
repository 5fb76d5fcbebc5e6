# What the README promises about trouble, each on a real server.
source "$SUPPORT/lib.sh"

wait_active() { wait_sql "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%' AND state = 'active'
                          AND datname = current_database() AND query LIKE '%$1%'" t; }
wait_gone() { wait_sql "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%' AND datname = current_database()" 0; }

# --- a pod that is killed in a transaction leaves nothing: the next run just applies
new_db killed
sql 'CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 1000)'
mig 1_slow <<<'ALTER TABLE t ADD COLUMN a text; SELECT pg_sleep(2); ALTER TABLE t ADD COLUMN b text;'
start first up
wait_active pg_sleep
kill -KILL "$pid_first"
finish first
expect_code 137
mig 1_slow <<<'ALTER TABLE t ADD COLUMN a text; ALTER TABLE t ADD COLUMN b text;'
run up
expect_code 0
expect_sql 'SELECT version, outcome FROM lockkeeper.history' '1|applied'

# --- an INVALID index that a cut CREATE INDEX CONCURRENTLY left is built again
mig 2_index <<<'CREATE INDEX CONCURRENTLY t_a ON t (a);'
hold 'BEGIN' 'SELECT count(*) FROM t'
start first up
wait_active 'CREATE INDEX CONCURRENTLY'
wait_sql "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('t_a')" 1
kill -KILL "$pid_first"
finish first
sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/%' AND datname = current_database()" >/dev/null
release
wait_gone
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass" f
run up
expect_code 0
expect_err 'index t_a was INVALID'
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass" t

# --- a file without a transaction goes on at the statement that failed
mig 3_two <<<'CREATE INDEX CONCURRENTLY t_b ON t (b); CREATE INDEX CONCURRENTLY t_c ON t (c);'
run up
expect_code 13
expect_err 'column \\"c\\" does not exist'
run check
expect_code 3
mig 3_two <<<'CREATE INDEX CONCURRENTLY t_b ON t (b); CREATE INDEX CONCURRENTLY t_c ON t (a, b);'
run up
expect_code 0
expect_err 'resumed at statement 2'
expect_sql "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid" 3

# --- an ALTER TABLE that has to wait gives way to the application, and is tried again
mig 4_alter <<<'ALTER TABLE t ADD COLUMN d text;'
hold 'BEGIN' 'SELECT count(*) FROM t'
start first up --lock-timeout 300ms --log-format text
sleep 0.5
sql "SET statement_timeout = '5s'; SELECT count(*) FROM t" >/dev/null
sleep 1
release
finish first
expect_code 0
expect_err 'attempt 1 failed'
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE version = '4' AND outcome = 'applied'" 1

# --- two runners and CREATE INDEX CONCURRENTLY: one builds, one waits, both are right
mig 5_index <<<'CREATE INDEX CONCURRENTLY t_d ON t (d);'
hold 'BEGIN' 'SELECT count(*) FROM t'
start first up
wait_active 'CREATE INDEX CONCURRENTLY t_d'
start second up --log-format text
start third up --lock-wait 500ms --log-format text
finish third
expect_code 31
expect_err 'another runner holds the migration lock: pid [0-9]+ \(lockkeeper/[0-9.]+ up\)'
release
finish first
expect_code 0
finish second
expect_code 0
expect_err 'waiting for the lock, held by pid [0-9]+ \(lockkeeper/'
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_d'::regclass" t
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE version = '5'" 1

# --- SIGTERM cancels the statement on the server and rolls back
mig 6_slow <<<'ALTER TABLE t ADD COLUMN e text; SELECT pg_sleep(60);'
start first up
wait_active pg_sleep
begin=$SECONDS
kill -TERM "$pid_first"
finish first
expect_code 143
((SECONDS - begin <= 5)) || fail "took $((SECONDS - begin)) seconds to end"
wait_gone
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'e'" 0
rm -r migrations/6_slow

# --- the result decides: a column of another type is no success, and is not committed
mig 7_types <<<'ALTER TABLE t ADD COLUMN IF NOT EXISTS id text; ALTER TABLE t ADD COLUMN f text;'
mig 7_types migration.yaml <<<'expect: {columns: {t: {id: {type: text}}}}'
run up
expect_code 16
expect_err 'column t.id: expected text, found integer'
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'f'" 0
rm -r migrations/7_types

# --- a file that was changed after it was applied stops the deploy
mig 4_alter <<<'ALTER TABLE t ADD COLUMN d integer;'
run up
expect_code 14

# --- a server that is not there yet
URL=postgresql://nobody@127.0.0.1:1/nothing
begin=$SECONDS
run up --connect-wait 2s
expect_code 30
((SECONDS - begin >= 1)) || fail "it did not wait"

# --- the result in one JSON object, for kubectl describe pod
expect_err '"event":"run_finished"'
run up --connect-wait 0 --termination-log ./termination
[[ $(jq -r '.exit_code, .outcome, .retry' termination | paste -sd ' ') == '30 unreachable retryable' ]] || fail "$(cat termination)"
