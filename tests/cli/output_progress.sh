# How far a long statement is: on a terminal one line that is drawn again, in the log a record at two seconds. Whoever
# blocks a migration is named, while it waits, when it gives way, and when it gives up.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE a (id int)'

mig 1_slow <<<'SELECT pg_sleep(3.5);'
ENV=(TERM=xterm NO_COLOR=1)
run_terminal '' up --yes
expect_code 0
clear=$'\r\x1b\\[K'
line="$clear  … 1_slow, statement 1 of 1: SELECT · 00"
expect_out "$line:02$line:03$clear  ✓ 1  slow"
ENV=()

mig 2_slow <<<'SELECT pg_sleep(3);'
run up
expect_code 0
fields='"version":"2","name":"slow","statement":1,"statements":1,"kind":"SELECT","running_seconds":2\.'
expect_err "\"event\":\"step_progress\".*$fields"
[[ $(grep -c step_progress <<<"$err") == 1 ]] || fail 'told more than once in three seconds'

# A second session waits behind the migration: it is counted.
hold BEGIN 'LOCK TABLE a IN ACCESS SHARE MODE'
mig 3_alter <<<'ALTER TABLE a ADD COLUMN b int;'
start waiting up --lock-timeout 20s
wait_sql "SELECT count(*) FROM pg_locks WHERE relation = 'a'::regclass AND NOT granted" 1
psql -Xqc 'SELECT count(*) FROM a' "$URL" </dev/null >reader.log 2>&1 &
jobs_of_test+=("$!")
deadline=$((SECONDS + 15))
until grep -q '"event":"step_blocked".*"queued":1' waiting.err; do
  ((SECONDS < deadline)) || fail "nobody was seen waiting: $(<waiting.err)"
  sleep 0.1
done
release
finish waiting
expect_code 0
blocked=$(grep '"event":"step_blocked"' <<<"$err" | tail -n 1)
holders=$(jq -r '.blockers | map("\(.application_name), \(.backend_type), \(.user), \(.state), \(.query)") | .[]' \
  <<<"$blocked")
[[ $holders == 'holder, client backend, postgres, active, SELECT pg_sleep(600)' ]] || fail "not the holder: $blocked"
[[ $(jq -r '"\(.level) \(.version) \(.statement)"' <<<"$blocked") == 'warn 3 1' ]] || fail "not so: $blocked"

# It gives way with the holder's name, and the last error says how to end it: in 2 KiB.
hold BEGIN 'LOCK TABLE a IN ACCESS SHARE MODE'
pid=$(sql "SELECT pid FROM pg_stat_activity WHERE application_name = 'holder' AND datname = current_database()")
mig 4_alter <<<'ALTER TABLE a ADD COLUMN c int;'
run up --lock-timeout 600ms --lock-retry-budget 1s --termination-log message
expect_code 32
expect_err "\"event\":\"step_retry\".*\"blockers\":\[\{\"pid\":$pid,\"application_name\":\"holder\""
(($(wc -c <message) <= 2048)) || fail 'the termination message is too long'
[[ $(jq -r .error.detail message) == *"pid $pid (holder), user postgres"* ]] || fail "not named: $(<message)"
[[ $(jq -r .error.hint message) == *"SELECT pg_terminate_backend($pid);"* ]] || fail "no way out: $(<message)"

run up --lock-timeout 300ms --lock-retry-budget 0 --watch off
expect_code 32
expect_no step_blocked
release
