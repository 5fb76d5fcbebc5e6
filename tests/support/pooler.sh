# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of lib.sh, and for the scripts
# A real PgBouncer in front of the database of URL. To be sourced after lib.sh and common.sh.

# pooler MODE [SIZE]: starts it (transaction or session; at most SIZE server connections, 20) and sets POOLED_URL. It
# logs in to the server as the superuser whatever the client says, as it is with one pool for an application.
pooler() {
  local address=${URL#*@} bouncer=(pgbouncer) port
  address=${address%/*}
  port=$(free_port)
  cat >pgbouncer.ini <<INI
[databases]
$DB = host=${address%:*} port=${address#*:} user=postgres password=$(sed -n 's/^export PGPASSWORD=//p' "$LOCKKEEPER_TEST_CLUSTER/env.sh")
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = $1
default_pool_size = ${2:-20}
ignore_startup_parameters = extra_float_digits
INI
  if [[ -n $(server_user) ]]; then # pgbouncer refuses to run as root
    chmod 755 . && chmod 644 pgbouncer.ini
    bouncer=(pgbouncer --user "$(server_user)")
  fi
  "${bouncer[@]}" pgbouncer.ini >pgbouncer.log 2>&1 &
  pid_pooler=$!
  jobs_of_test+=("$pid_pooler")
  POOLED_URL=postgresql://app:any@127.0.0.1:$port/$DB
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$pid_pooler" 2>/dev/null || fail "pgbouncer did not start: $(cat pgbouncer.log)"
    sleep 0.1
  done
}

# pooler_mode MODE: changes it while it runs.
pooler_mode() {
  sed -i "s/^pool_mode.*/pool_mode = $1/" pgbouncer.ini
  kill -HUP "$pid_pooler"
}

# Nobody holds a migration lock, on any backend.
expect_no_lock() {
  expect_sql "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database =
    (SELECT oid FROM pg_database WHERE datname = current_database())" 0
}
