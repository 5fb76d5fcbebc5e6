# A roll-back whose statements cannot run in a transaction: data is counted first all the same; a failure in the middle
# leaves it half rolled back, `up` refuses to guess, and `down` goes on after the file is corrected.
source "$SUPPORT/lib.sh"
new_db
mig 1_base <<<'CREATE TABLE t (id int); CREATE TABLE kept (id int);'
mig 2_index <<<'CREATE INDEX CONCURRENTLY t_id ON t (id);'
mig 2_index migration.yaml <<<'transaction: none'
mig 2_index down.sql <<<$'DROP INDEX CONCURRENTLY t_id;\nDROP TABLE kept;\nDROP TABLE not_there;\nVACUUM t;'
run up
expect_code 0

sql 'INSERT INTO kept VALUES (1)'
run down --yes
expect_code 21
expect_err 'kept .rows.: 1'
expect_sql "SELECT to_regclass('t_id') IS NULL" f
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE direction = 'down' AND outcome = 'started'" 0

sql 'TRUNCATE kept'
run down --yes
expect_code 13
expect_err 'migrations/2_index/down.sql:3:'
expect_err 'run .lockkeeper down. again'
expect_sql "SELECT to_regclass('t_id') IS NULL AND to_regclass('kept') IS NULL" t
run check
expect_code 3
run up
expect_code 13
expect_err 'it is a roll-back; .lockkeeper down. goes on with it'

mig 2_index down.sql <<<$'DROP INDEX CONCURRENTLY t_id;\nDROP TABLE IF EXISTS kept;\nVACUUM t;'
run down --yes
expect_code 13
expect_err 'the statements that are done were changed'
mig 2_index down.sql <<<$'DROP INDEX CONCURRENTLY t_id;\nDROP TABLE kept;\nVACUUM t;'
run down --yes
expect_code 0
expect_sql "SELECT direction, outcome, statements_done FROM lockkeeper.history ORDER BY id DESC LIMIT 1" 'down|applied|3'
run status
expect_out '^2 +index +pending'
run up
expect_code 0
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_id'::regclass" t
