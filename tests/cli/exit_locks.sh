# Exit codes 31 and 32: the migration lock and a table's lock are not to be had, and the message names who has them.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE a (id int)'
mig 1_a <<<'ALTER TABLE a ADD COLUMN b int;'
key="hashtextextended(current_database()::text || ':lockkeeper.history', 0)"

hold "SELECT pg_advisory_lock($key)"
begin=$SECONDS
run up --lock-wait 0
expect_code 31
((SECONDS - begin <= 2)) || fail "--lock-wait 0 took $((SECONDS - begin)) seconds"
expect_err 'another runner holds the migration lock: pid [0-9]+ .holder., user postgres.* from 127.0.0.1 '
run up --lock-wait 1s
expect_code 31
expect_err '"event":"lock_waiting".*"holder_application":"holder"'
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'b'" 0
start waiting up --lock-wait 60s
sleep 1
release
finish waiting
expect_code 0

mig 2_a <<<'ALTER TABLE a ADD COLUMN c int;'
hold BEGIN 'LOCK TABLE a IN ACCESS SHARE MODE'
begin=$SECONDS
run up --lock-timeout 100ms --lock-retry-budget 1s
expect_code 32
((SECONDS - begin <= 6)) || fail "a budget of 1 s took $((SECONDS - begin)) seconds"
expect_err '55P03'
expect_err 'Gave up after [0-9]+ attempts'
expect_err '"event":"step_retry"'
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'c'" 0
start waiting up --lock-timeout 200ms --lock-retry-budget 60s
sleep 1
release
finish waiting
expect_code 0
expect_sql "SELECT outcome FROM lockkeeper.history WHERE version = '2' ORDER BY id" $'failed\napplied'
