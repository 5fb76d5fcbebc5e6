# shellcheck shell=bash
# What the scripts in tests/cli are written with. A script starts with
#   source "$SUPPORT/lib.sh"
# and is run by run_cli_tests.sh, in an empty directory, with LOCKKEEPER (the binary), REPO (the source tree), DB (a name
# for its database), PUSHGATEWAY_URL and with_cluster.sh's variables. It ends with an error at the first `fail`.
set -euo pipefail
[[ -n ${LOCKKEEPER:-} && -n ${DB:-} && -n ${LOCKKEEPER_TEST_URL:-} ]] || {
  echo "run this with tests/support/run_cli_tests.sh BINARY $(basename "$0" .sh)" >&2
  exit 2
}

URL=      # of the database that new_db made last
ENV=()    # more variables for `run`: ENV=(LOCKKEEPER_ROLE=owner NO_COLOR=1)
out='' err='' code=0
jobs_of_test=()

# --- failing --------------------------------------------------------------------------------------------------------

# fail MESSAGE: ends the test, showing what the last `run` gave.
fail() {
  {
    printf '%s:%s: %s\n' "$(basename "$0")" "$(line_of_script)" "$*"
    printf -- '--- last run, exit code %s: lockkeeper %s\n' "$code" "${last_run:-(none)}"
    printf -- '--- stdout\n%s\n--- stderr\n%s\n' "$out" "$err"
  } >&2
  exit 1
}

# The line of the script that led here, not one of this file.
line_of_script() {
  local i
  for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
    if [[ ${BASH_SOURCE[i]} == "$0" ]]; then
      echo "${BASH_LINENO[i - 1]}"
      return
    fi
  done
  echo '?'
}

trap 'printf "%s:%s: this command failed: %s\n" "$(basename "$0")" "$(line_of_script)" "$BASH_COMMAND" >&2' ERR
trap 'end_jobs' EXIT
set -E

end_jobs() {
  local pid
  for pid in ${jobs_of_test[@]+"${jobs_of_test[@]}"}; do
    kill -KILL "$pid" 2>/dev/null || true
  done
}

# --- the database ---------------------------------------------------------------------------------------------------

# new_db [SUFFIX]: an empty database, DB or DB_SUFFIX; sets URL (superuser).
new_db() {
  local name=$DB${1:+_$1}
  psql -XqAt -v ON_ERROR_STOP=1 -c "CREATE DATABASE $name" "$LOCKKEEPER_TEST_URL" </dev/null
  URL=${LOCKKEEPER_TEST_URL%/*}/$name
}

# own_cluster: a server of this script alone, in ./own, which it may stop and restart; new_db makes databases there from
# now on. LOCKKEEPER_TEST_CONF='setting = value' in front adds to its postgresql.conf.
own_cluster() {
  trap 'end_jobs; "$SUPPORT/cluster.sh" stop "$PWD/own" immediate' EXIT
  "$SUPPORT/cluster.sh" start "$PWD/own" "$PGBIN"
  # shellcheck source=/dev/null
  LOCKKEEPER_TEST_URL=$(source "$PWD/own/env.sh" && echo "$LOCKKEEPER_TEST_URL")
}

# sql SQL / sql_file FILE: as superuser in the database of URL; unaligned, tuples only.
sql() { psql -XqAt -v ON_ERROR_STOP=1 -c "$1" "$URL" </dev/null; }
sql_file() { psql -XqAt -v ON_ERROR_STOP=1 -f "$1" "$URL" </dev/null; }

# new_role SUFFIX: a role that may log in (roles belong to the whole cluster: its name is DB_SUFFIX), without any right.
# Sets ROLE and ROLE_URL, the URL of this database for that role.
new_role() {
  ROLE=${DB}_$1
  sql "CREATE ROLE $ROLE LOGIN PASSWORD 'secret'"
  # shellcheck disable=SC2034 # for the scripts
  ROLE_URL=postgresql://$ROLE:secret@${URL#*@}
}

# hold SQL...: another session runs each SQL and then sleeps in it; returns when it does. `release` ends it.
hold() {
  local arguments=() statement
  for statement in "$@"; do
    arguments+=(-c "$statement")
  done
  PGAPPNAME=holder psql -Xq -v ON_ERROR_STOP=1 "${arguments[@]}" -c 'SELECT pg_sleep(600)' "$URL" \
    </dev/null >holder.log 2>&1 &
  holder=$!
  jobs_of_test+=("$holder")
  wait_sql "SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'holder' AND state = 'active'
            AND datname = current_database() AND query LIKE 'SELECT pg_sleep%'" t
}
release() {
  sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
       WHERE application_name = 'holder' AND datname = current_database()" >/dev/null
  wait "$holder" 2>/dev/null || true
}

# wait_sql SQL RESULT [SECONDS]: until the query gives the result.
wait_sql() {
  local deadline=$((SECONDS + ${3:-20})) result
  while true; do
    result=$(sql "$1")
    [[ $result != "$2" ]] || return 0
    ((SECONDS < deadline)) || fail "still '$result' instead of '$2' after ${3:-20} seconds: $1"
    sleep 0.05
  done
}

# calendly_base: the tables that the application has before the first migration, as Prisma makes them, with some rows.
calendly_base() {
  sql "
    CREATE TABLE \"SessionType\" (
      \"id\" TEXT NOT NULL,
      \"title\" TEXT NOT NULL,
      \"duration\" INTEGER NOT NULL,
      \"price\" DECIMAL(10,2) NOT NULL,
      \"builderId\" TEXT NOT NULL,
      \"isActive\" BOOLEAN NOT NULL DEFAULT true,
      \"createdAt\" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
      \"updatedAt\" TIMESTAMP(3) NOT NULL,
      CONSTRAINT \"SessionType_pkey\" PRIMARY KEY (\"id\"));
    CREATE TABLE \"Booking\" (
      \"id\" TEXT NOT NULL,
      \"sessionTypeId\" TEXT,
      \"clientId\" TEXT NOT NULL,
      \"startTime\" TIMESTAMP(3) NOT NULL,
      \"endTime\" TIMESTAMP(3) NOT NULL,
      \"status\" TEXT NOT NULL DEFAULT 'PENDING',
      \"createdAt\" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
      \"updatedAt\" TIMESTAMP(3) NOT NULL,
      CONSTRAINT \"Booking_pkey\" PRIMARY KEY (\"id\"),
      CONSTRAINT \"Booking_sessionTypeId_fkey\" FOREIGN KEY (\"sessionTypeId\") REFERENCES \"SessionType\"(\"id\")
        ON DELETE SET NULL ON UPDATE CASCADE);
    CREATE INDEX \"Booking_sessionTypeId_idx\" ON \"Booking\"(\"sessionTypeId\");
    INSERT INTO \"SessionType\" (\"id\", \"title\", \"duration\", \"price\", \"builderId\", \"updatedAt\")
      SELECT 'session-' || n, 'Session ' || n, 30 * n, 49.50 * n, 'builder-1', now() FROM generate_series(1, 3) n;
    INSERT INTO \"Booking\" (\"id\", \"sessionTypeId\", \"clientId\", \"startTime\", \"endTime\", \"updatedAt\")
      SELECT 'booking-' || n, 'session-' || 1 + n % 3, 'client-' || n, now(), now() + interval '1 hour', now()
      FROM generate_series(1, 20) n;"
}

# --- migrations -----------------------------------------------------------------------------------------------------

# mig VERSION_NAME [FILE] <<<TEXT: writes migrations/VERSION_NAME/FILE (up.sql).
mig() {
  mkdir -p "migrations/$1"
  cat >"migrations/$1/${2:-up.sql}"
}

# --- running the binary ---------------------------------------------------------------------------------------------

# The command line of the binary with a clean environment: only these variables are there, and DATABASE_URL if URL is set.
command_line() {
  mkdir -p home
  command=(env -i --default-signal=INT --default-signal=QUIT PATH="$PATH" HOME="$PWD/home")
  local name
  for name in ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS; do
    [[ -z ${!name:-} ]] || command+=("$name=${!name}")
  done
  [[ -z $URL ]] || command+=(DATABASE_URL="$URL")
  command+=(${ENV[@]+"${ENV[@]}"} "$LOCKKEEPER" "$@")
}

# run ARGUMENT...: sets out, err and code; a code other than 0 does not end the test. Standard input is empty.
run() {
  command_line "$@"
  last_run="$*"
  code=0
  "${command[@]}" </dev/null >run.out 2>run.err || code=$?
  after_run run
}

# run_terminal INPUT ARGUMENT...: the same on a terminal, where INPUT is typed; out is what the terminal showed.
run_terminal() {
  local input=$1
  shift
  command_line "$@"
  last_run="$* (on a terminal)"
  code=0
  python3 "$SUPPORT/terminal.py" "$input" "${command[@]}" </dev/null >run.out 2>run.err || code=$?
  after_run run
}

# start NAME ARGUMENT...: the same in the background; pid_NAME is its process. finish NAME: waits and sets out, err, code.
start() {
  local name=$1
  shift
  command_line "$@"
  "${command[@]}" </dev/null >"$name.out" 2>"$name.err" &
  printf -v "pid_$name" '%s' "$!"
  printf -v "run_$name" '%s' "$*"
  jobs_of_test+=("$!")
}
finish() {
  local pid=pid_$1 line=run_$1
  code=0
  wait "${!pid}" || code=$?
  last_run=${!line}
  after_run "$1"
}

after_run() {
  out=$(<"$1.out")
  err=$(<"$1.err")
  if grep -qE 'ERROR: (Address|Leak)Sanitizer|: runtime error: ' "$1.err" "$1.out"; then
    fail "a sanitizer stopped the binary"
  fi
}

# --- expecting ------------------------------------------------------------------------------------------------------

expect_code() { [[ $code == "$1" ]] || fail "exit code $code, expected $1"; }
# Extended regular expressions, matched line by line.
expect_out() { grep -qE -- "$1" <<<"$out" || fail "stdout has no line like: $1"; }
expect_err() { grep -qE -- "$1" <<<"$err" || fail "stderr has no line like: $1"; }
# expect_no REGEX: neither in stdout nor in stderr.
expect_no() { ! grep -qE -- "$1" <<<"$out"$'\n'"$err" || fail "not expected in the output: $1"; }
# expect_sql SQL RESULT: lines of columns joined by |.
expect_sql() {
  local result
  result=$(sql "$1")
  [[ $result == "$2" ]] || fail "expected '$2', is '$result': $1"
}
# expect_json FILTER RESULT: what jq -r makes of stdout.
expect_json() {
  local result
  result=$(jq -r "$1" <<<"$out") || fail "stdout is not JSON"
  [[ $result == "$2" ]] || fail "expected '$2', is '$result': $1"
}
