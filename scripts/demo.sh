#!/usr/bin/env bash
# demo.sh BINARY: what Lockkeeper does, in half a minute of reading. Starts a PostgreSQL and a Pushgateway of its own on
# this machine, shows a deploy and a roll-back as a person at a terminal sees them, and leaves nothing behind. Ends with
# an error when a step does not end as it should. No colours with NO_COLOR, or where the output is no terminal.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
support=$here/../tests/support
# shellcheck source=tests/support/common.sh
source "$support/common.sh"
[[ $# == 1 && -x $1 ]] || die "usage: demo.sh BINARY"
lockkeeper=$(realpath "$1")
migrations=$(cd "$here/../migrations" && pwd)

terminal=true bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
[[ -t 1 ]] || terminal=false
if ! $terminal || [[ -n ${NO_COLOR:-} || ${TERM:-} == dumb ]]; then
  export NO_COLOR=1
  bold='' dim='' plain=''
fi

pods=()
clean_up() {
  local root=$LOCKKEEPER_TEST_ROOT pid
  trap '' INT TERM HUP
  for pid in ${pods[@]+"${pods[@]}"}; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  [[ ! -e $root/cluster/env.sh ]] || "$support/cluster.sh" stop "$root/cluster" immediate
  [[ ! -e $root/pushgateway/env.sh ]] || "$support/pushgateway.sh" stop "$root/pushgateway"
  rm -rf "$root"
}
make_test_root
trap clean_up EXIT
# Ignored at once: bash tells itself again when a command that it waited for died of the signal, and an `exit` within
# clean_up would end that.
trap 'trap "" INT TERM HUP; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM HUP

heading() { printf '\n%s── %s%s\n' "$bold" "$*" "$plain"; }
typed() { printf '%s$%s %s\n' "$dim" "$plain" "$*"; }

# step CODE ARGUMENT...: the command line as one types it, what a terminal shows of it, and its exit code unless that is 0.
# CODE: the exit code that it must have.
step() {
  local expected=$1 code=0
  shift
  typed "lockkeeper $*"
  if $terminal; then
    "$lockkeeper" "$@" 2>&1 || code=$?
  else
    # A terminal of its own; of a line that is written over, what stands there at the end.
    python3 "$support/terminal.py" '' "$lockkeeper" "$@" 2>/dev/null | sed -E $'s/^.*\r(\e\\[K)?//' || code=$?
  fi
  ((code == 0)) || printf '%sexit code %d%s\n' "$dim" "$code" "$plain"
  ((code == expected)) || die "lockkeeper $* ended with exit code $code, expected $expected"
}

# query SQL: with psql, as the application's own role.
query() {
  typed "psql -c '$1'"
  psql -X -v ON_ERROR_STOP=1 -P pager=off -P footer=off -c "$1" "$DATABASE_URL" | sed -E 's/ +$//; /^$/d'
}

printf '%s%s%s: PostgreSQL and a Pushgateway are starting ... ' "$bold" "$("$lockkeeper" --version)" "$plain"
# In a session of their own: Ctrl-C then ends this script, which ends them.
setsid -w "$support/cluster.sh" start "$LOCKKEEPER_TEST_ROOT/cluster"
setsid -w "$support/pushgateway.sh" start "$LOCKKEEPER_TEST_ROOT/pushgateway"
# shellcheck source=/dev/null
source "$LOCKKEEPER_TEST_ROOT/cluster/env.sh"
# shellcheck source=/dev/null
source "$LOCKKEEPER_TEST_ROOT/pushgateway/env.sh"
for variable in "${!PG@}" "${!LOCKKEEPER_@}" DATABASE_URL DIRECT_URL DATABASE_URL_FILE DEBUG; do
  case $variable in
    PGBIN | LOCKKEEPER_TEST_URL | LOCKKEEPER_TEST_ROOT) ;;
    *) unset "$variable" ;;
  esac
done
export PATH=$PGBIN:$PATH PAGER=cat LC_ALL=C.UTF-8

psql -Xq -v ON_ERROR_STOP=1 "$LOCKKEEPER_TEST_URL" <<'SQL'
CREATE ROLE shop LOGIN PASSWORD 'demo';
CREATE DATABASE shop OWNER shop;
SQL
address=${LOCKKEEPER_TEST_URL##*@}
export DATABASE_URL=postgresql://shop:demo@${address%/*}/shop
psql -Xq -v ON_ERROR_STOP=1 "$DATABASE_URL" <<'SQL'
CREATE TABLE "SessionType" ("id" TEXT PRIMARY KEY, "title" TEXT NOT NULL);
CREATE TABLE "Booking" ("id" TEXT PRIMARY KEY, "sessionTypeId" TEXT NOT NULL REFERENCES "SessionType", "startTime" TIMESTAMP(3) NOT NULL);
INSERT INTO "SessionType" SELECT 'session-' || n, 'Session ' || n FROM generate_series(1, 3) n;
INSERT INTO "Booking" SELECT 'booking-' || n, 'session-' || 1 + n % 3, now() + n * interval '1 day' FROM generate_series(1, 20) n;
SQL
cd "$LOCKKEEPER_TEST_ROOT"
mkdir shop
cp -r "$migrations" shop/migrations
cd shop
export LOCKKEEPER_METRICS_URL=$PUSHGATEWAY_URL
echo "ready."

heading "A database with an application's two tables, and a release that needs five more columns"
typed "export DATABASE_URL=$DATABASE_URL"
typed "export LOCKKEEPER_METRICS_URL=$LOCKKEEPER_METRICS_URL"
query 'SELECT (SELECT count(*) FROM "SessionType") AS session_types, (SELECT count(*) FROM "Booking") AS bookings'

heading "What would the deploy do?"
step 0 plan

heading "The deploy: locked, in one transaction, checked before it commits"
step 0 up --yes

heading "The next deploy has nothing to do: no lock, no write"
step 0 up

heading "Is the schema still what the migrations say?"
step 0 verify
step 0 status

heading "What Prometheus sees"
typed "curl -s \$LOCKKEEPER_METRICS_URL/metrics | grep ^lockkeeper_"
curl -sS --max-time 5 "$LOCKKEEPER_METRICS_URL/metrics" |
  grep -E '^lockkeeper_(build_info|last_run_(success|exit_code|duration)|last_success|migrations|schema_version)' |
  sed -E 's/instance="",//' || die "no metrics have arrived"

heading "The application writes; then somebody wants to roll back"
query 'UPDATE "Booking" SET "calendlyEventId" = "id"'
step 21 down --yes

heading "Somebody who means it"
step 0 down --yes --allow-data-loss

heading "A rolling deploy: three pods start at the same moment"
# shellcheck disable=SC2016 # as one types it
typed 'for pod in 1 2 3; do lockkeeper up --log-format text 2>pod-$pod.log & done; wait; tail -qn 1 pod-*.log'
for pod in 1 2 3; do
  "$lockkeeper" up --log-format text 2>"pod-$pod.log" &
  pods+=($!)
done
for pid in "${pods[@]}"; do
  wait "$pid" || die "a pod failed: $(tail -qn 1 pod-*.log)"
done
pods=()
tail -qn 1 pod-*.log
(($(cat pod-*.log | grep -c '1 migration applied') == 1)) || die "not exactly one pod applied the migration"

heading "Who did what, and when: the history table"
query 'SELECT id, version, direction, outcome, applied_by, runner, finished_at - started_at AS took FROM lockkeeper.history ORDER BY id'

cd /
clean_up
trap - EXIT
printf '\n%scleaned up: the database, the Pushgateway and their files are gone%s\n' "$bold" "$plain"
