# The third of five fails: two stay applied, it says so, the third is rolled back whole, the others wait; after the file is
# corrected the rest is applied. A deferred constraint that fails at COMMIT is no exception.
source "$SUPPORT/lib.sh"
new_db
for n in 1 2 4 5; do
  mig "${n}_t$n" <<<"CREATE TABLE t$n (id int);"
done
mig 3_t3 <<<$'CREATE TABLE t3 (id int);\nINSERT INTO t3 VALUES (1), (2);\nALTER TABLE t3 ADD COLUMN ref int REFERENCES missing;'
run up
expect_code 12
expect_err 'migrations/3_t3/up.sql:3:1.*42P01'
expect_err 'The migration was rolled back; what came before it stays applied, up to 2'
expect_sql "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^t[0-9]$'" 't1 t2'
expect_sql "SELECT version || ' ' || outcome || ' ' || (error LIKE '%missing%') FROM lockkeeper.history WHERE version = '3'" '3 failed true'
run check
expect_code 3
expect_err '3 migrations pending'

mig 3_t3 <<<'CREATE TABLE t3 (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES t3 DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (7);'
run up
expect_code 12
expect_err '23503'
expect_sql "SELECT to_regclass('t3') IS NULL AND to_regclass('child') IS NULL" t
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE version = '3' AND outcome = 'applied'" 0

mig 3_t3 <<<'CREATE TABLE t3 (id int);'
run up
expect_code 0
expect_sql "SELECT string_agg(version, ' ' ORDER BY id) FROM lockkeeper.history WHERE outcome = 'applied'" '1 2 3 4 5'

# Without a transaction, each statement commits by itself.
mig 6_none <<<'CREATE TABLE t6 (id int PRIMARY KEY);
CREATE TABLE child (id int REFERENCES t6 DEFERRABLE INITIALLY DEFERRED);
INSERT INTO child VALUES (7);
VACUUM child;'
mig 6_none migration.yaml <<<'transaction: none'
run up
expect_code 13
expect_err 'migrations/6_none/up.sql:3:1.*23503'
expect_sql "SELECT outcome, statements_done FROM lockkeeper.history WHERE version = '6'" 'started|2'
sql 'INSERT INTO t6 VALUES (7)'
run up
expect_code 0
