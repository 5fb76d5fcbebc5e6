#!/usr/bin/env bash
# instructions.sh BINARY [--check]: counts the instructions of the static binary (dist/, `make release`) from its start
# to its end, by valgrind; starts a PostgreSQL of its own. Prints what was counted beside the budgets of
# instructions.tsv; with --check it fails when something takes more.
#
# Instructions and not time: they are the same however busy the machine is. The login is without password and TLS, which
# take several times as many as all the rest and are libpq's and OpenSSL's.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
(($# >= 1)) || { echo "usage: instructions.sh BINARY [--check]" >&2; exit 2; }
command -v valgrind >/dev/null || {
  echo "instructions.sh: no valgrind: scripts/install-packages.sh image" >&2
  exit 2
}
if [[ -z ${LOCKKEEPER_TEST_CLUSTER:-} ]]; then
  exec "$here/../tests/support/with_cluster.sh" "$0" "$(realpath "$1")" "${@:2}"
fi
# shellcheck source=bench/instructions_common.sh
source "$here/instructions_common.sh"

binary=$1
work=$(mktemp -d "$LOCKKEEPER_TEST_ROOT/instructions.XXXXXX")
trap 'rm -rf "$work"' EXIT
port=$(sed -E 's|.*:([0-9]+)/.*|\1|' <<<"$LOCKKEEPER_TEST_URL")
sed -i '1i local all all trust' "$LOCKKEEPER_TEST_CLUSTER/data/pg_hba.conf"
psql -XqAt -c 'SELECT pg_reload_conf()' "$LOCKKEEPER_TEST_URL" >/dev/null

counted() {
  case $1 in
    version) instructions '' "$binary" --version ;;
    nothing_to_do_*)
      applied_migrations "$binary" "$work/$1" "${1##*_}" "$1"
      instructions "postgresql://postgres@/$1?host=$LOCKKEEPER_TEST_SOCKET_DIR&port=$port" "$binary" up \
        --connect-wait 0 --migrations "$work/$1"
      ;;
    *) echo "instructions.sh: $1 in instructions.tsv is not known" >&2 && return 1 ;;
  esac
}

failed=0
printf '%-20s %12s %12s\n' run counted budget
while read -r run budget _; do
  [[ $run != \#* ]] || continue
  count=$(counted "$run" </dev/null)
  printf '%-20s %12d %12d\n' "$run" "$count" "$budget"
  if ((count > budget)); then
    echo "instructions.sh: $run takes more than its budget in bench/instructions.tsv" >&2
    failed=1
  fi
done <"$here/instructions.tsv"
[[ ${2:-} != --check ]] || exit "$failed"
