#!/usr/bin/env bash
# with_cluster.sh COMMAND...: runs COMMAND beside a PostgreSQL cluster of its own, which ends with it, however it ends.
# COMMAND sees LOCKKEEPER_TEST_URL (superuser, database postgres), LOCKKEEPER_TEST_CLUSTER (cluster.sh's directory),
# LOCKKEEPER_TEST_SOCKET_DIR, LOCKKEEPER_TEST_ROOT (a directory to be used and removed), PGBIN, and PGBIN in front of
# PATH. PostgreSQL's own variables are not set. Which server: LOCKKEEPER_TEST_PGBIN, see cluster.sh.
set -euo pipefail
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/support/common.sh
source "$support/common.sh"
(($# > 0)) || die "usage: with_cluster.sh COMMAND..."

clean_up() {
  local dir=$LOCKKEEPER_TEST_ROOT
  [[ ! -e $dir/cluster/env.sh ]] || "$support/cluster.sh" stop "$dir/cluster" immediate || true
  rm -rf "$dir"
}
make_test_root
trap clean_up EXIT
trap 'trap "" INT TERM HUP; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM HUP

"$support/cluster.sh" start "$LOCKKEEPER_TEST_ROOT/cluster"
# shellcheck source=/dev/null
source "$LOCKKEEPER_TEST_ROOT/cluster/env.sh"
for variable in "${!PG@}"; do
  [[ $variable == PGBIN ]] || unset "$variable"
done
# A server from elsewhere may lack psql: the system's is behind it on PATH.
export PATH="$PGBIN:$PATH"
run_child "$@"
