# When nothing is pending, `up` and `check` write nothing: no transaction id is used, no row, no lock, no right to any.
source "$SUPPORT/lib.sh"
LOCKKEEPER_TEST_CONF='autovacuum = off' own_cluster # nobody else uses transaction ids there
new_db
mig 1_first <<<'CREATE TABLE t (id int);'
mig 1_first migration.yaml <<<'expect: {columns: {t: {id: {type: integer}}}}'
run up
expect_code 0
new_role reader
sql "GRANT USAGE ON SCHEMA lockkeeper TO $ROLE; GRANT SELECT ON lockkeeper.history TO $ROLE"

next=$(sql 'SELECT pg_snapshot_xmax(pg_current_snapshot())')
for name in up check status plan verify; do
  run "$name"
  expect_code 0
  expect_no 'got the lock'
done
URL=$ROLE_URL run up
expect_code 0
expect_sql 'SELECT pg_snapshot_xmax(pg_current_snapshot())' "$next"
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1
