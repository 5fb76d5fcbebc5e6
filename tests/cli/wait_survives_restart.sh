# A server that restarts (a failover) while `wait` watches it: it connects again and goes on waiting. `up` with nothing
# running at that time lands, too.
source "$SUPPORT/lib.sh"
own_cluster
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
start waiting wait --timeout 60s --verbose
for _ in {1..200}; do
  ! grep -q 'waiting for 1 pending' waiting.err || break
  sleep 0.05
done
"$SUPPORT/cluster.sh" stop "$PWD/own" fast
start up up
sleep 0.5
"$SUPPORT/cluster.sh" restart "$PWD/own"
finish up
expect_code 0
expect_err '"event":"connect_retry"'
finish waiting
expect_code 0
