# Ten ways in which a run can end: the last log line, the termination message, the metrics and the history say the same.
source "$SUPPORT/lib.sh"

# metric NAME: from the metrics file; empty when it is not there.
metric() { sed -nE "s/^lockkeeper_$1(\{[^}]*\})? //p" metrics.prom; }
field() { jq -r "if .$1 == null then empty else (.$1 | if . == true then 1 elif . == false then 0 else . end) end" term.json; }

# same FIELD METRIC [DEFAULT]: they are the same number; what the message leaves out is DEFAULT, or not there either.
same() {
  local said measured
  said=$(field "$1")
  measured=$(metric "$2")
  awk -v a="${said:-${3:-}}" -v b="$measured" 'BEGIN { exit !(a == "" ? b == "" : (a - b) ^ 2 < 1e-12) }' ||
    fail "$1 is '$said' in the termination message, and lockkeeper_$2 is '$measured'"
}

# ended NAME CODE: what the last run left behind agrees with itself. count_before and rows_before: of the history before.
ended() {
  local name=$1 last
  expect_code "$2"
  last=$(tail -n 1 <<<"$err")
  [[ $(jq -r .event <<<"$last") == run_finished ]] || fail "$name: the last line is no run_finished"
  [[ $(jq -cS 'del(.ts, .level, .event, .msg)' <<<"$last") == "$(jq -cS . term.json)" ]] ||
    fail "$name: the termination message is $(<term.json)"
  [[ $(field exit_code) == "$2" ]] || fail "$name: the termination message has the exit code $(field exit_code)"
  if [[ $(field database) == '' ]]; then
    [[ ! -e metrics.prom ]] || fail "$name: metrics without a database"
    return
  fi
  same exit_code last_run_exit_code
  [[ $(metric last_run_success) == $((code == 0)) ]] || fail "$name: last_run_success"
  same applied migrations_applied
  same pending migrations_pending
  same known migrations_known
  same half_done migrations_half_done
  same ahead schema_ahead
  same checksum_mismatches checksum_mismatches
  same lock_wait_seconds lock_wait_seconds 0
  same lock_attempts lock_attempts 0
  same lock_timeout_retries lock_timeout_retries 0
  same blockers_seen blockers_seen 0
  same invalid_indexes_repaired invalid_indexes_repaired 0
  same touched_table_rows touched_table_rows 0
  same duration_seconds last_run_duration_seconds
  [[ $(sed -nE 's/^lockkeeper_schema_version_info\{.*version="([^"]*)".*/\1/p' metrics.prom) == "$(field version_to)" ]] ||
    fail "$name: schema_version_info"
  # And the history: how many were applied, what failed and why, where the schema stands, what is pending.
  expect_sql "SELECT count(*) FROM lockkeeper.history WHERE id > $rows_before AND outcome = 'applied'" "$(field applied)"
  expect_sql "SELECT coalesce(max(version::int), 0) FROM lockkeeper.history WHERE outcome = 'applied'" "$(field version_to)"
  expect_sql "SELECT count(*) FROM (SELECT DISTINCT ON (version) outcome FROM lockkeeper.history WHERE outcome <> 'failed'
    ORDER BY version, id DESC) s WHERE outcome = 'started'" "$(field half_done)"
  expect_sql "SELECT details->>'pending' IS NULL OR details->>'pending' = '$(field pending)' FROM
    (SELECT details FROM lockkeeper.history WHERE id > $rows_before ORDER BY id DESC LIMIT 1) newest
    UNION ALL SELECT true WHERE NOT EXISTS (SELECT 1 FROM lockkeeper.history WHERE id > $rows_before)" t
  if [[ $3 == told ]]; then
    message=$(jq -r .error.message term.json)
    expect_sql "SELECT position(\$m\$$message\$m\$ IN error) > 0 FROM lockkeeper.history WHERE id > $rows_before
      ORDER BY id DESC LIMIT 1" t
  fi
  echo "$name: exit code $code, $(field applied) applied, $(field pending) pending"
}
before() {
  rm -f term.json metrics.prom
  rows_before=$(sql "SELECT coalesce(max(id), 0) FROM lockkeeper.history" 2>/dev/null || echo 0)
}
# fresh NAME: a database of its own, with one migration applied.
fresh() {
  rm -rf migrations
  new_db "$1"
  ENV=(LOCKKEEPER_TERMINATION_LOG=term.json LOCKKEEPER_METRICS_FILE=metrics.prom)
  mig 1_t <<<'CREATE TABLE t (id int);'
  run up
  expect_code 0
  before
}

fresh success
mig 2_a <<<'ALTER TABLE t ADD COLUMN a int;'
mig 3_b <<<'ALTER TABLE t ADD COLUMN b int;'
run up
ended success 0 ''
before
run up
ended no_op 0 ''

fresh sql_error
mig 2_a <<<'CREATE TABLE a (id int);'
mig 3_bad <<<'SELECT 1 / 0;'
mig 4_c <<<'CREATE TABLE c (id int);'
run up
ended sql_error 12 told

fresh table_locked
mig 2_a <<<'ALTER TABLE t ADD COLUMN a int;'
hold BEGIN 'LOCK TABLE t'
run up --lock-timeout 300ms --lock-retry-budget 1s
release
ended table_locked 32 told
[[ $(field blockers_seen) == 1 ]] || fail 'the blocker was not counted'

fresh changed_file
mig 1_t <<<'CREATE TABLE t (id bigint);'
run up
ended changed_file 14 ''
[[ $(field checksum_mismatches) == 1 ]] || fail 'the changed file was not counted'

fresh unreachable
rm -f metrics.prom
URL=postgresql://127.0.0.1:1/nowhere run up --connect-wait 0
ended unreachable 30 ''

fresh interrupted
mig 2_slow <<<'SELECT pg_sleep(60);'
start term up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND datname = current_database()
  AND application_name LIKE 'lockkeeper%'" 1
kill -TERM "$pid_term"
finish term
ended interrupted 143 told

fresh half_done
mig 2_half <<<'CREATE INDEX CONCURRENTLY t_id ON t (id); SELECT 1 / 0;'
mig 2_half migration.yaml <<<'transaction: none'
run up
ended half_done 13 told
[[ $(field half_done) == 1 ]] || fail 'the half done migration was not counted'

fresh ahead
mig 2_a <<<'CREATE TABLE a (id int);'
run up
rm -r migrations/2_a
before
run up
ended ahead 0 ''
[[ $(field ahead) == 1 ]] || fail 'it does not know that it is behind'

fresh not_as_expected
mig 2_a <<<'CREATE TABLE a (id int);'
mig 2_a migration.yaml <<<'expect: {columns: {a: {nowhere: {type: text}}}}'
run up
ended not_as_expected 16 told
