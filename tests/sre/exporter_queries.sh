# postgres_exporter over the history table, as a role that may read it and nothing else: no history, one that may not be
# read, runs that succeed, fail and stop half-way; each metric is what happened. Never an error, never a value that is
# not known.
source "$SUPPORT/lib.sh"
source "$SUPPORT/prometheus.sh"
queries=$REPO/deploy/helm/lockkeeper/files/queries.yaml
new_db
new_role exporter
start_postgres_exporter "$ROLE_URL" "$queries"

# scrape: our series go to `series`, without what the exporter adds to each (server="127.0.0.1:5432").
scrape() {
  curl -fsS "$EXPORTER_URL/metrics" >scraped || fail "no answer: $(tail -n 5 exporter.log)"
  grep -E '^(# (HELP|TYPE) )?lockkeeper_' scraped >ours || fail "no metric of ours: $(tail -n 5 exporter.log)"
  sed -E '/^#/d; s/,?server="[^"]*"//; s/database="'"$DB"'",?//; s/\{\}//' ours | sort >series
  grep -qE '^pg_exporter_last_scrape_error(\{.*\})? 0$' scraped || fail "an error: $(grep -i err exporter.log | tail -n 3)"
  ! grep -q 'NaN' series || fail "not known, and yet there: $(grep NaN series)"
  promtool check metrics <ours >check.log 2>&1 || fail "promtool: $(cat check.log)"
}
# is METRIC VALUE: of the series with exactly these labels.
is() {
  local value
  value=$(grep -F "$1 " series | sed 's/.* //') || fail "no $1 in $(cat series)"
  awk -v a="$value" -v b="$2" 'BEGIN { exit !(a - b < 1e-5 && b - a < 1e-5) }' || fail "$1 is '$value', expected '$2'"
}
# there METRIC COUNT: how many series it has.
there() {
  [[ $(grep -cE "^$1[{ ]" series || true) == "$2" ]] || fail "not $2 series of $1: $(cat series)"
}

# --- no history, then one that may not be read: that is said, and nothing else
scrape
[[ $(cat series) == $'lockkeeper_history_table_exists 0\nlockkeeper_history_table_readable 0' ]] || fail "$(cat series)"
mig 1_first <<<'CREATE TABLE t (id int); SELECT pg_sleep(0.2);'
mig 2_second <<<'INSERT INTO t VALUES (1), (1);'
run up
expect_code 0
scrape
[[ $(cat series) == $'lockkeeper_history_table_exists 1\nlockkeeper_history_table_readable 0' ]] || fail "$(cat series)"

# --- what docs/history.md grants is enough
sql "GRANT USAGE ON SCHEMA lockkeeper TO $ROLE"
scrape
[[ $(cat series) == $'lockkeeper_history_table_exists 1\nlockkeeper_history_table_readable 0' ]] || fail "$(cat series)"
sql "GRANT SELECT ON lockkeeper.history TO $ROLE"
scrape
is lockkeeper_history_table_readable 1
is lockkeeper_history_applied 2
is lockkeeper_history_half_done 0
is lockkeeper_history_failed_attempts_total 0
is 'lockkeeper_history_schema_version_info{version="2"}' 1
is lockkeeper_history_migrations_pending 0
is lockkeeper_history_last_attempt_failed 0
applied=$(sql 'SELECT extract(epoch FROM max(finished_at)) FROM lockkeeper.history')
is lockkeeper_history_last_applied_timestamp_seconds "$applied"
is lockkeeper_history_last_attempt_timestamp_seconds "$applied"
there lockkeeper_history_last_migration_duration_seconds 1
there lockkeeper_history_slowest_migration_duration_seconds 2
took() { sql "SELECT extract(epoch FROM finished_at - started_at) FROM lockkeeper.history WHERE version = '$1'"; }
is 'lockkeeper_history_last_migration_duration_seconds{name="second",version="2"}' "$(took 2)"
is 'lockkeeper_history_slowest_migration_duration_seconds{name="first",version="1"}' "$(took 1)"

# --- a failure
mig 3_third <<<'SELECT 1 / 0;'
mig 4_fourth <<<'CREATE TABLE u (id int);'
run up
expect_code 12
scrape
is lockkeeper_history_applied 2
is lockkeeper_history_failed_attempts_total 1
is lockkeeper_history_last_attempt_failed 1
is lockkeeper_history_migrations_pending 2
is 'lockkeeper_history_schema_version_info{version="2"}' 1
is lockkeeper_history_last_applied_timestamp_seconds "$applied"

# --- half done: the values in t are not unique
mig 3_third <<<'CREATE TABLE v (id int);'
mig 5_fifth <<<'CREATE INDEX CONCURRENTLY a ON t (id); CREATE UNIQUE INDEX CONCURRENTLY b ON t (id);'
run up
expect_code 13
scrape
is lockkeeper_history_applied 4
is lockkeeper_history_half_done 1
is lockkeeper_history_failed_attempts_total 2
is lockkeeper_history_last_attempt_failed 1
is lockkeeper_history_migrations_pending 1
is 'lockkeeper_history_schema_version_info{version="4"}' 1

# --- finished, rolled back and applied again: a version is one series
sql 'DELETE FROM t'
mig 6_sixth <<<'CREATE TABLE w (id int);'
mig 6_sixth down.sql <<<'DROP TABLE w;'
run up
expect_code 0
run down --yes
expect_code 0
scrape
is lockkeeper_history_applied 5
is 'lockkeeper_history_schema_version_info{version="5"}' 1
there lockkeeper_history_migrations_pending 0 # a roll-back does not say
run up
expect_code 0
scrape
is lockkeeper_history_applied 6
is lockkeeper_history_half_done 0
is lockkeeper_history_migrations_pending 0
is lockkeeper_history_last_attempt_failed 0
is 'lockkeeper_history_schema_version_info{version="6"}' 1
there lockkeeper_history_schema_version_info 1
there lockkeeper_history_slowest_migration_duration_seconds 5

# --- every metric that the file declares was seen
python3 - "$queries" >declared <<'PYTHON'
import re, sys
query = ""
for line in open(sys.argv[1], encoding="utf-8"):
    if found := re.match(r"(\w+):$", line):
        query = found[1]
    elif found := re.match(r"    - (\w+):$", line):
        column = found[1]
    elif re.match(r"        usage: (GAUGE|COUNTER)$", line):
        print(f"{query}_{column}")
PYTHON
diff <(sort declared) <(sed -E 's/[{ ].*//' series | sort -u) || fail 'declared (<) is not what is scraped (>)'
while read -r metric; do
  grep -qF "\`$metric" "$REPO/docs/dashboard.md" || fail "docs/dashboard.md does not have $metric"
done <declared
