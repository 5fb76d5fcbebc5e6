# CREATE INDEX CONCURRENTLY waits twice. For its first lock of the table, like everybody: within --lock-timeout, then it
# gives way and tries again. For old snapshots, when half of its work is done: there it is left alone, and the log says
# for whom it waits.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"
new_db
sql 'CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 100); CREATE TABLE other (id int)'
valid="SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass"

version=0
for mode in 'ACCESS EXCLUSIVE' 'SHARE UPDATE EXCLUSIVE'; do
  version=$((version + 1))
  mig "${version}_index" <<<"CREATE INDEX CONCURRENTLY t_$version ON t (id);"
  idle_holder maintenance "LOCK TABLE t IN $mode MODE"
  start_up --lock-timeout 1s
  wait_log '"event":"step_retry"'
  idle_commit
  finish up
  expect_code 0
  expect_sql "$valid ('t_$version')" t
  expect_log "[.[] | select(.event == \"step_blocked\" or .event == \"step_retry\") | .blockers[] |
    .pid == $idle_pid and .application_name == \"maintenance\"] | length >= 2 and all" true
  # Nothing was begun by an attempt that gave way.
  expect_no 'INVALID'
done

mig 3_snapshot <<<'CREATE INDEX CONCURRENTLY t_3 ON t (id);'
idle_holder reports 'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ' 'SELECT count(*) FROM other'
start_up --lock-timeout 500ms
wait_log '"event":"step_progress"'
sleep 1 # four times the limit by now
kill -0 "$pid_up" || fail "it did not wait for the old snapshot"
expect_sql "$valid ('t_3')" f
idle_commit
finish up
expect_code 0
expect_sql "$valid ('t_3')" t
expect_no '"event":"step_retry"|INVALID'
expect_log "[.[] | select(.event == \"step_progress\") | .waiting_for[]?] | length >= 1 and
  all(.pid == $idle_pid and .application_name == \"reports\")" true
expect_log '[.[] | select(.event == "step_progress") | .phase] | first' 'waiting for old snapshots'
