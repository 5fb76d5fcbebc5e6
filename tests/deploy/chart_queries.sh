#!/usr/bin/env bash
# chart_queries.sh: the chart's exporter queries before and after there is a history, that of the default table and of
# those that are called otherwise, as a role that may only read it. Starts a server of its own. Argument: the binary.
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
"${psql[@]}" -c 'CREATE ROLE exporter LOGIN' -c 'CREATE DATABASE other' -c 'CREATE DATABASE third'

declare -A database=([lockkeeper.history]=postgres [ops.migrations]=other ["\"O'ps\".\"Migrations\""]=third)
for table in "${!database[@]}"; do
  PGDATABASE=${database[$table]}
  render helm4 shop "${least[@]}" --set exporterQueries.enabled=true --set-string "settings.history_table=$table" \
    -s templates/configmap-queries.yaml >"$work/queries.yaml"
  to_json "$work/queries.yaml" | jq -r '.[0].data["queries.yaml"]' >"$work/queries"
  to_json "$work/queries" | jq '.[0]' >"$work/queries.json"
  # ask: each query as the role; `answers` has a line QUERY|COLUMN|... for each row.
  ask() {
    : >"$work/answers"
    for query in $(jq -r 'keys[]' "$work/queries.json"); do
      jq -r ".$query.query" "$work/queries.json" >"$work/query.sql"
      "${psql[@]}" -c 'SET ROLE exporter' -f "$work/query.sql" -P tuples_only=off -P footer=off >"$work/answer" ||
        problem "$query on $table"
      # Each column is a metric or a label, and the other way round.
      columns=$(head -n 1 "$work/answer" | tr '|' '\n' | sort | tr '\n' ' ')
      metrics=$(jq -r ".$query.metrics[] | keys[]" "$work/queries.json" | sort | tr '\n' ' ')
      [[ $columns == "$metrics" ]] || problem "$query: columns $columns, metrics $metrics"
      sed "1d; s/^/$query|/" "$work/answer" >>"$work/answers"
    done
  }
  ask
  [[ $(cat "$work/answers") == "lockkeeper_history_table|$PGDATABASE|0|0" ]] ||
    problem "without a history: $(cat "$work/answers")"

  code=0
  LOCKKEEPER_DATABASE_URL=postgresql:// "$lockkeeper" up --migrations "$work/migrations" --history-table "$table" \
    --history-readers exporter >"$work/log" 2>&1 || code=$?
  [[ $code == 12 ]] || problem "lockkeeper up ended with $code: $(cat "$work/log")"
  ask
  # What this role may read and the run has left: two applied, none half done, one failure.
  for answer in 'lockkeeper_history\|DB\|2\|0\|1' 'lockkeeper_history_table\|DB\|1\|1' \
    'lockkeeper_history_schema\|DB\|2\|1' 'lockkeeper_history_migrations\|DB\|1' \
    'lockkeeper_history_last_applied\|DB\|[0-9]{10}\.[0-9]+' \
    'lockkeeper_history_last_attempt\|DB\|[0-9]{10}\.[0-9]+\|1' \
    'lockkeeper_history_last_migration\|DB\|2\|b\|[0-9.e-]+' \
    'lockkeeper_history_slowest_migration\|DB\|1\|a\|[0-9.e-]+'; do
    grep -qE "^${answer/DB/$PGDATABASE}$" "$work/answers" || problem "$table: no $answer in $(cat "$work/answers")"
  done
  [[ $(cut -d '|' -f 1 "$work/answers" | sort -u | wc -l) == "$(jq length "$work/queries.json")" ]] ||
    problem "a query without an answer: $(cat "$work/answers")"
done
finish
