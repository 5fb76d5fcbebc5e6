# Behind a pooler in transaction mode: a migration in a transaction is applied; exit code 18 for what needs a session of
# its own, before anything is changed. --pooler session or a direct URL work for that.
source "$SUPPORT/lib.sh"
source "$SUPPORT/common.sh"
source "$SUPPORT/pooler.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
direct=$URL
pooler transaction

URL=$POOLED_URL
run up
expect_code 0
expect_err 'there is a connection pooler in between.*each migration takes the lock in its own transaction'
run status
expect_code 0
run check
expect_code 0
run doctor
expect_code 0
URL=$direct
expect_sql 'SELECT version, outcome FROM lockkeeper.history' '1|applied'

# What cannot work is refused whole: the migration before it is not applied either.
refused() {
  URL=$POOLED_URL
  run "$@"
  URL=$direct
  expect_code 18
  expect_err 'there is a connection pooler in between'
  expect_err 'DIRECT_URL.*--pooler session'
  expect_sql "SELECT to_regclass('b') IS NULL AND count(*) = 1 FROM lockkeeper.history" t
  expect_no_lock
}
mig 2_b <<<'CREATE TABLE b (id int);'
mig 3_index <<<'CREATE INDEX CONCURRENTLY a_id ON a (id);'
refused up
expect_err '3_index/up.sql:1:1: CREATE INDEX CONCURRENTLY cannot run in a transaction'
mig 3_index <<<'SELECT 1;'
mig 3_index migration.yaml <<<'transaction: none'
refused up
expect_err '3_index runs without a transaction'
rm migrations/3_index/migration.yaml
for sql in 'SET search_path = other' "SELECT set_config('search_path', 'other', false)" 'LISTEN news' \
  'CREATE TEMP TABLE c (id int)' 'SELECT pg_advisory_lock(1)'; do
  mig 3_index <<<"$sql;"
  refused up
  expect_err '3_index/up.sql:1:1: .* would stay behind in a session that others use next'
done
rm -r migrations/3_index
refused baseline
expect_err 'baseline.* needs a session of its own'
refused repair 1 --accept-checksum

# The direct URL.
mig 3_index <<<'CREATE INDEX CONCURRENTLY a_id ON a (id);'
URL=$POOLED_URL ENV=(DIRECT_URL="$direct")
run up
expect_code 0
expect_err 'database from environment variable DIRECT_URL'
URL=$direct ENV=()
expect_sql "SELECT to_regclass('b') IS NOT NULL AND to_regclass('a_id') IS NOT NULL" t

# A pooler in session mode, and we are told so.
mig 4_index <<<'CREATE INDEX CONCURRENTLY b_id ON b (id);'
pooler_mode session
URL=$POOLED_URL
run up --pooler session
expect_code 0
URL=$direct
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('b_id')" t
expect_no_lock
