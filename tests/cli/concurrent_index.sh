# CREATE INDEX CONCURRENTLY alone needs no word in migration.yaml; mixed with others it does; an INVALID index that a failed
# build left is dropped and built again.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE t (id int, name text); INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 100) n"

mig 1_index <<<'CREATE INDEX CONCURRENTLY t_name ON t (name);'
run up
expect_code 0
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_name'::regclass" t
expect_sql 'SELECT direction, outcome, statements_done, statements_total FROM lockkeeper.history' 'up|applied|1|1'

mig 2_mixed <<<'ALTER TABLE t ADD COLUMN age int;
CREATE INDEX CONCURRENTLY t_age ON t (age);'
run up
expect_code 11
expect_err 'migrations/2_mixed/up.sql:2:1.*CREATE INDEX CONCURRENTLY cannot run inside a transaction'
expect_err 'migration of its own.*transaction: none'
expect_sql "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'age'" 0
mig 2_mixed migration.yaml <<<'transaction: none'
run up
expect_code 0
expect_no 'server warning'
expect_sql "SELECT outcome, statements_done, statements_total FROM lockkeeper.history WHERE version = '2'" 'applied|2|2'

mig 3_several <<<'CREATE INDEX CONCURRENTLY t_a ON t (id, name); CREATE INDEX CONCURRENTLY IF NOT EXISTS t_b ON t (name, id);
VACUUM t; REINDEX INDEX CONCURRENTLY t_a; DROP INDEX CONCURRENTLY t_b;'
run up
expect_code 0
expect_sql "SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY indexrelid::regclass::text) FROM pg_index
            WHERE indrelid = 't'::regclass AND indisvalid" 't_a t_age t_name'

sql 'INSERT INTO t VALUES (1)'
mig 4_unique <<<'CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);'
run up
expect_code 12
expect_err 'migrations/4_unique/up.sql:1:1.*23505'
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass" f
run check
expect_code 3
sql 'DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t WHERE id = 1)'
run up
expect_code 0
expect_err 'index t_id was INVALID, left by a build that failed: dropped and built again'
expect_sql "SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = 't_id'::regclass" 't|t'
expect_sql "SELECT count(*) FROM pg_index WHERE NOT indisvalid" 0
expect_sql "SELECT string_agg(outcome, ' ' ORDER BY id) FROM lockkeeper.history WHERE version = '4'" 'failed applied'
