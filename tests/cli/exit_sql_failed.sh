# Exit code 12: the migration is rolled back whole, earlier ones stay, later ones do not run, and the history says why.
source "$SUPPORT/lib.sh"
new_db
mig 1_first <<<'CREATE TABLE a (id int);'
mig 2_fails <<<$'CREATE TABLE b (id int);\nINSERT INTO a VALUES (1 / 0);'
mig 3_last <<<'CREATE TABLE c (id int);'
run up
expect_code 12
expect_err 'division by zero.*22012'
expect_err 'The migration was rolled back; what came before it stays applied, up to 1'
expect_sql "SELECT string_agg(relname, ' ') FROM pg_class WHERE relname IN ('a', 'b', 'c')" a
expect_sql 'SELECT version, outcome, finished_at IS NOT NULL, error LIKE $$%division by zero%$$ FROM lockkeeper.history ORDER BY id' \
  $'1|applied|t|\n2|failed|t|t'

mig 2_fails <<<$'CREATE TABLE b (id int);\nINSERT INTO a VALUES (1);'
run up
expect_code 0
expect_sql "SELECT string_agg(version, ' ' ORDER BY id) FROM lockkeeper.history WHERE outcome = 'applied'" '1 2 3'

# A base table of the application that is missing: the message names it, the hint says whose it is.
mig 4_base <<<'ALTER TABLE "Booking" ADD COLUMN IF NOT EXISTS "calendlyEventId" TEXT;'
run up
expect_code 12
expect_err 'relation .{1,2}Booking.{1,2} does not exist.*42P01'
expect_err 'hint.*The table belongs to the application'
