# Metrics over OTLP: every body is as the schema says, and has the names and labels that the Pushgateway has. Then a real
# Prometheus: one with an OTLP receiver shows the same series, one without says 404 and the run says where to look.
# LOCKKEEPER_TEST_PROMETHEUS is the program, when it is not the machine's.
source "$SUPPORT/lib.sh"
# shellcheck source=tests/support/prometheus.sh
source "$SUPPORT/prometheus.sh"
new_db
python3 "$SUPPORT/otlp_receiver.py" received >otlp.port 2>otlp.errors &
jobs_of_test+=("$!")
while [[ ! -s otlp.port ]]; do sleep 0.02; done
mig 1_a <<<'CREATE TABLE a (id int);'

# value FILE METRIC [LABEL VALUE]: of the only data point (with that label); empty when there is none.
value() {
  jq -r --arg metric "$2" --arg key "${3:-database}" --arg value "${4:-$DB}" '
    [.resourceMetrics[].scopeMetrics[].metrics[] | select(.name == $metric) | .gauge.dataPoints[]
     | select(any(.attributes[]; .key == $key and .value.stringValue == $value)) | .asDouble]
    | if length > 1 then "several" else .[0] // "" end' "received/$1.json"
}
expect_value() {
  local found
  found=$(value "$1" "$2" "${@:4}")
  [[ -n $found && $(jq -n "$found == $3") == true ]] || fail "$1: $2 is '$found', expected '$3'"
}

run up --metrics-url "http://127.0.0.1:$(<otlp.port)/v1/metrics,$PUSHGATEWAY_URL" --metrics-namespace shop
expect_code 0
expect_no '"level":"warn"'
expect_value metrics-1 lockkeeper_last_run_exit_code 0
expect_value metrics-1 lockkeeper_migrations_applied 1
expect_value metrics-1 lockkeeper_last_run_success 1 namespace shop
expect_value metrics-1 lockkeeper_schema_version_info 1 version 1
jq -e '[.resourceMetrics[].resource.attributes[] | {(.key): .value.stringValue}] | add
  | .["service.name"] == "lockkeeper" and (has("service.namespace") | not)' received/metrics-1.json >/dev/null ||
  fail "job would not be lockkeeper: $(<received/metrics-1.json)"
jq -e 'all(.resourceMetrics[].scopeMetrics[].metrics[]; (.unit // "") == "")' received/metrics-1.json >/dev/null ||
  fail 'a unit, which Prometheus would append to the name'
# The same names as in the Pushgateway.
jq -r '.resourceMetrics[].scopeMetrics[].metrics[].name' received/metrics-1.json | sort >otlp.names
curl -fsS "$PUSHGATEWAY_URL/metrics" | grep -F "database=\"$DB\"" | sed -nE 's/^(lockkeeper_[a-z_]+)\{.*/\1/p' | sort -u >pushed.names
diff pushed.names otlp.names >names.diff || fail "$(<names.diff)"

mig 2_b <<<'SELECT 1 / 0;'
run up --metrics-url "http://127.0.0.1:$(<otlp.port)/v1/metrics" --metrics-job nightly
expect_code 12
expect_value metrics-2 lockkeeper_last_run_exit_code 12
[[ -z $(value metrics-2 lockkeeper_last_success_timestamp_seconds) ]] || fail 'a failure has no success'
jq -e '.resourceMetrics[0].resource.attributes[0].value.stringValue == "nightly"' received/metrics-2.json >/dev/null ||
  fail 'the job is not the service name'
[[ ! -e received/refused-1 ]] || fail "refused: $(<received/refused-1)"
rm -r migrations/2_b

# --- a real Prometheus
prometheus=${LOCKKEEPER_TEST_PROMETHEUS:-$(command -v prometheus)} || fail 'prometheus is missing: scripts/install-packages.sh test'
options=() receives=false
if "$prometheus" --help 2>&1 | grep -q 'web.enable-otlp-receiver'; then # since 3.0
  options=(--web.enable-otlp-receiver)
  receives=true
fi
mkdir prometheus
[[ -z $(server_user) ]] || chown "$(server_user)" prometheus
echo 'global: {}' >prometheus.yml
start_service prometheus -/ready "$prometheus" --config.file="$PWD/prometheus.yml" --storage.tsdb.path="$PWD/prometheus" \
  --web.listen-address=127.0.0.1:PORT --log.level=warn ${options[@]+"${options[@]}"}
url=http://127.0.0.1:$service_port
run up --metrics-url "$url/api/v1/otlp/v1/metrics" --metrics-namespace shop
expect_code 0
if $receives; then
  expect_no '"level":"warn"'
  curl -fsS --get --data-urlencode "query={database=\"$DB\"}" "$url/api/v1/query" >series
  jq -r '.data.result[].metric.__name__' series | sort -u >prometheus.names
  diff pushed.names prometheus.names >names.diff || fail "other names in Prometheus: $(<names.diff)"
  jq -e 'all(.data.result[].metric; .job == "lockkeeper" and .namespace == "shop" and has("instance") == false)' series \
    >/dev/null || fail "other labels in Prometheus: $(<series)"
else
  expect_err "metrics not pushed to 127.0.0.1:$service_port: HTTP 404 \(check the path in the URL\)"
fi
