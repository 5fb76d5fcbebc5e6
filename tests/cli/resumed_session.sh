# A file without a transaction that is gone on with: what its done statements had set counts for those that follow, also
# when the connection was lost and the run went on by itself. COPY in it keeps the session too.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE SCHEMA app; CREATE TABLE app.t (n int); CREATE TABLE t (n int)'
mig 1_path <<'SQL'
SET search_path = app;
ALTER TABLE t ADD COLUMN a int;
COPY t (n) FROM STDIN;
1
2
\.
SELECT 1 / 0;
ALTER TABLE t ADD COLUMN b int;
CREATE INDEX CONCURRENTLY t_b ON t (b);
SQL
mig 1_path migration.yaml <<<'transaction: none'
run up
expect_code 13
sed -i 's,1 / 0,1 / 1,' migrations/1_path/up.sql
run up
expect_code 0
expect_sql "SELECT string_agg(attrelid::regclass || '.' || attname, ' ' ORDER BY attnum) FROM pg_attribute
  JOIN pg_class ON pg_class.oid = attrelid AND relkind = 'r' WHERE attname IN ('a', 'b')" 'app.t.a app.t.b'
expect_sql "SELECT indrelid::regclass FROM pg_index WHERE indexrelid = 'app.t_b'::regclass" app.t
expect_sql 'SELECT (SELECT count(*) FROM app.t) || $$ $$ || (SELECT count(*) FROM public.t)' '2 0'

# The connection is lost in the middle; the run goes on by itself.
mig 2_cut <<<"SET search_path = app; VACUUM t; SELECT pg_sleep(2); ALTER TABLE t ADD COLUMN c int;"
mig 2_cut migration.yaml <<<'transaction: none'
start cut up
wait_sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database()
  AND application_name LIKE 'lockkeeper/% up' AND query LIKE 'SELECT pg_sleep%'" 1
finish cut
expect_code 0
expect_err 'the connection to the server was lost'
expect_sql "SELECT attrelid::regclass FROM pg_attribute WHERE attname = 'c'" app.t

# What cannot be had again is not guessed.
mig 3_temporary <<<'CREATE TEMPORARY TABLE stage (n int); VACUUM public.t; SELECT 1 / 0; INSERT INTO stage VALUES (1);'
mig 3_temporary migration.yaml <<<'transaction: none'
run up
expect_code 13
sed -i 's,1 / 0,1 / 1,' migrations/3_temporary/up.sql
run up
expect_code 13
expect_err 'what follows may need a temporary table of the session that was cut'
