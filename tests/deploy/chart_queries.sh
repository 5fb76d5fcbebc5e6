#!/usr/bin/env bash
# chart_queries.sh: the chart's exporter queries on a real history, that of the default table and one that is called
# otherwise, as a role that may only read it. Starts a server of its own. Argument: the binary.
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"
lockkeeper=${1:?the binary}
chmod 755 "$work" # the server has a user of its own
cluster=$root/tests/support/cluster.sh
trap '"$cluster" stop "$work/server" immediate >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
"$cluster" start "$work/server" >"$work/log" 2>&1 || {
  cat "$work/log" >&2
  exit 1
}
# shellcheck disable=SC1091 # written by cluster.sh
source "$work/server/env.sh"
export PGDATABASE=postgres
psql=("$PGBIN/psql" -XqAt -v ON_ERROR_STOP=1)

mkdir -p "$work"/migrations/{1_a,2_b,3_c}
echo 'CREATE TABLE a (n int);' >"$work/migrations/1_a/up.sql"
echo 'CREATE TABLE b (n int);' >"$work/migrations/2_b/up.sql"
echo 'CREATE TABLE a (n int);' >"$work/migrations/3_c/up.sql" # fails: it is there
"${psql[@]}" -c 'CREATE ROLE exporter LOGIN' -c 'CREATE DATABASE other'

for table in lockkeeper.history 'ops.migrations'; do
  [[ $table == lockkeeper.history ]] || PGDATABASE=other
  code=0
  LOCKKEEPER_DATABASE_URL=postgresql:// "$lockkeeper" up --migrations "$work/migrations" --history-table "$table" \
    --history-readers exporter >"$work/log" 2>&1 || code=$?
  [[ $code == 12 ]] || problem "lockkeeper up ended with $code: $(cat "$work/log")"

  render helm4 shop "${least[@]}" --set exporterQueries.enabled=true,settings.history_table="$table" \
    -s templates/configmap-queries.yaml >"$work/queries.yaml"
  to_json "$work/queries.yaml" | jq -r '.[0].data["queries.yaml"]' >"$work/queries"
  to_json "$work/queries" >"$work/queries.json"
  expect "two queries" "$work/queries.json" '.[0] | keys == ["lockkeeper_history", "lockkeeper_history_schema"]'
  for query in lockkeeper_history lockkeeper_history_schema; do
    jq -r ".[0].$query.query" "$work/queries.json" >"$work/query.sql"
    "${psql[@]}" -c 'SET ROLE exporter' -f "$work/query.sql" -P format=unaligned -P tuples_only=off -P footer=off >"$work/$query" ||
      problem "$query on $table"
    # Each column is a metric or a label, and the other way round.
    columns=$(head -n 1 "$work/$query" | tr '|' '\n' | sort | tr '\n' ' ')
    metrics=$(jq -r ".[0].$query.metrics[] | keys[]" "$work/queries.json" | sort | tr '\n' ' ')
    [[ $columns == "$metrics" ]] || problem "$query: columns $columns, metrics $metrics"
  done
  # What this role may read and the run has left: two applied, none half done, one failure.
  [[ $(tail -n 1 "$work/lockkeeper_history") =~ ^$PGDATABASE\|2\|0\|1\|[0-9]{10}\.[0-9]+$ ]] ||
    problem "lockkeeper_history: $(cat "$work/lockkeeper_history")"
  [[ $(tail -n 1 "$work/lockkeeper_history_schema") == "$PGDATABASE|2|1" ]] ||
    problem "lockkeeper_history_schema: $(cat "$work/lockkeeper_history_schema")"
done
finish
