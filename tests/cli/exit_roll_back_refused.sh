# Exit codes 21 and 22 of `down`: data would be lost; no --yes without a terminal; the answer was no. Nothing is changed.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int, note text);'
mig 1_a down.sql <<<'DROP TABLE a;'
run up
expect_code 0
sql "INSERT INTO a VALUES (1, 'x'), (2, 'y')"

run down
expect_code 22
expect_err '.down. needs --yes where there is no terminal'
run_terminal 'n\n' down --allow-data-loss
expect_code 22
expect_out 'Roll back 1 migration in database .*\[y/N\]'
expect_out 'the answer was no; nothing was changed'
run_terminal '\n' down --allow-data-loss # no answer is no
expect_code 22
run down --yes
expect_code 21
expect_err 'a .rows.: 2'
expect_sql 'SELECT count(*) FROM a' 2
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1

run_terminal 'y\n' down --allow-data-loss
expect_code 0
expect_sql "SELECT to_regclass('a') IS NULL" t
