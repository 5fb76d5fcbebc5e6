# What one migration leaves in the session does not change what the next one means, nor where our own rows go.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE t (n int)'
mig 1_path <<<"SET search_path = ''; SELECT pg_catalog.set_config('timezone', 'Asia/Tokyo', false);"
mig 2_timezone <<<"INSERT INTO t SELECT 2 WHERE current_setting('timezone') <> 'Asia/Tokyo' AND current_schema() = 'public';"
mig 3_role <<<"CREATE ROLE ${DB}_other; GRANT ${DB}_other TO CURRENT_USER; SET ROLE ${DB}_other;"
mig 4_me <<<"INSERT INTO t SELECT 4 WHERE current_user = 'postgres';"
mig 5_temporary <<<'CREATE TEMPORARY TABLE t (n int); PREPARE p AS SELECT 1; DECLARE c CURSOR WITH HOLD FOR SELECT 1; INSERT INTO t VALUES (0);'
mig 6_no_temporary <<<'INSERT INTO t VALUES (6); PREPARE p AS SELECT 2; DECLARE c CURSOR WITH HOLD FOR SELECT 1;'
mig 7_unlock <<<'SELECT pg_advisory_unlock_all();'
mig 8_after <<<'INSERT INTO t VALUES (8);'
mig 9_none <<<"SET search_path = '';
INSERT INTO public.t VALUES (9);
VACUUM public.t;
INSERT INTO public.t VALUES (9);"
mig 9_none migration.yaml <<<'{transaction: none, expect: {columns: {t: {n: {type: integer}}}}}'
mig 10_unlock_none <<<"SELECT pg_advisory_unlock_all();
VACUUM public.t;
INSERT INTO public.t VALUES (10);"
mig 10_unlock_none migration.yaml <<<'transaction: none'
run up
expect_code 0
expect_sql "SELECT string_agg(n::text, ' ' ORDER BY n) FROM t" '2 4 6 8 9 9 10'
expect_sql "SELECT string_agg(version, ' ' ORDER BY version::int) FROM lockkeeper.history WHERE outcome = 'applied'" \
  '1 2 3 4 5 6 7 8 9 10'
expect_sql "SELECT DISTINCT applied_by FROM lockkeeper.history" postgres
expect_sql "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
            WHERE l.locktype = 'advisory' AND d.datname = current_database()" 0

# However often: each migration gives the lock away, and it is taken again for the next.
for n in {11..18}; do
  mig "${n}_unlock" <<<"INSERT INTO t VALUES ($n); SELECT pg_advisory_unlock_all();"
done
run up
expect_code 0
expect_sql 'SELECT count(*) FROM t WHERE n > 10' 8
