# CALL of a procedure that commits on its way, in a file without a transaction: it is never repeated by the run itself,
# and when it fails nobody pretends that nothing was done.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE batches (n int); CREATE TABLE held (n int);
  CREATE PROCEDURE in_batches() LANGUAGE plpgsql AS 'BEGIN
    INSERT INTO batches VALUES (1); COMMIT;
    LOCK TABLE held; INSERT INTO batches VALUES (2); COMMIT;
  END'"
mig 1_call <<<'CALL in_batches();'
mig 1_call migration.yaml <<<'transaction: none'
hold BEGIN 'LOCK TABLE held'
run up --lock-timeout 300ms
expect_code 13
expect_err '1_call/up.sql:1:1.*55P03'
expect_err 'What it had committed by then stays'
release
expect_sql 'SELECT string_agg(n::text, $$ $$) FROM batches' 1
run up
expect_code 13
expect_err 'may or may not be done'
expect_sql 'SELECT string_agg(n::text, $$ $$) FROM batches' 1

# A procedure that is not there has done nothing.
mig 1_call <<<'CALL nobody();'
run up
expect_code 12
mig 1_call <<<'CALL /* looked at: it may run */ in_batches();'
run up
expect_code 0
expect_sql 'SELECT string_agg(n::text, $$ $$) FROM batches' '1 1 2'
