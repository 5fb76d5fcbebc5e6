# Real runs, each against a database of its own, a real Pushgateway and a real Prometheus with the real rules: the
# metrics say what happened, and exactly the alerts fire that should, for exactly those databases. Then the same push
# ages by an hour, for the alerts that take their time.
source "$SUPPORT/lib.sh"
source "$SUPPORT/prometheus.sh"
top=$PWD
ENV=(LOCKKEEPER_METRICS_URL="$PUSHGATEWAY_URL" LOCKKEEPER_METRICS_NAMESPACE=alerts LOCKKEEPER_METRICS_INTERVAL=5s)

# case_of NAME: a directory and a database of that name.
case_of() {
  mkdir "$top/$1"
  cd "$top/$1"
  new_db "$1"
}
until_asleep() {
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'" 1
}
last_success_of() {
  curl -fsS "$PUSHGATEWAY_URL/metrics" | grep "^lockkeeper_last_success_timestamp_seconds{.*\"${DB}_$1\""
}
group_of() { printf '%s/metrics/job/lockkeeper/namespace/alerts/database/%s_%s' "$PUSHGATEWAY_URL" "$DB" "$1"; }

# --- the runs. Two that last are first: they live long enough to say that they do.
for name in long lost; do
  case_of "$name"
  mig 1_a <<<'CREATE TABLE a (id int);'
  mig 2_slow <<<'SELECT pg_sleep(300);'
  mig 3_c <<<'CREATE TABLE c (id int);'
  start "$name" up
done

case_of good
mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE TABLE b (id int);'
run up
expect_code 0

case_of nothing_to_do
mig 1_a <<<'CREATE TABLE a (id int);'
run up
run up
expect_code 0

case_of sql_failed
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
last_success_of sql_failed >"$top/success"
mig 2_bad <<<'SELECT 1 / 0;'
mig 3_c <<<'CREATE TABLE c (id int);'
run up
expect_code 12

case_of table_locked
sql 'CREATE TABLE a (id int)'
mig 1_a <<<'ALTER TABLE a ADD COLUMN b int;'
hold BEGIN 'LOCK TABLE a IN ACCESS SHARE MODE'
run up --lock-timeout 100ms --lock-retry-budget 1s
expect_code 32
release

case_of changed_file
mig 1_a <<<'CREATE TABLE a (id int);'
run up
mig 1_a <<<'CREATE TABLE a (id bigint);'
run up
expect_code 14

case_of unreachable
URL=postgresql://127.0.0.1:1/${DB}_unreachable
mig 1_a <<<'CREATE TABLE a (id int);'
run up --connect-wait 0
expect_code 30

case_of interrupted
mig 1_slow <<<'SELECT pg_sleep(60);'
start interrupted up
until_asleep
kill -TERM "$pid_interrupted"
finish interrupted
expect_code 143

case_of half_done
mig 1_half migration.yaml <<<'transaction: none'
mig 1_half <<<'CREATE TABLE a (id int); CREATE INDEX CONCURRENTLY a_id ON a (no_such_column);'
run up
expect_code 13

case_of ahead
mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE TABLE b (id int);'
run up
rm -r migrations/2_b
run up
expect_code 0

case_of not_as_expected
mig 1_a <<<'CREATE TABLE a (id int);'
mig 1_a migration.yaml <<<'expect: {columns: {a: {name: {type: text}}}}'
run up
expect_code 16

case_of lock_waited
mig 1_a <<<'CREATE TABLE a (id int);'
hold "SELECT pg_advisory_lock(hashtextextended(current_database()::text || ':lockkeeper.history', 0))"
start lock_waited up
sleep 3
release
finish lock_waited
expect_code 0

case_of recovered
mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'SELECT 1 / 0;'
run up
expect_code 12
mig 2_b <<<'SELECT 1;'
run up
expect_code 0

# The Pushgateway says no to another type of the same name, and notes that in the group.
case_of refused
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
answer=$(printf '# TYPE lockkeeper_last_run_success counter\nlockkeeper_last_run_success 1\n' |
  curl -sS -o /dev/null -w '%{http_code}' --data-binary @- "$(group_of refused)")
[[ $answer == 400 ]] || fail "the Pushgateway took another type: $answer"

# What kube-state-metrics would say about two Jobs.
for job in shop-lockkeeper shop-backup; do
  echo "kube_job_failed{condition=\"true\",job_name=\"$job\"} 1" |
    curl -fsS --data-binary @- "$PUSHGATEWAY_URL/metrics/job/kube-state-metrics/namespace/alerts/name/$job"
done

# --- Prometheus, with the rules but for their patience: what is awaited for minutes here is awaited for a second, a run
# is long after 5 s, lost after 15 s of silence (it pushes every 5), and 2 s of waiting for the lock are a long time.
cd "$top"
sed -E 's/^( *for:) .*/\1 1s/; s/> 900$/> 5/; s/> 60$/> 2/; s/(< |>= )60(\)?)$/\115\2/' \
  "$REPO/deploy/helm/lockkeeper/files/rules.yaml" >rules.yaml
[[ $(diff "$REPO/deploy/helm/lockkeeper/files/rules.yaml" rules.yaml | grep -c '^>') == 11 ]] ||
  fail "not 11 lines of the rules were changed: $(diff "$REPO/deploy/helm/lockkeeper/files/rules.yaml" rules.yaml)"
cat >prometheus.yml <<YAML
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: pushgateway
    honor_labels: true
    static_configs: [{targets: ["${PUSHGATEWAY_URL#http://}"]}]
YAML
mkdir data
[[ -z $(server_user) ]] || chown "$(server_user)" data
pushed_at=("${ENV[@]}")
ENV=()
start_service prometheus -/ready prometheus --config.file="$top/prometheus.yml" --storage.tsdb.path="$top/data" \
  --web.listen-address=127.0.0.1:PORT --log.level=warn
# shellcheck disable=SC2034 # for `query`
PROMETHEUS_URL=http://127.0.0.1:$service_port
ENV=("${pushed_at[@]}")

# --- the metrics say what happened
# expect_metric NAME METRIC VALUE [MORE-LABELS]: of the case of that name; VALUE '' means that there is none.
expect_metric() {
  local found
  found=$(query "$2{namespace=\"alerts\", database=\"${DB}_$1\"${4:+, $4}}" | jq -r 'map(.value[1]) | join(" ")')
  [[ $found == "$3" ]] || fail "$2 of $1 is '$found', expected '$3'"
}
wait_query "lockkeeper_last_run_exit_code{namespace=\"alerts\", database=\"${DB}_refused\"}"
wait_query 'kube_job_failed{job_name="shop-backup"}'
while read -r name exit_code applied pending half_done ahead mismatches; do
  expect_metric "$name" lockkeeper_last_run_exit_code "$exit_code"
  expect_metric "$name" lockkeeper_last_run_success $((exit_code == 0))
  expect_metric "$name" lockkeeper_migrations_applied "$applied"
  expect_metric "$name" lockkeeper_migrations_pending "$pending"
  expect_metric "$name" lockkeeper_migrations_half_done "$half_done"
  expect_metric "$name" lockkeeper_schema_ahead "$ahead"
  expect_metric "$name" lockkeeper_checksum_mismatches "$mismatches"
  expect_metric "$name" lockkeeper_run_in_progress 0
  expect_metric "$name" lockkeeper_statement_running_seconds 0
done <<'RUNS'
good            0  2 0 0 0 0
nothing_to_do   0  0 0 0 0 0
sql_failed      12 0 2 0 0 0
table_locked    32 0 1 0 0 0
changed_file    14 0 0 0 0 1
interrupted     143 0 1 0 0 0
half_done       13 0 1 1 0 0
ahead           0  0 0 0 1 0
not_as_expected 16 0 1 0 0 0
lock_waited     0  1 0 0 0 0
recovered       0  1 0 0 0 0
RUNS
expect_metric unreachable lockkeeper_last_run_exit_code ''
[[ $(query "{database=\"${DB}_unreachable\"}") == '[]' ]] || fail 'a run that reached nothing left metrics'
# A failed run keeps the last success of the one before; a good one leaves nothing of it but the schema.
[[ $(wc -l <success) == 1 ]] || fail "the first success of sql_failed: $(<success)"
last_success_of sql_failed | diff success - || fail 'the failed run took the last success away'
expect_metric sql_failed lockkeeper_schema_version_info 1 'version="1"'
expect_metric table_locked lockkeeper_last_success_timestamp_seconds ''
expect_metric recovered lockkeeper_migration_duration_seconds '' 'version="1"'
[[ $(query "lockkeeper_migration_duration_seconds{database=\"${DB}_recovered\", version=\"2\"} > 0") != '[]' ]] ||
  fail 'no duration of what the good run applied'
[[ $(query "lockkeeper_lock_timeout_retries{database=\"${DB}_table_locked\"} >= 1") != '[]' ]] || fail 'no retries'
[[ $(query "lockkeeper_blockers_seen{database=\"${DB}_table_locked\"} == 1") != '[]' ]] || fail 'not one blocker'
[[ $(query "lockkeeper_lock_wait_seconds{database=\"${DB}_lock_waited\"} > 2") != '[]' ]] || fail 'no wait for the lock'
[[ $(query "lockkeeper_lock_attempts{database=\"${DB}_lock_waited\"} >= 2") != '[]' ]] || fail 'one attempt only'

# --- live: two runs say that they are at work, and nothing about an end
for name in long lost; do
  wait_query "lockkeeper_run_in_progress{namespace=\"alerts\", database=\"${DB}_$name\"} == 1" 40
  expect_metric "$name" lockkeeper_migrations_applied 1
  expect_metric "$name" lockkeeper_migrations_pending 2
  expect_metric "$name" lockkeeper_last_run_exit_code ''
  [[ $(query "lockkeeper_statement_running_seconds{database=\"${DB}_$name\"} > 5") != '[]' ]] ||
    fail "$name: how long the statement has been running"
done
kill -KILL "$pid_lost"

# --- the alerts
# alerts: "alert database-or-Job" of those that fire, sorted.
alerts() {
  curl -fsS "$PROMETHEUS_URL/api/v1/alerts" >alerts.json
  jq -r --arg db "${DB}_" '.data.alerts[] | select(.state == "firing" and .labels.namespace == "alerts")
    | "\(.labels.alertname) \((.labels.database // .labels.job_name) | ltrimstr($db))"' alerts.json | sort
}
# expect_alerts FILE: these and no other, within 60 seconds, and still five seconds later.
expect_alerts() {
  local deadline=$((SECONDS + 60))
  until diff "$1" <(alerts) >difference; do
    ((SECONDS < deadline)) || fail "not these alerts (<: missing, >: too many):"$'\n'"$(<difference)"
    sleep 0.5
  done
  sleep 5
  diff "$1" <(alerts) >difference || fail "the alerts did not stay (<: missing, >: too many):"$'\n'"$(<difference)"
}
sort >expected <<'ALERTS'
ChecksumMismatch changed_file
MetricsPushFailing refused
MigrationFailed changed_file
MigrationFailed half_done
MigrationFailed interrupted
MigrationFailed not_as_expected
MigrationFailed sql_failed
MigrationFailed table_locked
MigrationJobFailed shop-lockkeeper
MigrationLockWaitHigh lock_waited
MigrationRunLost lost
MigrationRunningTooLong long
SchemaAhead ahead
SchemaHalfDone half_done
SchemaPending half_done
SchemaPending interrupted
SchemaPending lost
SchemaPending not_as_expected
SchemaPending sql_failed
SchemaPending table_locked
ALERTS
expect_alerts expected
[[ $(cut -d ' ' -f 1 expected | sort -u) == "$(sed -nE 's/^ *- alert: //p' rules.yaml | sort -u)" ]] ||
  fail 'there is an alert that nothing here makes fire'
# What people read names database and namespace, and is whole.
jq -r '.data.alerts[] | select(.labels.namespace == "alerts")
  | [.labels.database // .labels.job_name, (.annotations | .summary, .description, .runbook_url)] | @tsv' \
  alerts.json >texts
while IFS=$'\t' read -r about summary description runbook; do
  [[ $summary == *"$about"* && $summary == *alerts* ]] || fail "the summary does not say where: $summary"
  [[ $summary$description != *'{{'* && $summary$description != *'<'* ]] || fail "not rendered: $summary $description"
  [[ -s $REPO/$runbook ]] || fail "no runbook $runbook"
done <texts
(($(wc -l <texts) >= 20)) || fail 'hardly any texts'

# --- the same push, as time goes by, with the rules as they are: every timestamp becomes relative to now
curl -fsS "$PUSHGATEWAY_URL/metrics" >metrics
grep -E '^(# (HELP|TYPE) )?lockkeeper_' metrics | promtool check metrics >check.log 2>&1 || echo 'it failed' >>check.log
[[ ! -s check.log ]] || fail "promtool check metrics: $(<check.log)"
awk '/^ *annotations:/ {skip = match($0, /[^ ]/); next}
     skip && match($0, /[^ ]/) > skip {next}
     {skip = 0; print}' "$REPO/deploy/helm/lockkeeper/files/rules.yaml" >bare_rules.yaml
at_once='ChecksumMismatch:warning:changed_file SchemaAhead:info:ahead SchemaHalfDone:critical:half_done'
at_once+=' MetricsPushFailing:warning:refused MigrationFailed:critical,fatal:changed_file'
for name in half_done not_as_expected sql_failed; do
  at_once+=" MigrationFailed:critical,fatal:$name"
done
lost=' MigrationRunLost:warning:long MigrationRunLost:warning:lost' # nobody hears of them any more
retried=' MigrationFailed:critical,retryable:interrupted MigrationFailed:critical,retryable:table_locked'
pending=
for name in half_done interrupted long lost not_as_expected sql_failed table_locked; do
  pending+=" SchemaPending:warning:$name"
done
names=$(sed -nE 's/^ *- alert: //p' rules.yaml | sort -u | xargs)
jq -nR --arg db "${DB}_" --argjson now "$EPOCHSECONDS" --arg names "$names" \
  --arg expected "0m: $at_once
    4m30s: $at_once$lost
    14m30s: $at_once$lost$retried
    17m: $at_once$lost$retried$pending
    70m: $at_once$lost$retried$pending" -f "$REPO/tests/sre/aged.jq" <metrics >aged.yaml
[[ $(jq '.tests[0].input_series | length' aged.yaml) -ge 200 ]] || fail 'hardly any series were pushed'
promtool test rules aged.yaml >aged.log 2>&1 || fail "the aged push: $(<aged.log)"

# --- the long run is told to stop: it has failed, it is not lost
kill -TERM "$pid_long"
cd "$top/long"
finish long
expect_code 143
cd "$top"
sed '/MigrationRunningTooLong/d; $a MigrationFailed long' expected | sort >expected_then
echo 'SchemaPending long' | sort -o expected_then - expected_then
expect_alerts expected_then
expect_metric long lockkeeper_run_in_progress 0
expect_metric long lockkeeper_last_run_exit_code 143
