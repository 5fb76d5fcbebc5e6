# `down` rolls back the newest, or all that is newer than --to; what would be lost is counted and stops it (21), whatever
# the way it is lost; --allow-data-loss allows it; `up` afterwards applies again.
source "$SUPPORT/lib.sh"
new_db
mig 1_keep <<<'CREATE TABLE keep (id int, note text);'
mig 2_table <<<'CREATE TABLE dropped (id int); CREATE TABLE empty_one (id int);'
mig 2_table down.sql <<<'DROP TABLE dropped; DROP TABLE empty_one;'
mig 3_column <<<'ALTER TABLE keep ADD COLUMN extra text;'
mig 3_column down.sql <<<'ALTER TABLE keep DROP COLUMN extra;'
mig 4_rows <<<'CREATE TABLE cleared (id int);'
mig 4_rows down.sql <<<$'TRUNCATE cleared;\nDROP TABLE IF EXISTS cleared, never_there;'
run up
expect_code 0
newest="SELECT string_agg(version || ' ' || direction, ', ' ORDER BY id) FROM lockkeeper.history WHERE id > 4"

sql "INSERT INTO cleared VALUES (1), (2), (3)"
run down --yes
expect_code 21
expect_err 'cleared .rows.: 3'
expect_no 'never_there .rows'
sql 'TRUNCATE cleared'
run down --yes
expect_code 0
expect_sql "$newest" '4 down'
expect_sql "SELECT to_regclass('cleared') IS NULL" t
run check
expect_code 3
run up
expect_code 0
expect_sql "$newest" '4 down, 4 up'

# Several at once: newest first, and it stops at the first that would lose data.
sql "INSERT INTO keep VALUES (1, 'n', 'x'), (2, 'n', NULL); INSERT INTO dropped VALUES (1)"
run down --yes --to 1
expect_code 21
expect_err 'rolling back 3_column would destroy data'
expect_err 'keep.extra .values that are not null.: 1'
expect_sql "SELECT count(*) FROM keep WHERE extra = 'x'" 1
sql 'UPDATE keep SET extra = NULL'
run down --yes --to 1
expect_code 21
expect_err 'dropped .rows.: 1'
expect_no 'empty_one'
run down --yes --to 1 --allow-data-loss
expect_code 0
expect_sql "SELECT to_regclass('dropped') IS NULL AND to_regclass('empty_one') IS NULL" t
run down --yes --to 1
expect_code 0
expect_err 'nothing to roll back'
run down --yes
expect_code 11
expect_err 'there is no down.sql'
run up
expect_code 0
expect_sql "SELECT string_agg(version, ' ' ORDER BY version) FROM (SELECT DISTINCT ON (version) * FROM lockkeeper.history
            WHERE outcome = 'applied' ORDER BY version, id DESC) h WHERE direction = 'up'" '1 2 3 4'

# What cannot be counted is said, and a question of one's own is asked.
mig 5_block <<<'SELECT 1;'
mig 5_block down.sql <<<$'DO $$ BEGIN DELETE FROM keep; END $$;'
run up
run down --yes
expect_code 21
expect_err 'line 1: DO block: cannot be counted'
mig 5_block down.sql <<<'SELECT 1;'
mig 5_block migration.yaml <<<'{data_loss: {"notes that matter": SELECT count(*) FROM keep WHERE note IS NOT NULL}}'
run down --yes
expect_code 21
expect_err 'notes that matter: 2'
sql 'UPDATE keep SET note = NULL'
run down --yes
expect_code 0

# A roll-back that fails is rolled back itself.
mig 5_block down.sql <<<$'CREATE TABLE half (id int);\nDROP TABLE not_there;'
run up
run down --yes
expect_code 12
expect_err 'migrations/5_block/down.sql:2:'
expect_sql "SELECT to_regclass('half') IS NULL" t
run check
expect_code 0
