# A real VictoriaMetrics: the samples of a run are there with their labels, job among them; a failed run leaves the time of
# the last success as it was.
source "$SUPPORT/lib.sh"
# shellcheck source=tests/support/prometheus.sh
source "$SUPPORT/prometheus.sh"
new_db
mkdir victoria
[[ -z $(server_user) ]] || chown "$(server_user)" victoria
start_service victoria health victoria-metrics -httpListenAddr=127.0.0.1:PORT -storageDataPath="$PWD/victoria" \
  -memory.allowedBytes=64MB -search.latencyOffset=0s -search.disableCache
victoria=http://127.0.0.1:$service_port
# value METRIC: of this database's only series, as instant query; what was taken shows a moment later.
value() {
  curl -fsS "$victoria/internal/force_flush"
  curl -fsS --get --data-urlencode "query=$1{job=\"lockkeeper\",namespace=\"shop\",database=\"$DB\"}" "$victoria/api/v1/query" |
    jq -r '.data.result | if length > 1 then "several" else .[0].value[1] // "" end'
}
expect_value() {
  local deadline=$((SECONDS + 20))
  until [[ $(value "$1") == "$2" ]]; do
    ((SECONDS < deadline)) || fail "$1 is '$(value "$1")', expected '$2'"
    sleep 0.1
  done
}

mig 1_a <<<'CREATE TABLE a (id int);'
push=(--metrics-url "$victoria/api/v1/import/prometheus" --metrics-namespace shop)
run up "${push[@]}"
expect_code 0
expect_no '"level":"warn"'
expect_value lockkeeper_last_run_exit_code 0
expect_value lockkeeper_migrations_applied 1
expect_value lockkeeper_migrations_pending 0
expect_value lockkeeper_schema_version_info 1
success=$(value lockkeeper_last_success_timestamp_seconds)
[[ -n $success ]] || fail 'no last success'

mig 2_b <<<'SELECT 1 / 0;'
sleep 1.1 # an instant query takes the newest sample, to the second
run up "${push[@]}"
expect_code 12
expect_value lockkeeper_last_run_exit_code 12
expect_value lockkeeper_migrations_pending 1
expect_value lockkeeper_last_success_timestamp_seconds "$success"
