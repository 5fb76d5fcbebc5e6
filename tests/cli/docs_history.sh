# docs/history.md against a real database: its DDL and table of columns are the table's, its queries run and say what they
# should, its key is the lock's.
source "$SUPPORT/lib.sh"
doc=$REPO/docs/history.md
new_db
new_role grafana
reader_url=$ROLE_URL

# Each ```sql block into a file of its own, in order.
awk '/^```sql$/ {n++; f = sprintf("block-%02d.sql", n); next} /^```$/ {f = ""} f {print > f}' "$doc"
block() { grep -lE -- "$1" block-*.sql | head -n 1; }

# One migration that is applied, one that fails, one half done, one that was changed and repaired.
mig 1_table <<<'CREATE TABLE t (id int);'
run up
expect_code 0
mig 1_table <<<'CREATE TABLE t (id integer);'
run repair 1 --accept-checksum
expect_code 0
mig 2_bad <<<'ALTER TABLE t ADD COLUMN id int;'
run up
expect_code 12
mig 2_bad <<<'CREATE INDEX CONCURRENTLY t_id ON t (id); CREATE INDEX CONCURRENTLY t_bogus ON t (bogus);'
run up
expect_code 13

# --- the DDL and the columns
shape() {
  sql "SELECT column_name, data_type, is_nullable, column_default, is_identity FROM information_schema.columns
       WHERE table_schema = '$1' AND table_name = 'history' ORDER BY ordinal_position"
  sql "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = '$1.history'::regclass ORDER BY 1"
  sql "SELECT obj_description('$1.history'::regclass)"
}
sed 's/lockkeeper\.history/documented.history/; s/CREATE SCHEMA lockkeeper/CREATE SCHEMA documented/' "$(block 'CREATE TABLE')" >ddl.sql
rm "$(block 'CREATE TABLE')"
sql_file ddl.sql
diff <(shape lockkeeper) <(shape documented) || fail "the DDL of docs/history.md is not the table's"
sql 'DROP SCHEMA documented CASCADE'
# shellcheck disable=SC2016 # sed's, not ours
columns='/^\| column \| type/,/^$/ s/^\| `([a-z_]+)` \| ([a-z]+) \|.*/\1|\2/p'
diff <(sql "SELECT column_name || '|' || replace(data_type, 'timestamp with time zone', 'timestamptz') FROM information_schema.columns
            WHERE table_schema = 'lockkeeper' ORDER BY ordinal_position") \
  <(sed -nE "$columns" "$doc") ||
  fail "the columns of docs/history.md are not the table's"

# --- what the queries say
applied=$(sql_file "$(block "direction <> 'down'")")
[[ $applied == 1\|table\|repair\|* ]] || fail "applied: $applied"
failures=$(sql_file "$(block 'error IS NOT NULL')" | cut -d '|' -f 2-3 | grep '|' | head -n 2 | paste -sd ' ')
[[ $failures == '2|bad 2|bad' ]] || fail "failures: $failures"
half_done=$(sql_file "$(block "outcome = 'started'")")
[[ $half_done == '2|bad|up|1|2|lockkeeper/'* ]] || fail "half done: $half_done"
repaired=$(sql_file "$(block "direction = 'repair'")")
[[ $repaired =~ ^1\|table\|.*\|[0-9a-f]{64}\|[0-9a-f]{64}$ ]] || fail "repaired: $repaired"
[[ $(sql_file "$(block obj_description)") == 'lockkeeper history, layout 1' ]] || fail "layout"

# --- the lock: key and holder
mig 2_bad <<<'CREATE INDEX CONCURRENTLY t_id ON t (id); SELECT pg_sleep(60);'
mig 2_bad migration.yaml <<<'transaction: none'
start runner up
wait_sql "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
          AND query LIKE 'SELECT pg_sleep%'" t
holder=$(sql_file "$(block pg_locks)" | head -n 1)
[[ $holder =~ ^[0-9]+\|lockkeeper/[0-9.]+\ up\| ]] || fail "holder: $holder"
[[ $(sql_file "$(block pg_try_advisory_lock)" 2>/dev/null | head -n 1) == f ]] || fail 'the documented key is not the held lock'
sql "SELECT pg_terminate_backend(${holder%%|*})" >/dev/null
wait_sql "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
          AND query LIKE 'SELECT pg_sleep%' AND pid <> ${holder%%|*}" t # it is back
kill -TERM "$pid_runner"
finish runner
expect_code 143
[[ $(sql_file "$(block pg_try_advisory_lock)" | head -n 1) == t ]] || fail 'the lock is not free'

# --- a reader with the documented grants, and nothing more
sed -i "s/grafana/$ROLE/g" "$(block GRANT)"
sql_file "$(block GRANT)"
URL=$reader_url run status
expect_code 0
URL=$reader_url run check
expect_code 3

# --- all of them run
for file in block-*.sql; do
  sql_file "$file" >/dev/null || fail "$(cat "$file")"
done

# --- a newer layout is refused
sql "COMMENT ON TABLE lockkeeper.history IS 'lockkeeper history, layout 2'"
run up
expect_code 18
sql "COMMENT ON TABLE lockkeeper.history IS 'lockkeeper history, layout 1'; ALTER TABLE lockkeeper.history ADD COLUMN mine text"
mig 2_bad <<<'CREATE INDEX CONCURRENTLY t_id ON t (id); CREATE INDEX CONCURRENTLY t_id2 ON t (id);'
run up
expect_code 0
