# The dashboard's queries on a real Prometheus, fed by real runs through a real Pushgateway and by postgres_exporter: none
# is an error when there is no data yet, each gives data when there is, and those at the top say what happened. Each metric
# in them exists.
source "$SUPPORT/lib.sh"
source "$SUPPORT/prometheus.sh"
dashboard=$REPO/deploy/helm/lockkeeper/files/dashboard.json
queries=$REPO/deploy/helm/lockkeeper/files/queries.yaml

# panels: a line PANEL<TAB>REF<TAB>true or false (instant)<TAB>QUERY for each query, as Grafana would send it.
panels() {
  jq -r '(.templating.list | map(select(.type == "textbox") | {(.name): .query}) | add) as $text
    | .panels[] | select(.targets) | .title as $title | .targets[]
    | [$title, .refId, (.instant | tostring), (.expr | gsub("\\$job"; "lockkeeper")
        | gsub("\\$(namespace|database)"; ".*") | gsub("\\$__rate_interval"; "1m")
        | gsub("\\$kube_job"; $text.kube_job) | gsub("\\$silence"; $text.silence))] | join("\t")' "$dashboard" >panels
  [[ -s panels ]] || fail 'no queries in the dashboard'
  ! grep -F '$' panels || fail 'a variable that is not replaced'
}
panels

# --- promtool reads each of them
awk -F '\t' -v q="'" 'BEGIN { print "groups:\n  - name: dashboard\n    rules:" }
  { gsub(q, q q, $4); printf "      - {record: query_%d, expr: %s%s%s}\n", NR, q, $4, q }' panels >rules.yaml
promtool check rules rules.yaml >promtool.log 2>&1 || fail "promtool: $(cat promtool.log)"

# --- each metric is one of the binary's, of the exporter queries', or of somebody else whom we know
{
  sed -nE '/begin: generated/,/end: generated/ s/^\| `(lockkeeper_[a-z_]+).*/\1/p' "$REPO/docs/metrics.md"
  awk '/^[a-z_]+:$/ { sub(":", ""); query = $1 }
       /^    - [a-z_]+:$/ { sub(":", "", $2); column = $2 }
       /usage: (GAUGE|COUNTER)/ { print query "_" column }' "$queries"
  printf '%s\n' push_time_seconds push_failure_time_seconds kube_job_failed
} | sort -u >known
{
  cut -f 4 panels
  jq -r '.templating.list[].query | if type == "object" then .query else empty end' "$dashboard"
} | sed 's/(cnpg_)?//g' | grep -oE '\b(lockkeeper|push|kube)_[a-z_]+\b' | grep -v '^kube_job$' | sort -u >used
unknown=$(comm -13 known used)
[[ -z $unknown ]] || fail "nothing has these metrics: $unknown"
elsewhere='migrations_known|history_last_attempt_timestamp_seconds|history_last_migration_duration_seconds'
unused=$(comm -23 <(grep -E '^lockkeeper_' known) used | grep -vE "^lockkeeper_($elsewhere)$" || true)
[[ -z $unused ]] || fail "nobody would see these metrics: $unused"

# --- no data: no answer, and no error
top=$PWD
"$SUPPORT/pushgateway.sh" start "$top/gateway"
trap 'end_jobs; "$SUPPORT/pushgateway.sh" stop "$top/gateway"' EXIT
# shellcheck source=/dev/null
source gateway/env.sh
new_db exported
exported=$URL
new_role exporter
start_postgres_exporter "$ROLE_URL" "$queries"
start_prometheus "${PUSHGATEWAY_URL#http://}" "${EXPORTER_URL#http://}"
while IFS=$'\t' read -r title ref _ expression; do
  query "$expression" >/dev/null || fail "$title $ref on no data"
done <panels

# --- runs
ENV=(LOCKKEEPER_METRICS_URL="$PUSHGATEWAY_URL" LOCKKEEPER_METRICS_NAMESPACE=shop)
in_db() { # in_db SUFFIX: a new database, in a directory of its own
  cd "$top"
  new_db "$1"
  mkdir -p "$1"
  cd "$1"
}
# long: at work for longer than it takes to be seen, until it is killed
in_db long
mig 1_long <<<'SELECT pg_sleep(600);'
start long up
# exported: pushes, and has a history that may be read
URL=$exported
sql "ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO $ROLE; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO $ROLE"
mkdir "$top/exported" && cd "$top/exported"
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
# locked: another session has the migration lock for a while
in_db locked
mig 1_a <<<'CREATE TABLE a (id int); INSERT INTO a VALUES (1);'
hold "SELECT pg_advisory_lock(hashtextextended(current_database() || ':lockkeeper.history', 0))"
start locked up
sleep 1.5
release
finish locked
expect_code 0
# failed: the second migration does
in_db failed
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
mig 2_b <<<'SELECT 1 / 0;'
run up
expect_code 12
# half: done, and then repaired; half_done is left so
in_db half
mig 1_a <<<'CREATE TABLE a (id int); INSERT INTO a VALUES (1), (1);'
mig 2_b <<<'CREATE INDEX CONCURRENTLY i ON a (id); CREATE UNIQUE INDEX CONCURRENTLY u ON a (id);'
run up
expect_code 13
in_db repaired
cp -r ../half/migrations .
run up
expect_code 13
sql 'DELETE FROM a'
run up
expect_code 0
# ahead: the files of an older release, and one of them was changed
in_db ahead
mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE TABLE b (id int);'
run up
expect_code 0
rm -r migrations/2_b
run up
expect_code 0
in_db changed
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
mig 1_a <<<'CREATE TABLE b (id int);'
run up
expect_code 14
# refused: a later push, by somebody who calls one of our gauges a counter
in_db refused
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
cd "$top"
sleep 0.1
! curl -fsS -o /dev/null --data-binary $'# TYPE lockkeeper_last_run_success counter\nlockkeeper_last_run_success 1\n' \
  "$PUSHGATEWAY_URL/metrics/job/lockkeeper/namespace/shop/database/${DB}_refused" 2>/dev/null ||
  fail 'the Pushgateway takes a type that changes'
# kube-state-metrics is not there: what it would say of a Job that failed
printf '# TYPE %s gauge\n%s{condition="true",namespace="shop",job_name="shop-lockkeeper"} 1\n' kube_job_failed{,} |
  curl -fsS --data-binary @- "$PUSHGATEWAY_URL/metrics/job/kube-state-metrics"

wait_query 'lockkeeper_run_in_progress == 1' 60
wait_query "push_failure_time_seconds{database=\"${DB}_refused\"} > push_time_seconds" 10
wait_query "lockkeeper_history_applied{database=\"${DB}_exported\"} == 1" 10
wait_query 'kube_job_failed == 1' 10
sleep 2 # whole seconds are asked for below

# --- each query gives data: at this moment, or over the last minutes
while IFS=$'\t' read -r title ref instant expression; do
  if [[ $instant == true ]]; then
    samples=$(query "$expression" | jq length)
  else
    now=$(date +%s)
    samples=$(curl -sS --data-urlencode "query=$expression" -d "start=$((now - 60))" -d "end=$now" -d step=1 \
      "$PROMETHEUS_URL/api/v1/query_range" | jq '.data.result | length')
  fi
  ((samples > 0)) || fail "no data: $title, $ref: $expression"
done <panels

# --- what the panels say. value PANEL REF [DATABASE [SECONDS FROM NOW]]: one number
value() {
  local expression
  expression=$(awk -F '\t' -v title="$1" -v ref="$2" '$1 == title && $2 == ref { print $4 }' panels)
  [[ -n $expression ]] || fail "no panel $1, $2"
  curl -sS --data-urlencode "query=$expression" -d "time=$(($(date +%s) + ${4:-0}))" "$PROMETHEUS_URL/api/v1/query" |
    jq -r --arg database "${3:+${DB}_$3}" '[.data.result[] | select($database == "" or .metric.database == $database)
      | .value[1]] | join(" ")'
}
says() { # says EXPECTED PANEL REF...
  local expected=$1 found
  shift
  found=$(value "$@")
  [[ $found == "$expected" ]] || fail "$*: '$found', expected '$expected'"
}
says 3 Failed A # failed, half, changed
says 1 Running A
says 0 Lost A
says 1 'Half done' A
says 1 'Pushes that fail' A
says 1 Databases A long    # running
says 2 Databases A long 90 # lost, when it says nothing for longer than the variable silence
says 0 Databases A failed
says 12 Databases B failed
says 13 Databases B half
says 14 Databases B changed
says 0 Databases B ahead
says 1 Databases D failed
says 1 Databases E half
says 0 Databases E repaired
says '' Databases B long # a run that has not ended has no result
[[ $(value 'Waiting for the migration lock' A locked) =~ ^[12]\. ]] || fail 'the wait for the lock'
says 1 'Not as the files say' A ahead
says 1 'Not as the files say' B changed
says 1 'Not as the files say' C repaired
says 2 'Databases, by their history' A exported
says 0 'Databases, by their history' B exported
says 1 'Failed Jobs' A

# --- the variables offer what there is
label_values() {
  local selector=$1 label=$2
  curl -fsS -G --data-urlencode "match[]=$selector" "$PROMETHEUS_URL/api/v1/label/$label/values" | jq -r '.data[]'
}
while IFS=$'\t' read -r name selector label; do
  label_values "${selector//\$job/lockkeeper}" "$label" >"values-$name"
done < <(jq -r '.templating.list[] | select(.type == "query") | .name as $name | .query.query
  | capture("^label_values\\((?<selector>.*), (?<label>[a-z]+)\\)$") | [$name, .selector, .label] | join("\t")' \
  "$dashboard")
[[ $(cat values-job values-namespace) == $'lockkeeper\nshop' ]] || fail "offered: $(cat values-job values-namespace)"
for name in exported failed half ahead; do
  grep -qx "${DB}_$name" values-database || fail "the variable database does not offer $name"
done
kill -KILL "$pid_long"
