# Without the second connection, because it is not wanted or because there is no slot for it, a run goes on as it would:
# locks are waited for within --lock-timeout, and nobody is named. Said once where it was not asked for.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"
new_db
new_role owner
sql "GRANT CREATE ON DATABASE $DB TO $ROLE; GRANT CREATE, USAGE ON SCHEMA public TO $ROLE; SET ROLE $ROLE;
     CREATE TABLE t (id int)"
superuser_url=$URL
watchers="SELECT count(*) FROM pg_stat_activity WHERE usename = '$ROLE'"

up_behind_a_report() { # ARGUMENT...
  idle_holder reports 'SELECT count(*) FROM t'
  URL=$ROLE_URL
  start_up --lock-timeout 1s "$@"
  URL=$superuser_url
  sleep 0.7 # in the first attempt
  sessions=$(sql "$watchers")
  wait_log '"event":"step_retry".*"attempt":2'
  idle_commit
  finish up
  expect_code 0
}
mig 1_a <<<'ALTER TABLE t ADD COLUMN a int;'
up_behind_a_report
[[ $sessions == 2 ]] || fail "$sessions sessions, where one works and one watches"
expect_err '"event":"step_blocked"'
expect_no 'no second connection'

mig 2_b <<<'ALTER TABLE t ADD COLUMN b int;'
up_behind_a_report --watch off
[[ $sessions == 1 ]] || fail "$sessions sessions with --watch off"
expect_no '"event":"step_blocked"|no second connection'
expect_log '[.[] | select(.event == "step_retry") | .blockers // [] | length] | add' 0

mig 3_c <<<'ALTER TABLE t ADD COLUMN c int;'
sql "ALTER ROLE $ROLE CONNECTION LIMIT 1"
up_behind_a_report
[[ $sessions == 1 ]] || fail "$sessions sessions with a limit of one"
expect_no '"event":"step_blocked"'
expect_log '[.[] | select(.event == "note" and .level == "warn" and (.msg | contains("no second connection")))] | length' 1
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname IN ('a', 'b', 'c')" 3
