# `wait` with a role that may read the history and nothing else: it holds while something is pending, also before there is
# a history, and lets go when another process has run `up`; without the right it says which GRANT is missing.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
new_role reader
reader=$ROLE_URL admin=$URL
as_reader() { URL=$reader "$@"; }

as_reader run wait --timeout 600ms
expect_code 3
expect_err 'waiting for 1 pending migration'
as_reader run wait --timeout 1h --deadline 600ms # the shorter of the two counts
expect_code 3
as_reader run wait --timeout 500ms --metrics-url http://127.0.0.1:1 # for `up` and `down` only
expect_code 2

# Released by `up`, which grants what history_readers says.
echo "history_readers: [$ROLE]" >lockkeeper.yaml
as_reader start waiting wait --timeout 60s
sleep 0.5
URL=$admin run up
expect_code 0
finish waiting
expect_code 0
as_reader run wait --timeout 10s
expect_code 0
for name in check status plan verify; do
  as_reader run "$name"
  expect_code 0
done

mig 2_b <<<'CREATE TABLE b (id int);'
as_reader start waiting wait --timeout 60s
sleep 0.5
kill -0 "$pid_waiting" || fail 'it did not wait'
URL=$admin run up
expect_code 0
finish waiting
expect_code 0

new_role stranger
URL=$ROLE_URL run wait --timeout 60s
expect_code 17
expect_err "GRANT USAGE ON SCHEMA \\\\?\"lockkeeper\\\\?\" TO \\\\?\"$ROLE\\\\?\"; GRANT SELECT ON"
sql "GRANT USAGE ON SCHEMA lockkeeper TO $ROLE"
URL=$ROLE_URL run wait --timeout 60s
expect_code 17
sql "GRANT SELECT ON lockkeeper.history TO $ROLE"
URL=$ROLE_URL run wait --timeout 60s
expect_code 0

# A server that cannot be reached is waited for no longer than --timeout.
begin=$SECONDS
URL=postgresql://127.0.0.1:1/nowhere run wait --timeout 1s
expect_code 30
((SECONDS - begin <= 5)) || fail "--timeout 1s took $((SECONDS - begin)) seconds"
