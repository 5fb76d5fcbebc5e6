#!/usr/bin/env bash
# dashboard-picture.sh BINARY: makes docs/images/dashboard.svg, a drawing of what the dashboard's queries return for a
# minute and a half of real runs on real databases, through a real Pushgateway and a real Prometheus
# (dashboard-picture.py draws it). It needs what the tests need, and writes to LOCKKEEPER_PICTURE when that is set.
# The story: four databases get a migration each; then the next release comes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${SUPPORT:-} ]]; then # it is a script of run_cli_tests.sh, which gives it servers and cleans up
  [[ $# == 1 ]] || {
    echo "usage: dashboard-picture.sh BINARY" >&2
    exit 2
  }
  LOCKKEEPER_TEST_TIMEOUT=300 exec "$here/../tests/support/run_cli_tests.sh" --dir "$here" "$1" dashboard-picture
fi
# shellcheck source=tests/support/lib.sh
source "$SUPPORT/lib.sh"
# shellcheck source=tests/support/prometheus.sh
source "$SUPPORT/prometheus.sh"

"$SUPPORT/pushgateway.sh" start "$PWD/gateway"
top=$PWD
trap 'end_jobs; "$SUPPORT/pushgateway.sh" stop "$top/gateway"' EXIT
# shellcheck source=/dev/null
source gateway/env.sh
start_prometheus "${PUSHGATEWAY_URL#http://}"
ENV=(LOCKKEEPER_METRICS_URL="$PUSHGATEWAY_URL" LOCKKEEPER_METRICS_NAMESPACE=prod)

# in_db NAME: the database and the migrations of this name.
in_db() {
  URL=${LOCKKEEPER_TEST_URL%/*}/$1
  mkdir -p "$top/$1"
  cd "$top/$1"
}
begin=$(date +%s)
for name in billing orders search shop; do
  psql -XqAt -c "CREATE DATABASE $name" "$LOCKKEEPER_TEST_URL"
  in_db "$name"
  mig 20260801120000_create <<<'CREATE TABLE items (id int, name text);
INSERT INTO items SELECT n, n FROM generate_series(1, 50000) n;'
  run up
  expect_code 0
  sleep 3
done
sleep 5

# shop: somebody's transaction holds the table; the run gives way again and again, until its budget is over
in_db shop
mig 20260901090000_add_seats <<<'ALTER TABLE items ADD COLUMN seats int;'
hold 'BEGIN' 'SELECT count(*) FROM items'
start shop up --lock-timeout 2s --lock-retry-budget 22s
# orders: a column that is not there
in_db orders
mig 20260901100000_backfill <<<'UPDATE items SET name = nmae;'
run up
expect_code 12
(in_db shop && for _ in 1 2 3; do
  sleep 4
  timeout 15 psql -Xq -c 'SELECT count(*) FROM items' "$URL" >/dev/null || true
done) &
in_db shop
finish shop
expect_code 32
release
sleep 8
run up
expect_code 0

# billing: a long statement, which the application waits for
in_db billing
mig 20260901110000_recount <<<"UPDATE items SET name = name || '.'; SELECT pg_sleep(55);"
start billing up
sleep 3
in_db orders
mig 20260901100000_backfill <<<'UPDATE items SET name = upper(name);'
run up
expect_code 0
in_db billing
for wait in 9 8 7 6; do
  sleep 3
  timeout "$((wait * 3))" psql -Xq -c 'LOCK TABLE items IN SHARE MODE' "$URL" >/dev/null 2>&1 &
  jobs_of_test+=("$!")
done
sleep 15

# search: an index that cannot be unique
in_db search
mig 20260901120000_unique <<<'CREATE INDEX CONCURRENTLY by_name ON items (name);
CREATE UNIQUE INDEX CONCURRENTLY one_of_each ON items ((id % 1000));'
run up
expect_code 13
sleep 16 # until billing has said once more that it is at work

cd "$top"
python3 "$here/dashboard-picture.py" "$REPO/deploy/helm/lockkeeper/files/dashboard.json" "$PROMETHEUS_URL" \
  "$begin" "$(date +%s)" >dashboard.svg
[[ $(stat -c %s dashboard.svg) -lt 200000 ]] || fail "the picture has $(stat -c %s dashboard.svg) bytes"
python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' dashboard.svg
cp dashboard.svg "${LOCKKEEPER_PICTURE:-$REPO/docs/images/dashboard.svg}"
in_db billing
# shellcheck disable=SC2154 # start sets it
kill -TERM "$pid_billing"
finish billing
