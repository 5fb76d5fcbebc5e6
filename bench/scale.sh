#!/usr/bin/env bash
# scale.sh BINARY [COUNT...]: what an `up` with nothing to do costs beside COUNT (100 1000 10000) applied migrations:
# our own CPU time (median of 11 runs), peak memory, bytes that the server sent. Prints the rows of the table in
# docs/size.md. Starts a PostgreSQL of its own; needs strace and GNU time (Debian: time).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
(($# >= 1)) || { echo "usage: scale.sh BINARY [COUNT...]" >&2; exit 2; }
if [[ -z ${LOCKKEEPER_TEST_CLUSTER:-} ]]; then
  exec "$here/../tests/support/with_cluster.sh" "$0" "$(realpath "$1")" "${@:2}"
fi
# shellcheck source=bench/instructions_common.sh
source "$here/instructions_common.sh"

binary=$1
counts=("${@:2}")
((${#counts[@]} > 0)) || counts=(100 1000 10000)
work=$(mktemp -d "$LOCKKEEPER_TEST_ROOT/scale.XXXXXX")
trap 'rm -rf "$work"' EXIT

# nothing_to_do [WRAPPER...]: of the $count migrations.
nothing_to_do() {
  run_clean "${LOCKKEEPER_TEST_URL%/*}/scale_$count?sslmode=disable&gssencmode=disable" "$@" "$binary" up \
    --migrations "$work/$count" >"$work/log" 2>&1 || { cat "$work/log" >&2; return 1; }
}
cpu_milliseconds() {
  local TIMEFORMAT='%3U %3S'
  { time nothing_to_do; } 2>&1 | awk '{ printf "%.0f\n", ($1 + $2) * 1000 }'
}

echo '| applied | CPU, ms | peak memory, MiB | bytes from the server |'
echo '|--:|--:|--:|--:|'
for count in "${counts[@]}"; do
  applied_migrations "$binary" "$work/$count" "$count" "scale_$count"
  for _ in {1..11}; do cpu_milliseconds; done | sort -n >"$work/cpu"
  nothing_to_do /usr/bin/time -o "$work/memory" -f %M
  nothing_to_do strace -o "$work/strace" -e trace=recvfrom
  printf '| %d | %d | %s | %d |\n' "$count" "$(sed -n 6p "$work/cpu")" \
    "$(awk '{ printf "%.1f", $1 / 1024 }' "$work/memory")" \
    "$(awk '/recvfrom/ && $NF > 0 { sum += $NF } END { print sum }' "$work/strace")"
done
