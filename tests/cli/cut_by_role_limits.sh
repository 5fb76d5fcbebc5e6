# Limits that a role or a database carries for the application's sake do not end a migration, and the log names them.
source "$SUPPORT/lib.sh"
new_db
new_role limited
sql "GRANT CREATE ON DATABASE $DB TO $ROLE; GRANT CREATE ON SCHEMA public TO $ROLE"
for limit in statement_timeout lock_timeout idle_in_transaction_session_timeout idle_session_timeout \
  transaction_timeout; do
  [[ $(sql "SELECT count(*) FROM pg_settings WHERE name = '$limit'") == 1 ]] || continue # not in this version
  sql "ALTER ROLE $ROLE SET $limit = '500ms'"
  limits+=("$limit")
done
mig 1_transaction <<<'CREATE TABLE a (id int); SELECT pg_sleep(1); SELECT pg_sleep(1);'
mig 2_alone <<<"INSERT INTO a VALUES (1); SELECT pg_sleep(1); VACUUM a; CREATE INDEX CONCURRENTLY a_id ON a (id);"
mig 2_alone migration.yaml <<<'transaction: none'
up_limited() {
  local URL=$ROLE_URL
  start limited up --lock-timeout 10s
}
up_limited
finish limited
expect_code 0
for limit in "${limits[@]}"; do
  expect_err "$limit = 500ms"
done

mig 3_waits <<<'ALTER TABLE a ADD COLUMN b int;'
hold BEGIN 'LOCK TABLE a IN ACCESS SHARE MODE'
up_limited
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE usename = '$ROLE' AND wait_event_type = 'Lock'" 1
sleep 1
release
finish limited
expect_code 0
expect_no step_retry
expect_sql "SELECT string_agg(version || ' ' || outcome, ', ' ORDER BY id) FROM lockkeeper.history" \
  '1 applied, 2 applied, 3 applied'
