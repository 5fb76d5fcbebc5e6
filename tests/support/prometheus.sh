# shellcheck shell=bash
# Prometheus and postgres_exporter for the scripts in tests/sre, to be sourced after lib.sh. Both run as a user that is
# not root, on 127.0.0.1 and a free port, write only below the script's directory, and end with the script.
# shellcheck source=tests/support/common.sh disable=SC2153
source "$SUPPORT/common.sh"

# start_service NAME READY COMMAND...: until http://127.0.0.1:PORT/READY answers; PORT in the command is a free port,
# which service_port holds afterwards. What it says goes to NAME.log. The environment is that of ENV=(...) alone.
start_service() {
  local name=$1 ready=$2 user pid command
  shift 2
  command -v "$1" >/dev/null || fail "$1 is missing: scripts/install-packages.sh test"
  user=$(server_user)
  for _ in 1 2 3; do
    service_port=$(free_port)
    command=(env -i PATH="$PATH" ${ENV[@]+"${ENV[@]}"} "${@//PORT/$service_port}")
    [[ -z $user ]] || command=(setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "${command[@]}")
    "${command[@]}" </dev/null >"$name.log" 2>&1 &
    pid=$!
    jobs_of_test+=("$pid")
    for _ in {1..200}; do
      kill -0 "$pid" 2>/dev/null || break
      ! curl -fsS -o /dev/null "http://127.0.0.1:$service_port/$ready" 2>/dev/null || return 0
      sleep 0.05
    done
  done
  fail "$1 did not start: $(tail -n 20 "$name.log")"
}

# start_postgres_exporter URL QUERIES: asks the database of URL, with the queries of the file and none of its own; sets
# EXPORTER_URL.
start_postgres_exporter() {
  local ENV=(DATA_SOURCE_NAME="$1?sslmode=disable")
  start_service exporter '' prometheus-postgres-exporter --disable-default-metrics --disable-settings-metrics \
    --extend.query-path="$2" --web.listen-address=127.0.0.1:PORT
  # shellcheck disable=SC2034 # for the scripts
  EXPORTER_URL=http://127.0.0.1:$service_port
}

# start_prometheus TARGET...: scrapes each host:port every second and keeps the labels that come from there; sets
# PROMETHEUS_URL. `query` needs it.
start_prometheus() {
  local ENV=() targets
  mkdir -p prometheus
  [[ -z $(server_user) ]] || chown "$(server_user)" prometheus
  printf -v targets '"%s",' "$@"
  cat >prometheus.yml <<YAML
global: {scrape_interval: 1s, evaluation_interval: 1s}
scrape_configs:
  - job_name: pushgateway
    honor_labels: true
    static_configs: [{targets: [${targets%,}]}]
YAML
  start_service prometheus -/ready prometheus --config.file="$PWD/prometheus.yml" \
    --storage.tsdb.path="$PWD/prometheus" --web.listen-address=127.0.0.1:PORT --log.level=warn
  PROMETHEUS_URL=http://127.0.0.1:$service_port
}

# query EXPRESSION: what Prometheus says now: the list of samples as JSON.
query() {
  curl -sS --data-urlencode "query=$1" "$PROMETHEUS_URL/api/v1/query" >answer.json
  jq -e 'select(.status == "success").data.result' answer.json || fail "Prometheus on $1: $(cat answer.json)"
}

# wait_query EXPRESSION [SECONDS]: until it gives a sample.
wait_query() {
  local deadline=$((SECONDS + ${2:-20}))
  until [[ $(query "$1") != '[]' ]]; do
    ((SECONDS < deadline)) || fail "nothing after ${2:-20} seconds: $1"
    sleep 0.2
  done
}
