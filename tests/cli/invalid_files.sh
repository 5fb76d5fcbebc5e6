# Files that cannot be used: 11, every problem of all of them in one report, before the database is touched.
source "$SUPPORT/lib.sh"
new_db
mkdir migrations
run up
expect_code 11
expect_err 'there are no migrations in the directory'
run up --migrations nowhere
expect_code 11

mig 1_good <<<'CREATE TABLE good (id int);'
mig 2_commit <<<$'CREATE TABLE a (id int);\nCOMMIT;\nCREATE TABLE b (id int);'
mig 3_begin <<<$'BEGIN; SELECT 1; END;'
mig 4_psql <<<$'\\set x 1\nSELECT 1;\n\\i other.sql'
mig 5_open <<<$'SELECT 1;\nSELECT $$ not closed;'
mig 6_comments <<<'-- nothing here'
mig 7_keys <<<'SELECT 1;'
mig 7_keys migration.yaml <<<$'phase: later\nexpect:\n  colums: {}'
run up
expect_code 11
expect_err 'migrations/2_commit/up.sql:2:1.*COMMIT in a migration'
expect_err 'migrations/3_begin/up.sql:1:1.*BEGIN in a migration'
expect_err 'migrations/3_begin/up.sql:1:18.*END in a migration'
expect_err 'migrations/4_psql/up.sql:1:1.*.set is a psql command'
expect_err 'migrations/4_psql/up.sql:3:1.*.i is a psql command'
expect_err 'migrations/5_open/up.sql:2:8.*unterminated'
expect_err 'migrations/6_comments/up.sql.*the file has no statements'
expect_err 'migrations/7_keys/migration.yaml:1:8.*neither pre nor post'
expect_err 'migrations/7_keys/migration.yaml:3:3.*colums'
expect_sql "SELECT to_regclass('good') IS NULL AND to_regclass('lockkeeper.history') IS NULL" t

# What is wrong with names and directories is found without a connection.
rm -r migrations/[2-7]_*
mig 01_again <<<'SELECT 1;'
mig no_version <<<'SELECT 1;'
mkdir migrations/8_empty
: >migrations/9_loose.sql
URL=postgresql://127.0.0.1:1/nowhere run up --connect-wait 1m
expect_code 11
expect_err '1_good.*the same version as .*01_again|01_again.*the same version as .*1_good'
expect_err 'migrations/no_version'
expect_err 'migrations/8_empty.*no up.sql'
expect_err 'migrations/9_loose.sql.*SQL outside of a migration'
rm -r migrations/01_again migrations/no_version migrations/8_empty migrations/9_loose.sql

run new 'Add colours'
expect_code 0
expect_out '^migrations/[0-9]{14}_Add_colours$'
new=$out
run up
expect_code 11
expect_err "$new/up.sql.*the file has no statements"
expect_sql "SELECT to_regclass('good') IS NULL" t
echo 'CREATE TABLE colours (id int);' >"$new/up.sql"
run up
expect_code 11
expect_err "$new/down.sql.*the file has no statements"
echo 'DROP TABLE colours;' >"$new/down.sql"
run up
expect_code 0
expect_sql "SELECT to_regclass('colours') IS NULL" f
