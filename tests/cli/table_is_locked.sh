# A table that another session holds for a while: attempts with --lock-timeout, the log tells each, and it lands once the
# table is free. statement_timeout of the role, which would cut the wait, does not count.
source "$SUPPORT/lib.sh"
new_db
new_role owner
sql "GRANT CREATE ON DATABASE $DB TO $ROLE; GRANT CREATE ON SCHEMA public TO $ROLE"
sql "SET ROLE $ROLE; CREATE TABLE t (id int)"
sql "ALTER ROLE $ROLE SET statement_timeout = '100ms'; ALTER ROLE $ROLE SET lock_timeout = '50ms';
     ALTER ROLE $ROLE SET idle_in_transaction_session_timeout = '50ms'"
mig 1_column <<<'SELECT pg_sleep(0.3); ALTER TABLE t ADD COLUMN name text; SELECT pg_sleep(0.3);'

hold BEGIN 'SELECT * FROM t'
direct=$URL
URL=$ROLE_URL
start waiting up --lock-timeout 200ms
URL=$direct
sleep 1.5
release
finish waiting
expect_code 0
expect_err '"event":"step_retry".*"attempt":1'
expect_err '"lock_timeout_retries":[1-9]'
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'name'" 1
expect_sql 'SELECT outcome, applied_by FROM lockkeeper.history' "applied|$ROLE"

# A limit of our own does count.
mig 2_slow <<<'SELECT pg_sleep(30);'
mig 2_slow migration.yaml <<<'statement_timeout: 200ms'
run up
expect_code 12
expect_err '57014'
rm -r migrations/2_slow
mig 2_slow <<<'SELECT pg_sleep(30);'
run up --statement-timeout 200ms
expect_code 12
