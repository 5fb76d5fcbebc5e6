# What is in SQL files in practice: dollar quotes, functions, COPY with its data, pg_dump's lines, Prisma's names.
source "$SUPPORT/lib.sh"
new_db
mig 1_quotes <<'SQL'
CREATE TABLE "Odd;Name" ("a;b" text, note text DEFAULT 'it''s; -- no comment');
/* a comment; /* nested; */ still */
INSERT INTO "Odd;Name" VALUES ($$a;b$$, $tag$ $$ ; $tag$), (E'a\';b', U&'\0041;');
DO $$ BEGIN PERFORM 1; EXECUTE 'CREATE TABLE made (id int);'; END $$;
SQL
mig 2_functions <<'SQL'
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS $body$
BEGIN
  RETURN n * 2; -- a comment; with a semicolon
END;
$body$;
CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.id := twice(NEW.id); RETURN NEW; END';
CREATE TRIGGER made_touch BEFORE INSERT ON made FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE made_rule AS ON DELETE TO made DO ALSO (INSERT INTO made VALUES (0); SELECT 1);
INSERT INTO made VALUES (21);
SQL
if (($(sql 'SHOW server_version_num') >= 140000)); then
  mig 3_atomic <<'SQL'
CREATE FUNCTION thrice(n int) RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN n > 0 THEN n * 3 END; END;
CREATE TABLE thriced AS SELECT thrice(3);
SQL
fi
mig 4_dump <<'SQL'
\restrict Nf3kPq
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public.copied (id integer NOT NULL, name text);
COPY public.copied (id, name) FROM stdin;
1	one; two
2	\N
3	it's \\ $$ --
\.
COPY public.copied FROM stdin (FORMAT csv);
4,"four; ""4"""
\.
SELECT pg_catalog.count(*) FROM public.copied;
\unrestrict Nf3kPq
SQL
mig 5_after <<<'CREATE TABLE after (id int);'
run up
expect_code 0
expect_sql 'SELECT "a;b", length(note) FROM "Odd;Name"' $'a;b|6\na\';b|2'
expect_sql 'SELECT id FROM made' 42
expect_sql "SELECT id, coalesce(name, 'NULL') FROM copied ORDER BY id" $'1|one; two\n2|NULL\n3|it\'s \\ $$ --\n4|four; "4"'
expect_sql "SELECT relnamespace::regnamespace FROM pg_class WHERE relname = 'after'" public

# COPY that fails, and COPY followed by an expectation that does not hold: all of it is rolled back.
mig 6_copy <<<$'CREATE TABLE late (id int);\nCOPY late FROM stdin;\n1\nx\n\\.'
run up
expect_code 12
expect_err 'migrations/6_copy/up.sql:2:1.*22P02'
expect_sql "SELECT to_regclass('late') IS NULL" t
mig 6_copy <<<$'CREATE TABLE late (id int);\nCOPY late FROM stdin;\n1\n\\.'
mig 6_copy migration.yaml <<<'{expect: {sql: {two rows: SELECT count(*) = 2 FROM late}, columns: {late: {id: {type: bigint}}}}}'
run up
expect_code 16
expect_err 'late.id: expected bigint, found integer'
expect_sql "SELECT to_regclass('late') IS NULL" t
mig 6_copy <<<$'CREATE TABLE late (id bigint);\nCOPY late FROM stdin;\n1\n2\n\\.'
run up
expect_code 0
expect_sql 'SELECT count(*) FROM late' 2

# The same without a transaction: each COPY commits with its progress, or not at all.
mig 7_copy <<<$'CREATE TABLE none (id int);\nCOPY none FROM stdin;\n1\n\\.\nVACUUM none;\nCOPY none FROM stdin;\n2\nx\n\\.'
mig 7_copy migration.yaml <<<'transaction: none'
run up
expect_code 13
expect_err 'migrations/7_copy/up.sql:6:1.*22P02'
mig 7_copy <<<$'CREATE TABLE none (id int);\nCOPY none FROM stdin;\n1\n\\.\nVACUUM none;\nCOPY none FROM stdin;\n2\n\\.'
run up
expect_code 0
expect_sql "SELECT string_agg(id::text, ' ' ORDER BY id) FROM none" '1 2'
