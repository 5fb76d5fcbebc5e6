# Requests that wait for an answer, counted between the binary and the server: one when nothing is pending, however long
# the history is; three for one migration with expectations, for fifty, and for the rest of a thousand.
source "$SUPPORT/lib.sh"
new_db

# Everything through the proxy from here on, which is so slow that the watcher would come. turns: of the last connection; sent: what it sent.
ENV=(LOCKKEEPER_WATCH=off)
mkdir proxy
server=${URL#*@}
python3 "$SUPPORT/turn_proxy.py" "${server%%:*}" "$(sed -E 's|.*:([0-9]+)/.*|\1|' <<<"$server")" proxy 150 >proxy/port 2>proxy/errors &
jobs_of_test+=("$!")
while [[ ! -s proxy/port ]]; do sleep 0.02; done
direct=$URL
proxied="$(sed -E "s|@[^/]*/|@127.0.0.1:$(<proxy/port)/|" <<<"$URL")?sslmode=disable&gssencmode=disable"
last() { find proxy -name "*.$1" | sort -V | tail -n 1; }
run_proxied() {
  URL=$proxied
  run "$@"
  URL=$direct
  turns=$(<"$(last turns)")
}
sent() { tr -c '[:print:]' '\n' <"$(last sent)" | grep -cE -- "$1" || true; }

mig 1_first <<<'CREATE TABLE t (id int);'
mig 1_first migration.yaml <<<'expect: {columns: {t: {id: {type: integer}}}}'
run up
expect_code 0

mig 2_column <<<"ALTER TABLE t ADD COLUMN name text DEFAULT 'a' CONSTRAINT short CHECK (length(name) < 9);
CREATE UNIQUE INDEX t_id ON t (id);
CREATE TYPE colour AS ENUM ('red', 'green');"
mig 2_column migration.yaml <<<"expect:
  columns: {t: {id: {nullable: true, default: null}, name: {type: text, nullable: true, default: \"'a'\"}, gone: {absent: true}}}
  tables: {t: {}, u: {absent: true}}
  indexes: {t_id: {table: t, unique: true}}
  constraints: {t: {short: {}}}
  enums: {colour: [green, red]}
  sql: {empty: SELECT count(*) = 0 FROM t}"
run_proxied up
expect_code 0
echo "one migration with expectations: $turns turns"
((turns <= 3)) || fail "$turns turns for one migration"
(($(sent pg_try_advisory_lock) > 0)) || fail 'the proxy does not see what is sent'

run_proxied check
expect_code 0
((turns == 1)) || fail "$turns turns for a check"
run_proxied up
expect_code 0
echo "nothing pending: $turns turns"
((turns == 1)) || fail "$turns turns when nothing is pending"
(($(sent 'pg_try_advisory_lock|pg_advisory_lock|BEGIN|INSERT|UPDATE|CREATE|LOCK') == 0)) || fail 'more than a look was sent'

for n in {3..52}; do
  mig "$n"_insert <<<"INSERT INTO t VALUES ($n);"
  mig "$n"_insert migration.yaml <<<"expect: {sql: {row $n: SELECT count(*) = 1 FROM t WHERE id = $n}}"
done
run_proxied up
expect_code 0
expect_sql 'SELECT count(*) FROM t' 50
echo "fifty migrations: $turns turns"
((turns <= 3)) || fail "$turns turns for fifty migrations"
sql 'DELETE FROM lockkeeper.history WHERE version::int > 2; DELETE FROM t'
run_proxied up --pipeline off
expect_code 0
expect_sql 'SELECT count(*) FROM t' 50
echo "fifty migrations without pipelining: $turns turns" # three of them to look, to lock and to unlock
((turns > 100 && turns <= 3 + 2 * 50)) || fail "$turns turns for fifty migrations without pipelining"

for n in {53..1000}; do
  mig "$n"_insert <<<"INSERT INTO t VALUES ($n);"
done
run_proxied up
expect_code 0
echo "948 migrations: $turns turns"
((turns <= 40)) || fail "$turns turns for 948 migrations"
expect_sql 'SELECT count(*) FROM t' 998
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1000
for name in up check; do
  run_proxied "$name"
  expect_code 0
  echo "nothing pending, 1000 applied: $turns turns for $name"
  ((turns == 1)) || fail "$turns turns for $name with 1000 migrations applied"
done
[[ ! -s proxy/errors ]] || fail "the proxy: $(<proxy/errors)"
