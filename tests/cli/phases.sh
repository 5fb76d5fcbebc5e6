# phase: post waits for `up --phase post`; a post of an earlier version that has not run stops the next pre (15), and the
# other way round, but for a new database; --phase all applies everything in order.
source "$SUPPORT/lib.sh"
new_db
mig 1_add <<<'CREATE TABLE log (n int); INSERT INTO log VALUES (1);'
mig 2_drop <<<'INSERT INTO log VALUES (2);'
mig 2_drop migration.yaml <<<'phase: post'

run up --phase post
expect_code 15
run up
expect_code 0
expect_sql 'SELECT n FROM log' 1
for name in check 'wait --timeout 1s'; do
  # shellcheck disable=SC2086 # words
  run $name
  expect_code 0
done
run check --phase post
expect_code 3
run status
expect_out '^2 +drop .post. +pending'

mig 3_next <<<'INSERT INTO log VALUES (3);'
run up
expect_code 15
expect_err '3_next .phase pre. cannot run before 2_drop .phase post. has'
expect_err 'hint: Run .lockkeeper up --phase post'
run up --phase post
expect_code 0
run up
expect_code 0
expect_sql "SELECT string_agg(n::text, ' ') FROM log" '1 2 3'

# A new database has no old release that a post could hurt: pre takes along what stands before the last pre, and goes on
# in the same way when the run was cut.
new_db second
mig 3_next <<<'INSERT INTO log VALUES (3, 3);'
run up
expect_code 12
expect_sql "SELECT string_agg(version || ':' || (details->>'new_until'), ' ' ORDER BY id) FROM lockkeeper.history
            WHERE outcome = 'applied'" '1:3 2:3'
run check
expect_code 3
mig 3_next <<<'INSERT INTO log VALUES (3);'
run up
expect_code 0
run check
expect_code 0
expect_sql "SELECT string_agg(n::text, ' ') FROM log" '1 2 3'

mig 4_post <<<'INSERT INTO log VALUES (4);'
mig 4_post migration.yaml <<<'phase: post'
mig 5_pre <<<'INSERT INTO log VALUES (5);'
run up --phase all
expect_code 0
expect_sql "SELECT string_agg(n::text, ' ') FROM log" '1 2 3 4 5'
