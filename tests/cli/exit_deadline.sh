# Exit code 19: --deadline ends a running statement on the server, and no wait outlasts it: the code says what was waited for.
source "$SUPPORT/lib.sh"
new_db
mig 1_slow <<<'CREATE TABLE a (id int); SELECT pg_sleep(60);'
begin=$SECONDS
run up --deadline 2s
expect_code 19
((SECONDS - begin < 12)) || fail "took $((SECONDS - begin)) seconds"
expect_err 'the deadline was reached while a statement ran; it was cancelled'
expect_sql "SELECT to_regclass('a') IS NULL" t
expect_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()" 0
expect_sql "SELECT outcome, statements_done FROM lockkeeper.history" 'failed|0'

mig 1_slow <<<'CREATE TABLE a (id int);'
run up --deadline 60s
expect_code 0

mig 2_locked <<<'ALTER TABLE a ADD COLUMN b int;'
hold 'BEGIN' 'LOCK TABLE a'
run up --deadline 3s --lock-timeout 200ms --lock-retry-budget 5m
expect_code 32
run up --deadline 2s --lock-timeout 5m
expect_code 32
release
key="hashtextextended(current_database()::text || ':lockkeeper.history', 0)"
hold "SELECT pg_advisory_lock($key)"
run up --deadline 2s --lock-wait 5m
expect_code 31
release
URL=postgresql://postgres:x@127.0.0.1:9/x
run up --deadline 2s --connect-wait 5m
expect_code 30
