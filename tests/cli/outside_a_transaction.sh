# One file without a transaction that has a statement of each kind that cannot run in one, and code that commits.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE t (id int, name text); CREATE TYPE mood AS ENUM ('sad');
     CREATE PROCEDURE fill() LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO t VALUES (1); COMMIT; END \$\$;
     CREATE TABLE parted (id int) PARTITION BY RANGE (id); CREATE INDEX parted_id ON parted (id);
     CREATE TABLE part PARTITION OF parted FOR VALUES FROM (1) TO (9)"
mig 1_all migration.yaml <<<'transaction: none'
mig 1_all <<SQL
CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);
CALL fill();
DO \$\$ BEGIN INSERT INTO t VALUES (2); COMMIT; INSERT INTO t VALUES (3); ROLLBACK; END \$\$;
DO \$\$ BEGIN INSERT INTO t VALUES (4); END \$\$;
ALTER TYPE mood ADD VALUE 'ok';
INSERT INTO t VALUES (5, 'ok'::mood);
REINDEX INDEX CONCURRENTLY t_id;
REINDEX TABLE CONCURRENTLY t;
REINDEX SCHEMA public;
REINDEX TABLE part;
VACUUM (ANALYZE) t;
CLUSTER t USING t_id;
CLUSTER;
ALTER SYSTEM SET log_min_messages = 'warning';
ALTER SYSTEM RESET log_min_messages;
CREATE DATABASE ${DB}_other;
ALTER DATABASE ${DB}_other SET TABLESPACE pg_default;
DROP DATABASE ${DB}_other;
CREATE INDEX CONCURRENTLY t_name ON t (name);
DROP INDEX CONCURRENTLY t_name;
SQL
run up
expect_code 0
expect_sql "SELECT string_agg(id::text, ' ' ORDER BY id) FROM t" '1 2 4 5'
expect_sql "SELECT outcome, statements_done = statements_total FROM lockkeeper.history" 'applied|t'

# In a transaction the server would refuse each; the file says so before anything runs.
mig 2_enum <<<"ALTER TYPE mood ADD VALUE 'glad';
INSERT INTO t VALUES (6, 'glad'::mood);"
run up
expect_code 11
expect_err "migrations/2_enum/up.sql:2:1.*'glad' cannot be used in the transaction that adds it to an enum \(line 1\)"
mig 2_enum migration.yaml <<<'transaction: none'
run up
expect_code 0

mig 3_unnamed <<<'CREATE INDEX CONCURRENTLY ON t (name);'
run up
expect_code 11
expect_err 'migrations/3_unnamed/up.sql:1:1.*CREATE INDEX CONCURRENTLY without a name for the index'
expect_sql "SELECT string_agg(version, ' ' ORDER BY id) FROM lockkeeper.history" '1 2'
