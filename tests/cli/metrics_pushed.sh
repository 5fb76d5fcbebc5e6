# The Pushgateway: success replaces the group, failure leaves last_success in it; the group is job, namespace, database,
# environment; a run that changes nothing pushes as well; nothing is pushed before the database's name is known.
source "$SUPPORT/lib.sh"
new_db
ENV=(LOCKKEEPER_METRICS_URL="$PUSHGATEWAY_URL" LOCKKEEPER_METRICS_NAMESPACE=shop LOCKKEEPER_ENV=preview)
cat >lockkeeper.yaml <<<'environments: {preview: {}}'
# sample METRIC [LABEL=VALUE]: its value in this database's groups; empty when there is none.
sample() {
  curl -fsS "$PUSHGATEWAY_URL/metrics" | grep -E "^$1\{" | grep -F "database=\"$DB\"" | grep -E "${2:-}" | sed 's/.* //' || true
}
expect_sample() {
  local found
  found=$(sample "$1" "${3:-}")
  [[ $found == "$2" ]] || fail "metric $1 is '$found', expected '$2'"
}

mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE TABLE b (id int);'
URL=${URL%/*}/no_such_$DB run up --auth-wait 0
expect_code 10
URL=postgresql://127.0.0.1:1/$DB run up --connect-wait 0
expect_code 30
curl -fsS "$PUSHGATEWAY_URL/metrics" >scrape
! grep -qF "$DB" scrape || fail 'pushed without a database'

run up
expect_code 0
expect_sample lockkeeper_last_run_success 1 'job="lockkeeper".*namespace="shop"'
expect_sample lockkeeper_last_run_success 1 'environment="preview"'
expect_sample lockkeeper_last_run_success 1 'instance=""'
expect_sample lockkeeper_migrations_applied 2
expect_sample lockkeeper_migrations_pending 0
expect_sample lockkeeper_schema_version_info 1 'version="2"'
[[ -n $(sample lockkeeper_migration_duration_seconds 'version="1"') ]] || fail 'no duration of migration 1'
success=$(sample lockkeeper_last_success_timestamp_seconds)
[[ -n $success ]] || fail 'no last success'

mig 3_bad <<<'SELECT 1 / 0;'
sleep 0.01
run up
expect_code 12
expect_sample lockkeeper_last_run_success 0
expect_sample lockkeeper_last_run_exit_code 12
expect_sample lockkeeper_migrations_pending 1
expect_sample lockkeeper_last_success_timestamp_seconds "$success"

mig 3_bad <<<'SELECT 1;'
run up
expect_code 0
expect_sample lockkeeper_last_run_exit_code 0
expect_sample lockkeeper_migration_duration_seconds '' 'version="1"' # replaced: what that run did is gone
run up # nothing to do
expect_code 0
expect_sample lockkeeper_migrations_applied 0
expect_sample lockkeeper_schema_version_info 1 'version="3"'
[[ $(sample lockkeeper_last_success_timestamp_seconds) != "$success" ]] || fail 'last success did not move'

run up --metrics-job other
expect_code 0
expect_sample lockkeeper_last_run_success 1 'job="other"'
curl -fsS "$PUSHGATEWAY_URL/api/v1/metrics" |
  jq -e --arg db "$DB" '[.data[].labels | select(.database == $db)] | map(keys) | unique ==
    [["database", "environment", "job", "namespace"]]' >/dev/null || fail 'the group has other labels'
