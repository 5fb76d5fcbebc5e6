#!/usr/bin/env bash
# A throwaway PostgreSQL cluster for tests: 127.0.0.1 on a free port, and a unix socket in DIR.
#   cluster.sh start DIR [PGBIN]         initdb and start; DIR/env.sh holds how to reach it, DIR/log what the server said
#   cluster.sh stop DIR [fast|immediate] DIR stays
#   cluster.sh restart DIR [fast|immediate]
# PGBIN: the directory of initdb and pg_ctl; default LOCKKEEPER_TEST_PGBIN, then the newest that Debian installed.
# LOCKKEEPER_TEST_FSYNC=1 keeps fsync on. LOCKKEEPER_TEST_CONF: more lines for postgresql.conf.
# As root the server runs as the user postgres (nobody if there is none), otherwise as the user who calls.
set -euo pipefail
# shellcheck source=tests/support/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

write_configuration() {
  local dir=$1 fsync=off
  [[ ${LOCKKEEPER_TEST_FSYNC:-0} != 1 ]] || fsync=on
  cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir'
include 'port.conf'
max_connections = 120
max_prepared_transactions = 10
shared_buffers = 32MB
fsync = $fsync
synchronous_commit = $fsync
full_page_writes = $fsync
jit = off
timezone = 'UTC'
lc_messages = 'C'
log_line_prefix = '%m %p %a '
log_lock_waits = on
log_timezone = 'UTC'
${LOCKKEEPER_TEST_CONF:-}
CONF
}

write_facts() {
  local dir=$1 bin=$2 port=$3 password=$4
  {
    printf '# Written by cluster.sh; to be sourced.\n'
    printf 'export %s=%q\n' \
      PGHOST 127.0.0.1 PGPORT "$port" PGUSER postgres PGPASSWORD "$password" PGBIN "$bin" \
      LOCKKEEPER_TEST_SOCKET_DIR "$dir" \
      LOCKKEEPER_TEST_URL "postgresql://postgres:$password@127.0.0.1:$port/postgres" \
      LOCKKEEPER_TEST_CLUSTER "$dir"
  } >"$dir/env.sh"
}

# Interrupted on the way: the server has a session of its own, so it did not see the signal, and nobody knows it yet.
abandon() {
  local dir=$1 bin=$2 attempt
  trap '' INT TERM HUP
  for attempt in {1..50}; do
    as_server_user "$dir" "$bin/pg_ctl" --pgdata="$dir/data" -m immediate -w -t 10 stop >/dev/null 2>&1 || true
    pgrep -f -- "$dir/data" >/dev/null || return 0
    sleep 0.1
  done
  echo "cluster.sh: a server in $dir/data does not stop ($attempt attempts)" >&2
}

start() {
  local dir=$1 bin=${2:-} user password port attempt
  [[ -n $bin ]] || bin=$(default_pgbin)
  [[ -x $bin/initdb && -x $bin/pg_ctl ]] || die "no initdb and pg_ctl in $bin"
  [[ ! -e $dir/data ]] || die "$dir/data exists"
  mkdir -p "$dir"
  dir=$(cd "$dir" && pwd -P)
  ((${#dir} <= 85)) || die "$dir is too long a path for a unix socket: set TMPDIR to a shorter one"
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  (umask 077 && printf '%s\n' "$password" >"$dir/password")
  user=$(server_user)
  if [[ -n $user ]]; then
    chown "$user:" "$dir" "$dir/password"
    as_server_user / test -r "$dir/password" || die "the user $user cannot reach $dir: put it under /tmp, or set TMPDIR"
    as_server_user / test -x "$bin/initdb" || die "the user $user cannot run $bin/initdb: a directory above is closed"
  fi

  if ! as_server_user "$dir" "$bin/initdb" --pgdata="$dir/data" --username=postgres --pwfile="$dir/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >"$dir/initdb.log" 2>&1; then
    cat "$dir/initdb.log" >&2
    die "initdb failed"
  fi
  write_configuration "$dir"
  # shellcheck disable=SC2064 # as they are now
  trap "abandon '$dir' '$bin'" EXIT
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    printf 'port = %s\n' "$port" >"$dir/data/port.conf"
    [[ -z $user ]] || chown "$user:" "$dir/data/port.conf"
    if as_server_user "$dir" "$bin/pg_ctl" --pgdata="$dir/data" --log="$dir/log" -w -t 60 start >"$dir/pg_ctl.log" 2>&1; then
      write_facts "$dir" "$bin" "$port" "$password"
      trap - EXIT
      return
    fi
    grep -q 'could not bind' "$dir/log" || break # taken since free_port looked: another one
  done
  cat "$dir/pg_ctl.log" "$dir/log" >&2
  die "PostgreSQL did not start (attempt $attempt)"
}

stop() {
  local dir=$1 mode=${2:-fast} pid
  # shellcheck source=/dev/null
  source "$dir/env.sh"
  [[ -e $dir/data/postmaster.pid ]] || return 0
  pid=$(head -n 1 "$dir/data/postmaster.pid")
  as_server_user "$dir" "$PGBIN/pg_ctl" --pgdata="$dir/data" -m "$mode" -w -t 20 stop >"$dir/pg_ctl.log" 2>&1 ||
    as_server_user "$dir" "$PGBIN/pg_ctl" --pgdata="$dir/data" -m immediate -w -t 10 stop >"$dir/pg_ctl.log" 2>&1 ||
    kill -KILL "$pid" 2>/dev/null || true
}

restart() {
  local dir=$1 mode=${2:-fast}
  stop "$dir" "$mode"
  as_server_user "$dir" "$PGBIN/pg_ctl" --pgdata="$dir/data" --log="$dir/log" -w -t 60 start >"$dir/pg_ctl.log" 2>&1 || {
    cat "$dir/pg_ctl.log" >&2
    die "PostgreSQL did not start again"
  }
}

case ${1:-} in
  start | stop | restart)
    (($# >= 2)) || die "usage: cluster.sh $1 DIR"
    "$@"
    ;;
  *) die "usage: cluster.sh start|stop|restart DIR" ;;
esac
