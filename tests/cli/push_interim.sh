# A run that goes on says so: in progress, since when, how far, with a heartbeat of its own, and nothing about its end.
# The end says that it is over. One that is killed stays "in progress" in the Pushgateway, where only its heartbeat tells
# that it is not; the next run corrects that. An interim push that hangs does not hold the run up.
source "$SUPPORT/lib.sh"
new_db
ENV=(LOCKKEEPER_METRICS_URL="$PUSHGATEWAY_URL" LOCKKEEPER_METRICS_NAMESPACE=shop LOCKKEEPER_METRICS_INTERVAL=200ms)
# sample METRIC: its value in this database's group; empty when there is none.
sample() {
  curl -fsS "$PUSHGATEWAY_URL/metrics" | grep -E "^$1\{" | grep -F "database=\"$DB\"" | sed 's/.* //' || true
}
expect_sample() {
  [[ $(sample "$1") == "$2" ]] || fail "metric $1 is '$(sample "$1")', expected '$2'"
}
# wait_sample METRIC CONDITION [SECONDS]: until awk finds it true of the value v.
wait_sample() {
  local deadline=$((SECONDS + ${3:-20}))
  until awk -v v="$(sample "$1")" "BEGIN { exit !(v != \"\" && ($2)) }"; do
    ((SECONDS < deadline)) || fail "metric $1 is '$(sample "$1")', not $2"
    sleep 0.1
  done
}

# With a first run, so that there is a last success to keep.
mig 1_a <<<'CREATE TABLE gate (id int);'
run up
expect_code 0
success=$(sample lockkeeper_last_success_timestamp_seconds)
started=$(sample lockkeeper_run_started_timestamp_seconds)
expect_sample lockkeeper_run_in_progress 0

mig 2_b <<<'CREATE TABLE b (id int);'
mig 3_wait <<<'INSERT INTO gate VALUES (1);'
mig 4_d <<<'CREATE TABLE d (id int);'
hold BEGIN 'LOCK TABLE gate'
start held up --lock-timeout 100s
wait_sample lockkeeper_run_in_progress 'v == 1'
wait_sample lockkeeper_migrations_applied 'v == 1'
wait_sample lockkeeper_migrations_pending 'v == 2'
wait_sample lockkeeper_statement_running_seconds 'v > 1'
wait_sample lockkeeper_blockers_seen 'v == 1'
wait_sample lockkeeper_run_started_timestamp_seconds "v > $started"
expect_sample lockkeeper_last_success_timestamp_seconds "$success"
expect_sample lockkeeper_last_run_success 1 # of the run before
heartbeat=$(sample lockkeeper_run_heartbeat_timestamp_seconds)
wait_sample lockkeeper_run_heartbeat_timestamp_seconds "v > $heartbeat"
release
finish held
expect_code 0
expect_sample lockkeeper_run_in_progress 0
expect_sample lockkeeper_statement_running_seconds 0
expect_sample lockkeeper_migrations_applied 3
expect_sample lockkeeper_blockers_seen 1

# Who waits behind it is told while they wait.
mig 5_slow <<<'ALTER TABLE gate ADD COLUMN note text; SELECT pg_sleep(6);'
start slow up
wait_sql "SELECT count(*) FROM pg_locks WHERE relation = 'gate'::regclass AND mode = 'AccessExclusiveLock' AND granted" 1
psql -Xq -c 'SELECT count(*) FROM gate' "$URL" </dev/null >/dev/null &
jobs_of_test+=("$!")
wait_sample lockkeeper_queue_peak_sessions 'v == 1'
wait_sample lockkeeper_queue_longest_seconds 'v > 0.4'
expect_sample lockkeeper_run_in_progress 1
finish slow
expect_code 0

# Killed: nobody is there to say that it is over.
mig 6_wait <<<'INSERT INTO gate VALUES (2);'
hold BEGIN 'LOCK TABLE gate'
start killed up --lock-timeout 100s
wait_sample lockkeeper_run_in_progress 'v == 1'
kill -KILL "$pid_killed"
wait "$pid_killed" 2>/dev/null || true
sleep 0.5
heartbeat=$(sample lockkeeper_run_heartbeat_timestamp_seconds)
sleep 1
expect_sample lockkeeper_run_in_progress 1
expect_sample lockkeeper_run_heartbeat_timestamp_seconds "$heartbeat"
release
run up
expect_code 0
expect_sample lockkeeper_run_in_progress 0

# SIGTERM while an interim push hangs: the push is given up at once; only the last ones may take their time, two seconds
# together, and the termination message is there before them.
mig 7_wait <<<'SELECT pg_sleep(100);'
python3 "$SUPPORT/bad_gateway.py" hang >port 2>hang.errors &
jobs_of_test+=("$!")
until [[ -s port ]]; do sleep 0.1; done
ENV=(LOCKKEEPER_METRICS_URL="http://127.0.0.1:$(<port),http://127.0.0.1:$(<port)/api/v1/import/prometheus"
  LOCKKEEPER_METRICS_INTERVAL=200ms LOCKKEEPER_METRICS_TIMEOUT=60s LOCKKEEPER_TERMINATION_LOG=term.json
  OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:$(<port)")
start term up
sleep 2
begin=$EPOCHREALTIME
kill -TERM "$pid_term"
until [[ -s term.json ]]; do
  kill -0 "$pid_term" || fail 'it ended without a termination message'
  sleep 0.1
done
kill -0 "$pid_term" || fail 'the termination message came last'
[[ $(jq .exit_code term.json) == 143 ]] || fail "the termination message is $(<term.json)"
finish term
took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
expect_code 143
((took < 8000)) || fail "it took $took ms to end"
expect_err 'metrics not pushed'
(($(grep -c 'metrics not pushed' <<<"$err") == 2)) || fail 'not one warning for each'

# Never, when it is not wanted.
sql 'DELETE FROM gate'
mig 7_wait <<<'SELECT pg_sleep(1);'
ENV=(LOCKKEEPER_METRICS_URL="$PUSHGATEWAY_URL" LOCKKEEPER_METRICS_JOB=quiet LOCKKEEPER_METRICS_INTERVAL=0)
start quiet up
sleep 0.7
curl -fsS "$PUSHGATEWAY_URL/metrics" >pushed
! grep -F "database=\"$DB\"" pushed | grep -F 'job="quiet"' || fail 'an interim push'
finish quiet
expect_code 0
