# shellcheck shell=bash
# shellcheck disable=SC2034,SC2153 # variables of lib.sh, and for the scripts
# A primary and a standby, servers of this script alone: what is committed on the one is applied on the other before the
# client hears of it. A script has it, after lib.sh, with
#   source "$SUPPORT/fail_over.sh"
# shellcheck source=tests/support/common.sh
source "$SUPPORT/common.sh"

servers=() # their directories

# start_primary: the first one, in ./own; new_db makes databases there. Sets primary and primary_port.
start_primary() {
  LOCKKEEPER_TEST_CONF='synchronous_commit = remote_apply' own_cluster
  servers=(own)
  primary=own
  trap 'end_jobs; stop_servers' EXIT
  primary_port=$(port_of own)
}

stop_servers() {
  local name
  for name in "${servers[@]}"; do
    [[ ! -e $name/env.sh ]] || "$SUPPORT/cluster.sh" stop "$PWD/$name" immediate
  done
}

port_of() { sed -n 's/^port = //p' "$1/data/port.conf"; }

# start_standby NAME: of the primary, which restarts for that, in ./NAME. From now on each commit waits for it. Sets
# standby and standby_port. A copy of the stopped server, since pg_basebackup must not be older than the server.
start_standby() {
  local dir=$PWD/$1 user attempt
  standby=$1
  user=$(server_user)
  "$SUPPORT/cluster.sh" stop "$PWD/$primary"
  mkdir -m 711 "$dir"
  cp -a "$primary/data" "$dir/data"
  "$SUPPORT/cluster.sh" restart "$PWD/$primary"
  : >"$dir/data/standby.signal"
  cat >>"$dir/data/postgresql.auto.conf" <<CONF
primary_conninfo = '$URL'
unix_socket_directories = ''
synchronous_standby_names = ''
CONF
  printf 'export PGBIN=%q\n' "$PGBIN" >"$dir/env.sh"
  servers+=("$standby")
  for attempt in 1 2 3 last; do
    standby_port=$(free_port)
    printf 'port = %s\n' "$standby_port" >"$dir/data/port.conf"
    [[ -z $user ]] || chown -R "$user:" "$dir"
    ! "$SUPPORT/cluster.sh" restart "$dir" 2>"$dir/failure" || break
    [[ $attempt != last ]] || fail "the standby does not start: $(<"$dir/failure")"
  done
  wait_sql "SELECT state FROM pg_stat_replication" streaming
  sql "ALTER SYSTEM SET synchronous_standby_names = '*'"
  sql 'SELECT pg_reload_conf()' >/dev/null
  wait_sql 'SELECT sync_state FROM pg_stat_replication' sync
}

# on_standby SQL: there, as superuser.
on_standby() { URL=${URL/":$primary_port/"/":$standby_port/"} sql "$1"; }

# stop_primary: at once, as a crash does. promote: the standby is the primary from now on, and URL leads there.
stop_primary() { "$SUPPORT/cluster.sh" stop "$PWD/$primary" immediate; }
promote() {
  [[ $(on_standby 'SELECT pg_promote()') == t ]] || fail "the standby was not promoted"
  URL=${URL/":$primary_port/"/":$standby_port/"}
  primary=$standby primary_port=$standby_port
}

# url_of_ports PORT...: of the database of URL on each of these, in this order.
url_of_ports() {
  local hosts
  hosts=$(printf ',127.0.0.1:%s' "$@")
  printf '%s\n' "${URL%@*}@${hosts#,}/${URL##*/}"
}

# An expression that stands still for ever on the primary of now, and neither on the next one nor after a restart.
stand_still() {
  printf "(SELECT pg_sleep(600) WHERE pg_postmaster_start_time() = '%s')" "$(sql 'SELECT pg_postmaster_start_time()')"
}
wait_until_it_stands_still() {
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'" 1
}
