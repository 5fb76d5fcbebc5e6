# The checksum: line ends and a BOM do not count, a change does (14, nothing runs); `verify` lists all of them; `repair`
# needs --accept-checksum, and leaves the old checksum in the history.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<$'CREATE TABLE a (id int);\n-- a comment'
mig 2_b <<<'CREATE TABLE b (id int);'
mig 3_c <<<'CREATE TABLE c (id int);'
run up
expect_code 0

printf '\xef\xbb\xbfCREATE TABLE a (id int);\r\n-- a comment\r\n' >migrations/1_a/up.sql
run up
expect_code 0
run verify
expect_code 0

old=$(sql "SELECT checksum FROM lockkeeper.history WHERE version = '2'")
mig 1_a <<<$'CREATE TABLE a (id int);\n-- another comment'
mig 2_b <<<'CREATE TABLE b (id bigint);'
mig 4_d <<<'CREATE TABLE d (id int);'
for name in up verify plan; do
  run "$name"
  expect_code 14
  expect_err 'migrations/1_a/up.sql: the file was changed after it was applied'
  expect_err 'migrations/2_b/up.sql: the file was changed after it was applied'
done
expect_err "applied with sha256 $old"
run status
expect_out '^2 +b +applied, file changed'
expect_sql "SELECT to_regclass('d') IS NULL" t

run repair 2
expect_code 2
expect_err 'needs --accept-checksum'
run repair 4 --accept-checksum
expect_code 15
run repair 5 --accept-checksum
expect_code 2
run repair 2 --accept-checksum
expect_code 0
expect_sql "SELECT direction, outcome, details->>'old_checksum' = '$old', checksum <> '$old', applied_by, runner LIKE 'lockkeeper/%'
            FROM lockkeeper.history WHERE version = '2' AND direction = 'repair'" 'repair|applied|t|t|postgres|t'
run repair 2 --accept-checksum
expect_code 0
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE direction = 'repair'" 1
run up
expect_code 14
run repair 1 --accept-checksum
run up
expect_code 0
expect_sql "SELECT to_regclass('d') IS NULL" f
expect_sql "SELECT pg_catalog.format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = 'b'::regclass AND attname = 'id'" integer
