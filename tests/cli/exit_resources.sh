# Exit codes 34 and 35: the server ran out of a resource; metrics that are required were not delivered.
source "$SUPPORT/lib.sh"
new_db
mig 1_sort <<'SQL'
CREATE TABLE a (id int);
SET LOCAL work_mem = '64kB';
SET LOCAL temp_file_limit = '128kB';
CREATE TABLE b AS SELECT n, repeat('x', 100) FROM generate_series(1, 200000) n ORDER BY n DESC;
SQL
run up
expect_code 34
expect_err 'temporary file size exceeds temp_file_limit.*53400'
expect_sql "SELECT to_regclass('a') IS NULL AND to_regclass('b') IS NULL" t
mig 1_sort <<<"DO \$\$ BEGIN RAISE 'no space left on device' USING ERRCODE = '53100'; END \$\$;"
run up
expect_code 34
expect_err '53100'

mig 1_sort <<<'CREATE TABLE a (id int);'
run up --metrics-url http://127.0.0.1:9 --metrics-required
expect_code 35
expect_err 'the metrics were not delivered'
expect_sql "SELECT to_regclass('a') IS NOT NULL" t
run up --metrics-url http://127.0.0.1:9 # not required: a warning
expect_code 0
expect_err '"level":"warn".*127.0.0.1:9'
run up --metrics-file /nowhere/metrics.prom --metrics-required
expect_code 35
run up --metrics-url "$PUSHGATEWAY_URL" --metrics-file metrics.prom --metrics-required
expect_code 0
grep -q '^lockkeeper_last_run_success.* 1$' metrics.prom || fail "no metrics in the file"
