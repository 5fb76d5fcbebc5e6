# Behind PgBouncer in transaction mode: five runners at once apply each migration once, no lock is left on a backend, no
# setting leaks into one, and what another client left there does not count. A direct runner keeps them out, and they it.
source "$SUPPORT/lib.sh"
source "$SUPPORT/common.sh"
source "$SUPPORT/pooler.sh"
new_db
direct=$URL
ENV=(LOCKKEEPER_DEADLINE=60s) # whoever stands still says so
sql 'CREATE TABLE counter (version int); CREATE SCHEMA elsewhere'
for n in {1..12}; do
  mig "$n"_count <<<"INSERT INTO counter VALUES ($n); SELECT pg_sleep($((n == 1)).02);"
  mig "$n"_count migration.yaml <<<"{lock_timeout: 7s, statement_timeout: 60s,
    expect: {sql: {counted once: SELECT count(*) = 1 FROM counter WHERE version = $n}}}"
done
pooler transaction 3 # fewer backends than runners: they change hands all the time

# Another client has left its own search_path and time limit on every backend of the pool.
for _ in 1 2 3; do
  psql -XqAt -c "SET search_path = elsewhere" -c "SET statement_timeout = '900ms'" "$POOLED_URL" </dev/null >/dev/null &
done
wait "$!"

URL=$POOLED_URL
for n in 1 2 3 4 5; do
  start "runner$n" up
done
applied=0
for n in 1 2 3 4 5; do
  finish "runner$n"
  expect_code 0
  applied=$((applied + $(grep -c '"event":"step_finished"' <<<"$err" || true)))
done
URL=$direct
((applied == 12)) || fail "the runners say that they applied $applied migrations"
expect_sql 'SELECT count(*), count(DISTINCT version) FROM counter' '12|12'
expect_sql "SELECT count(*), count(DISTINCT version) FROM lockkeeper.history WHERE outcome = 'applied'" '12|12'
expect_no_lock

# Nothing of ours has stayed on the backends of the pool.
for _ in 1 2 3 4 5 6; do
  leaked=$(psql -XqAt -c "SELECT current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout')" \
    "$POOLED_URL" </dev/null)
  [[ $leaked == '0|0' ]] || fail "left on a backend: $leaked"
done

# A failing migration is rolled back whole, and told; the lock goes with it.
mig 13_bad <<<'INSERT INTO counter VALUES (13); SELECT 1/0;'
URL=$POOLED_URL
run up
URL=$direct
expect_code 12
expect_err '13_bad/up.sql:1.*division by zero'
expect_sql 'SELECT count(*) FROM counter' 12
expect_sql "SELECT outcome FROM lockkeeper.history WHERE version = '13'" failed
expect_no_lock
rm -r migrations/13_bad

# A runner without the pooler holds the session lock: the others wait, and say for whom.
sql 'CREATE TABLE gate (n int)'
mig 13_slow <<<'INSERT INTO counter VALUES (13); INSERT INTO gate VALUES (13);'
hold BEGIN 'LOCK TABLE gate'
start direct up --lock-timeout 50s
wait_sql "SELECT count(*) FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted" 1
URL=$POOLED_URL
run up --lock-wait 300ms
expect_code 31
expect_err 'another runner holds the migration lock: pid [0-9]+'
release
run up
expect_code 0
URL=$direct
finish direct
expect_code 0
expect_sql 'SELECT count(*), count(DISTINCT version) FROM counter' '13|13'

# And the other way round.
mig 14_slow <<<'INSERT INTO counter VALUES (14); INSERT INTO gate VALUES (14);'
hold BEGIN 'LOCK TABLE gate'
URL=$POOLED_URL
start pooled up --lock-timeout 50s
URL=$direct
wait_sql "SELECT count(*) FROM pg_locks WHERE relation = 'gate'::regclass AND NOT granted" 1
run up --lock-wait 300ms
expect_code 31
release
run up
expect_code 0
finish pooled
expect_code 0
expect_sql 'SELECT count(*), count(DISTINCT version) FROM counter' '14|14'

# Who blocks is named through the pooler too, and the attempt leaves nothing.
mig 15_column <<<'ALTER TABLE counter ADD COLUMN note text;'
hold BEGIN 'SELECT * FROM counter'
URL=$POOLED_URL
run up --lock-timeout 1s --lock-retry-budget 1s
URL=$direct
expect_code 32
expect_err "blocked by pid [0-9]+ \\(holder\\)"
expect_err 'SELECT pg_terminate_backend\([0-9]+\);'
release
expect_no_lock

# Roll-back, in a transaction too, with its guard.
mig 15_column down.sql <<<'ALTER TABLE counter DROP COLUMN note;'
URL=$POOLED_URL
run up
expect_code 0
URL=$direct
sql "UPDATE counter SET note = 'x' WHERE version = 1"
URL=$POOLED_URL
run down --yes
expect_code 21
run down --yes --allow-data-loss
expect_code 0
URL=$direct
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 'counter'::regclass AND attname = 'note' AND NOT attisdropped" 0
expect_no_lock
