# docs/non-transactional.md: its example is applied, its query finds INVALID indexes, its statements are told from others.
source "$SUPPORT/lib.sh"
doc=$REPO/docs/non-transactional.md
new_db
mkdir -p migrations/1_example
example() { sed -n '/^<!-- example/,/^<!-- end of example/p' "$doc" | sed -n "/^\`\`\`$1\$/,/^\`\`\`\$/{/^\`\`\`/d;p}"; }
example yaml >migrations/1_example/migration.yaml
example sql >migrations/1_example/up.sql
grep -q 'CREATE INDEX CONCURRENTLY' migrations/1_example/up.sql || fail "the example is not in $doc"
rm migrations/1_example/migration.yaml
run up
expect_code 11
expect_err 'CREATE INDEX CONCURRENTLY cannot run inside a transaction'
example yaml >migrations/1_example/migration.yaml
run up
expect_code 0
expect_sql 'SELECT outcome, statements_done FROM lockkeeper.history' 'applied|3'

# --- the query
sed -n '/^SELECT indexrelid/,/;$/p' "$doc" >query.sql
[[ -z $(sql_file query.sql) ]] || fail 'there is no INVALID index yet'
sql "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_customer'::regclass"
[[ $(sql_file query.sql) == 'orders_customer|orders' ]] || fail "the query does not find it: $(sql_file query.sql)"

# --- without a word in migration.yaml
rm -r migrations/1_example
sql "UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'orders_customer'::regclass"
mig 2_alone <<<'REINDEX SCHEMA public; VACUUM orders; CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (customer);'
run up --on-missing ignore
expect_code 0
mig 3_other <<<'CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_customer ON orders (note);'
run up --on-missing ignore
expect_code 12
expect_err 'index orders_customer is there already, with another definition'
mig 3_other <<<'CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_other ON orders (note);'
run up --on-missing ignore
expect_code 0

# --- the exit codes of the table
run explain 13
expect_out 'half'
mig 4_wait <<<'CREATE INDEX CONCURRENTLY orders_note ON orders (note);'
hold BEGIN "INSERT INTO orders VALUES (1, 1)"
psql -Xq -c 'CREATE INDEX CONCURRENTLY orders_note ON orders (note)' "$URL" </dev/null >builder.log 2>&1 &
builder=$!
jobs_of_test+=("$builder")
wait_sql "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('orders_note')" 1
run up --on-missing ignore --lock-retry-budget 0
expect_code 32
expect_err 'index orders_note is being built by another session right now'
release
wait "$builder"
