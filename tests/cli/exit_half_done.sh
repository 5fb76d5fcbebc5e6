# Exit code 13: a file without a transaction that failed half-way. A rerun goes on where it stopped; what is done must not be edited.
source "$SUPPORT/lib.sh"
new_db
mig 1_half migration.yaml <<<'transaction: none'
mig 1_half <<'SQL'
CREATE TABLE a (id int);
CREATE INDEX CONCURRENTLY a_id ON a (ident);
SQL
run up
expect_code 13
expect_err '1_half/up.sql.*ident.*42703|column "ident" does not exist'
expect_err 'Statements 1 to 1 of 2 are done and committed'
expect_sql "SELECT outcome, statements_done, statements_total FROM lockkeeper.history" 'started|1|2'
run check
expect_code 3
run status
expect_out '1 +half +half done'

mig 1_half <<'SQL'
CREATE TABLE a (ident int);
CREATE INDEX CONCURRENTLY a_id ON a (ident);
SQL
run up
expect_code 13
expect_err 'the statements that are done were changed in the file'
expect_sql "SELECT count(*) FROM pg_class WHERE relname = 'a_id'" 0

mig 1_half <<'SQL'
CREATE TABLE a (id int);
CREATE INDEX CONCURRENTLY a_id ON a (id);
SQL
run up
expect_code 0
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass" t
run check
expect_code 0
