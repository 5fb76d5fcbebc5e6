# shellcheck shell=bash
# What the test servers and the test runners share. To be sourced.

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# A TCP port that nobody listens on. Another process may take it before it is used: start again with a new one.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The directory of the newest PostgreSQL server's programs, LOCKKEEPER_TEST_PGBIN when that is set.
default_pgbin() {
  if [[ -n ${LOCKKEEPER_TEST_PGBIN:-} ]]; then
    printf '%s\n' "$LOCKKEEPER_TEST_PGBIN"
    return
  fi
  local newest
  newest=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
  [[ -n $newest ]] || die "no PostgreSQL server found: scripts/install-packages.sh test"
  printf '%s\n' "$newest"
}

# The user that PostgreSQL runs as: it refuses to run as root. Empty: whoever we are.
server_user() {
  if [[ $(id -u) != 0 ]]; then
    return
  elif getent passwd postgres >/dev/null; then
    echo postgres
  else
    echo nobody
  fi
}

# as_server_user DIR COMMAND...: in DIR, as server_user, without the caller's PG* variables.
as_server_user() {
  local dir=$1 user
  shift
  user=$(server_user)
  local command=(env -i PATH="$PATH" LC_ALL=C.UTF-8 TZ=UTC "$@")
  if [[ -n $user ]]; then
    command=(setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "${command[@]}")
  fi
  (cd "$dir" && exec "${command[@]}")
}

# make_test_root: a temporary directory in LOCKKEEPER_TEST_ROOT, with a guard that ends what was started in it
# (guard.sh) should this process be killed.
make_test_root() {
  local support
  support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  LOCKKEEPER_TEST_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-test.XXXXXX")
  export LOCKKEEPER_TEST_ROOT
  chmod 711 "$LOCKKEEPER_TEST_ROOT"
  mkdir "$LOCKKEEPER_TEST_ROOT/groups"
  # The subshell ends at once: the guard belongs to init then, and whoever ends our children does not see it.
  (setsid "$support/guard.sh" $$ "$LOCKKEEPER_TEST_ROOT" </dev/null >/dev/null 2>&1 &)
}

# run_child COMMAND...: in a process group of its own, to which INT, TERM and HUP are passed on. Returns its exit code.
run_child() {
  local status=0 group=
  set -m
  "$@" <&0 &
  local child=$!
  set +m
  if [[ -n ${LOCKKEEPER_TEST_ROOT:-} ]]; then
    group=$LOCKKEEPER_TEST_ROOT/groups/$child
    : >"$group"
  fi
  # shellcheck disable=SC2064 # the child of now
  for signal in INT TERM HUP; do
    trap "kill -$signal -- -$child 2>/dev/null || true" "$signal"
  done
  while true; do
    status=0
    wait "$child" || status=$?
    kill -0 "$child" 2>/dev/null || break
  done
  trap - INT TERM HUP
  if [[ -n $group ]]; then
    rm -f "$group"
  fi
  return "$status"
}
