# A file without a transaction that fails in the middle: 13, the history says how far; with the rest of the file corrected
# `up` goes on there; with what is done changed nothing runs; `baseline` records what was finished by hand.
source "$SUPPORT/lib.sh"
new_db
sql "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)"
write() {
  mig 1_steps <<<"INSERT INTO t VALUES ($1);
CREATE UNIQUE INDEX CONCURRENTLY t_id ON t ($2);
INSERT INTO t VALUES (4);"
}
write 3 id
mig 1_steps migration.yaml <<<'{transaction: none, expect: {sql: {four is there: SELECT count(*) = 1 FROM t WHERE id = 4}}}'
mig 2_after <<<'INSERT INTO t VALUES (5);'

run up
expect_code 13
expect_err 'migrations/1_steps/up.sql:2:1.*23505'
expect_err 'Statements 1 to 1 of 3 are done and committed'
expect_sql "SELECT version, outcome, statements_done, statements_total, finished_at, error LIKE '%unique%' FROM lockkeeper.history" \
  '1|started|1|3||t'
expect_sql 'SELECT count(*) FROM t' 3
run check
expect_code 3
expect_err 'half done'
run status
expect_code 0
expect_out '^1 +steps +half done \(1 of 3 statements\)'
run status --format json
expect_json '.migrations[0] | .state, .statements_done' $'half done\n1'
run plan
expect_code 0
expect_out '1  \(done\) INSERT'
run down --yes
expect_code 13
expect_err 'half applied'

# What is done was changed.
write 33 id
for name in up plan; do
  run "$name"
  expect_code 13
  expect_err 'the statements that are done were changed in the file'
done
expect_sql 'SELECT count(*) FROM t' 3

# The rest was corrected.
write 3 'id, (id + 1)) WHERE (id <> 1'
run up
expect_code 0
expect_err 'resumed at statement 2'
expect_sql "SELECT string_agg(id::text, ' ' ORDER BY id) FROM t" '1 1 3 4 5'
expect_sql "SELECT string_agg(version || ' ' || outcome || ' ' || statements_done, ', ' ORDER BY id) FROM lockkeeper.history" \
  '1 started 1, 1 applied 3, 2 applied 1'
expect_sql "SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND indisvalid" 1
run check
expect_code 0

# Finished by hand.
mig 3_hand <<<'INSERT INTO t VALUES (6);
CREATE UNIQUE INDEX CONCURRENTLY t_hand ON t (id);'
mig 3_hand migration.yaml <<<'{transaction: none, expect: {indexes: {t_hand: {unique: true}}}}'
run up
expect_code 13
run baseline --to 3
expect_code 16
expect_err 't_hand: expected valid, unique, found not valid, unique'
sql 'DROP INDEX t_hand; DELETE FROM t WHERE ctid = (SELECT max(ctid) FROM t WHERE id = 1); CREATE UNIQUE INDEX t_hand ON t (id)'
run baseline --to 3
expect_code 0
run up
expect_code 0
expect_sql 'SELECT count(*) FROM t WHERE id = 6' 1
expect_sql "SELECT string_agg(direction || ' ' || outcome, ', ' ORDER BY id) FROM lockkeeper.history WHERE version = '3'" \
  'up started, baseline applied'
