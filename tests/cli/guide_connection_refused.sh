# The guide's fourth trouble: connection refused. Exit code 30 after --connect-wait; a server that comes up in time is used.
source "$SUPPORT/lib.sh"
source "$SUPPORT/common.sh"
mig 1_a <<<'CREATE TABLE a (id int);'
URL=postgresql://app:x@127.0.0.1:$(free_port)/app
run up --connect-wait 1s
expect_code 30
expect_err 'Connection refused'
expect_err 'hint.*Check that the server runs and that host, port and network policy allow the connection; --connect-wait'

# A cluster of its own that starts late. Its port is known once it has run.
cluster=$LOCKKEEPER_TEST_ROOT/late.$$
"$SUPPORT/cluster.sh" start "$cluster"
trap '"$SUPPORT/cluster.sh" stop "$cluster" immediate; end_jobs' EXIT
URL=$(sed -n 's/^export LOCKKEEPER_TEST_URL=//p' "$cluster/env.sh")
"$SUPPORT/cluster.sh" stop "$cluster"
start early up --connect-wait 60s
sleep 2
grep -q connect_retry early.err || fail "does not say that it waits"
"$SUPPORT/cluster.sh" restart "$cluster"
finish early
expect_code 0
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1
