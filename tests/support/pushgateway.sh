#!/usr/bin/env bash
# A throwaway Prometheus Pushgateway for tests, on 127.0.0.1 and a free port.
#   pushgateway.sh start DIR [WEB_CONFIG]   WEB_CONFIG: exporter-toolkit's file (TLS, basic auth)
#   pushgateway.sh stop DIR
# DIR/env.sh holds PUSHGATEWAY_URL and PUSHGATEWAY_PID, DIR/log what it said.
set -euo pipefail
# shellcheck source=tests/support/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

listening() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])), 1)' "$1" 2>/dev/null; }

start() {
  local dir=$1 config=${2:-} program port pid scheme=http
  program=$(command -v prometheus-pushgateway || command -v pushgateway) ||
    die "no pushgateway found: scripts/install-packages.sh test"
  mkdir -p "$dir"
  local options=(--persistence.file= --log.level=warn)
  if [[ -n $config ]]; then
    options+=(--web.config.file="$(realpath "$config")")
    if grep -q '^tls_server_config' "$config"; then
      scheme=https
    fi
  fi
  for _ in 1 2 3 4 5; do
    port=$(free_port)
    pid=$(
      setsid "$program" "${options[@]}" --web.listen-address="127.0.0.1:$port" </dev/null >"$dir/log" 2>&1 &
      echo $!
    )
    for _ in {1..100}; do
      kill -0 "$pid" 2>/dev/null || break
      if listening "$port"; then
        printf 'export PUSHGATEWAY_URL=%s://127.0.0.1:%s PUSHGATEWAY_PID=%s\n' "$scheme" "$port" "$pid" >"$dir/env.sh"
        return
      fi
      sleep 0.05
    done
    kill "$pid" 2>/dev/null || true
  done
  cat "$dir/log" >&2
  die "the pushgateway did not start"
}

stop() {
  local dir=$1
  # shellcheck source=/dev/null
  source "$dir/env.sh"
  kill "$PUSHGATEWAY_PID" 2>/dev/null || return 0
  timeout 5 tail --pid="$PUSHGATEWAY_PID" -s 0.05 -f /dev/null || kill -KILL "$PUSHGATEWAY_PID" 2>/dev/null || true
}

case ${1:-} in
  start | stop)
    (($# >= 2)) || die "usage: pushgateway.sh $1 DIR"
    "$@"
    ;;
  *) die "usage: pushgateway.sh start|stop DIR" ;;
esac
