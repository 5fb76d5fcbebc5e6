# Each statement of a migration says, in a comment behind it, which migration of which program it belongs to, and the
# trace where there is one; pg_stat_activity and the server's log have it. A statement that ends with a line comment is
# not spoilt, nor is what the database keeps of it, nor the place of an error.
source "$SUPPORT/lib.sh"
LOCKKEEPER_TEST_CONF='log_statement = all' own_cluster
new_db
trace=4bf92f3577b34da6a3ce929d0e0e4736
mig 1_first <<'SQL'
CREATE TABLE t (id int); -- a comment of its own
CREATE FUNCTION two() RETURNS int LANGUAGE sql AS 'SELECT 2 -- two';
CREATE VIEW v AS SELECT id FROM t -- the last one
SQL
mig 2_index migration.yaml <<<'transaction: none'
mig 2_index <<<'CREATE INDEX CONCURRENTLY t_id ON t (id);'
run up
expect_code 0
logged() { grep -cE "$1" own/log || true; }
(($(logged "^/\*application='lockkeeper',migration='1',version='[0-9.]+'\*/|application='lockkeeper',migration='1',version=") == 3)) ||
  fail "the server's log has: $(grep -A1 -E 'CREATE|lockkeeper' own/log | tail -40)"
(($(logged "application='lockkeeper',migration='2',version=") == 1)) || fail 'not behind the index'
expect_sql "SELECT prosrc FROM pg_proc WHERE proname = 'two'" 'SELECT 2 -- two'
expect_sql "SELECT two(), count(*) FROM v" '2|0'

ENV=("TRACEPARENT=00-$trace-00f067aa0ba902b7-01")
mig 3_slow <<<'SELECT pg_sleep(2);'
start slow up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE
  'SELECT pg_sleep(2)%/*application=''lockkeeper'',migration=''3'',traceparent=''00-$trace-%-01'',version=''%''*/'" 1
finish slow
expect_code 0
span=$(sed -nE "s/.*migration='3',traceparent='00-$trace-([0-9a-f]{16})-01'.*/\1/p" own/log | head -n 1)
[[ $span =~ ^[0-9a-f]{16}$ && $span != 00f067aa0ba902b7 ]] || fail "the span is '$span'"
jq -e --arg trace "$trace" --arg span "$span" -s 'all(.trace_id == $trace and .span_id == $span)' <<<"$err" >/dev/null ||
  fail 'the log names another trace'
expect_sql "SELECT details->>'trace_id' FROM lockkeeper.history WHERE version = '3'" "$trace"
expect_sql "SELECT details ? 'trace_id' FROM lockkeeper.history WHERE version = '1'" f

mig 4_bad <<<$'SELECT 1;\nSELECT nowhere FROM t'
run up
expect_code 12
expect_err '4_bad/up.sql:2:8: column .*nowhere.* does not exist'
