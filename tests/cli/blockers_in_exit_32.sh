# Exit code 32 names who had the table: process, application, state, age, query, and how to end it. What the role may not
# see is left out, and the message says so.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"
new_db
new_role owner
sql "GRANT CREATE ON DATABASE $DB TO $ROLE; GRANT CREATE, USAGE ON SCHEMA public TO $ROLE; SET ROLE $ROLE;
     CREATE TABLE t (id int)"
mig 1_column <<<'ALTER TABLE t ADD COLUMN name text;'
superuser_url=$URL
failure='.[] | select(.event == "step_failed") | .error'
seen='[.[] | select(.event == "step_retry" or .event == "step_blocked") | .blockers[]]'

up_as_owner() {
  URL=$ROLE_URL
  run up --lock-timeout 500ms --lock-retry-budget "${1:-1s}"
  URL=$superuser_url
  expect_code 32
  expect_log "$failure | .sqlstate" 55P03
  expect_log "$failure | .hint | contains(\"SELECT pg_terminate_backend($idle_pid);\")" true
  expect_no ':secret@|insufficient privilege'
}

# A role that may look at all sessions (doctor and grants tell of it).
sql "GRANT pg_read_all_stats TO $ROLE"
idle_holder reports 'SELECT id, 987654321 FROM t'
up_as_owner 3s
expect_log "$failure | .detail | contains(\"pid $idle_pid (reports)\") and contains(\"SELECT id, 987654321 FROM t\") and
  test(\"idle in transaction for [0-9]+\")" true
expect_no 'pg_read_all_stats'

# The owner of the table, who may not look at other roles' sessions.
sql "REVOKE pg_read_all_stats FROM $ROLE"
up_as_owner
expect_log "$failure | .detail | contains(\"pid $idle_pid\")" true
expect_log "$failure | .hint | contains(\"pg_read_all_stats\")" true
expect_log "$seen | length >= 1 and
  all(.pid == $idle_pid and (has(\"query\") or has(\"state\") or has(\"client\") | not))" true
expect_no '987654321'
idle_commit

# A query may hold a secret.
sql "GRANT pg_read_all_stats TO $ROLE"
idle_holder reports "SELECT id, 'hunter2' AS password FROM t"
up_as_owner
expect_log "$failure | .detail | contains(\"pid $idle_pid (reports)\") and contains(\"idle in transaction\")" true
expect_no 'hunter2'
idle_commit
URL=$ROLE_URL
run up
expect_code 0
