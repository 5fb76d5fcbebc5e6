# Exit codes 3, 4, 14 and 15: files and history do not fit, and what allows it.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
mig 3_c <<<'CREATE TABLE c (id int);'
run check
expect_code 3
expect_err '2 migrations pending'
run wait --timeout 1s
expect_code 3
run up
expect_code 0
run wait --timeout 1s
expect_code 0

mig 3_c <<<'CREATE TABLE c (id bigint);'
mig 4_d <<<'CREATE TABLE d (id int);'
run up
expect_code 14
expect_err '3_c/up.sql.*the file was changed after it was applied'
expect_sql "SELECT to_regclass('d') IS NULL" t
run verify
expect_code 14
run repair 3 --accept-checksum
expect_code 0
run up
expect_code 0

mig 2_b <<<'CREATE TABLE b (id int);'
run up
expect_code 15
expect_err '2_b is pending, but the newer 4 is applied'
expect_sql "SELECT to_regclass('b') IS NULL" t
run up --on-out-of-order apply
expect_code 0

mv migrations/2_b .
run up
expect_code 15
expect_err '2_b is applied, but its files are missing'
run up --on-missing ignore
expect_code 0
mv 2_b migrations/

mv migrations/4_d .
run up
expect_code 0
run up --on-ahead warn
expect_code 0
expect_err 'warn.*the database is ahead of the files: 4_d is applied, the newest file is 3_c'
run up --on-ahead fail
expect_code 15
run check
expect_code 0
run check --strict
expect_code 4
