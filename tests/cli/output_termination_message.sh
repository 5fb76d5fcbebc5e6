# The termination message: JSON of at most 2 KiB that agrees with the exit code, whatever the size of the error; also without a database.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
message() { # CODE
  expect_code "$1"
  (($(wc -c <message) <= 2048)) || fail "$(wc -c <message) bytes"
  [[ $(jq -r .exit_code message) == "$1" ]] || fail "another exit code: $(cat message)"
}
run check --termination-log message
message 3
run up --termination-log message
message 0
[[ $(jq -r '"\(.outcome) \(.applied) \(.version_to) \(.database)"' message) == "ok 1 1 $DB" ]] || fail "wrong: $(cat message)"

long=$(printf 'x%.0s' {1..5000})
mig 2_long <<<"DO \$\$ BEGIN RAISE EXCEPTION 'ü$long' USING DETAIL = '\"\"\"$long', HINT = '$long'; END \$\$;"
run up --termination-log message
message 12
[[ $(jq -r '"\(.error.file) \(.error.line) \(.error.sqlstate)"' message) == 'migrations/2_long/up.sql 1 P0001' ]] || fail "wrong: $(cat message)"

ENV=(LOCKKEEPER_TERMINATION_LOG=message)
good=$URL URL=
run up
message 10
URL=postgresql://app:x@127.0.0.1:9/app
run up --connect-wait 0
message 30
URL=$good
run up --migrations nowhere
message 11
mig 2_long <<<'SELECT pg_sleep(60);'
start stopped up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT pg_sleep(60)%'" 1
kill -TERM "$pid_stopped"
finish stopped
message 143
ENV=()
rm migrations/2_long -r
run up --termination-log /nowhere/message # a warning, no failure
expect_code 0
expect_err '"level":"warn".*/nowhere/message'
[[ ! -e /dev/termination-log ]] || fail "/dev/termination-log was made"
