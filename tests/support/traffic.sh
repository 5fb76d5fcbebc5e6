# shellcheck shell=bash
# Other sessions at work while a migration runs. A script has it, after lib.sh, with
#   source "$SUPPORT/traffic.sh"

# start_traffic READERS SQL...: that many sessions read all the time; returns when each has read. stop_traffic ends them and
# sets reads, longest (milliseconds that one read took, at most) and peak (readers that waited for a lock at one moment).
start_traffic() {
  local readers=$1
  shift
  rm -f traffic.json
  python3 "$SUPPORT/traffic.py" "$URL" "$readers" traffic.json "$@" </dev/null >traffic.log 2>&1 &
  traffic=$!
  jobs_of_test+=("$traffic")
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'reader' AND query <> ''
            AND datname = current_database()" "$readers"
}
stop_traffic() {
  kill -TERM "$traffic"
  wait "$traffic" || fail "the readers failed: $(<traffic.log)"
  [[ $(jq -r '.errors | length' traffic.json) == 0 ]] || fail "reads failed: $(jq -r '.errors[0]' traffic.json)"
  # shellcheck disable=SC2034 # for the scripts
  {
    reads=$(jq .reads traffic.json)
    longest=$(jq '.longest_seconds * 1000 | round' traffic.json)
    peak=$(jq .peak_queued traffic.json)
  }
}

# idle_holder APPLICATION SQL...: a session that runs each SQL in a transaction and then does nothing, in the middle of it.
# Sets idle_pid, its server process. idle_commit: it commits and goes.
idle_holder() {
  local application=$1 statement
  shift
  rm -f holder.in
  mkfifo holder.in
  PGAPPNAME=$application psql -Xq -v ON_ERROR_STOP=1 "$URL" <holder.in >holder.log 2>&1 &
  idle_psql=$!
  jobs_of_test+=("$idle_psql")
  exec {idle_in}>holder.in
  echo 'BEGIN;' >&"$idle_in"
  for statement in "$@"; do
    printf '%s;\n' "$statement" >&"$idle_in"
  done
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = '$application'
            AND state = 'idle in transaction' AND datname = current_database()
            AND query LIKE '%' || \$sql\$${*: -1}\$sql\$ || '%'" 1
  # shellcheck disable=SC2034 # for the scripts
  idle_pid=$(sql "SELECT pid FROM pg_stat_activity WHERE application_name = '$application'
                  AND datname = current_database()")
}
idle_commit() {
  printf 'COMMIT;\n\\q\n' >&"$idle_in" # \q: what was started since then keeps the pipe open
  exec {idle_in}>&-
  wait "$idle_psql" || fail "the session that held the table failed: $(<holder.log)"
}

# start_up ARGUMENT...: `start up up`, without what an earlier one logged. wait_log REGEX [SECONDS]: until it has logged such
# a line.
start_up() {
  rm -f up.err
  start up up "$@"
}
wait_log() {
  local deadline=$((SECONDS + ${2:-20}))
  until grep -qsE -- "$1" up.err; do
    if ((SECONDS >= deadline)); then
      err=$(cat up.err)
      fail "no such line in the log after ${2:-20} seconds: $1"
    fi
    sleep 0.05
  done
}

# expect_log FILTER RESULT: what jq -r makes of the log, an array of its records.
expect_log() {
  local result
  result=$(jq -rs "$1" <<<"$err") || fail "the log is not JSON"
  [[ $result == "$2" ]] || fail "expected '$2', is '$result': $1"
}
