# Exit code 11 for what is in the files: all problems of all pending files together, and nothing is changed.
source "$SUPPORT/lib.sh"
new_db
mig 1_good <<<'CREATE TABLE a (id int);'
mig 2_quote <<<$'CREATE TABLE b (id int,\n  name text DEFAULT \'x);'
mig 3_mixed <<<'CREATE TABLE c (id int); CREATE INDEX CONCURRENTLY i ON c (id);'
mig 4_key <<<'SELECT 1;'
mig 4_key migration.yaml <<<'descripton: typing error'
run up
expect_code 11
expect_err '2_quote/up.sql:2:21'
expect_err '3_mixed/up.sql:1:26.*set transaction: none'
expect_err '4_key/migration.yaml:1:1.*Did you mean .{1,2}description'
expect_sql "SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b', 'c', 'history')" 0

rm -r migrations/[234]_*
run up
expect_code 0
mig 2_quote <<<"SELECT 'x"
run plan
expect_code 11
run up
expect_code 11
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1

mig 2_quote <<<'CREATE TABLE b (id int);'
run up
expect_code 0
run down --yes # there is no down.sql
expect_code 11
expect_sql "SELECT to_regclass('b') IS NOT NULL" t
