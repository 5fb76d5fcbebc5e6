# SIGTERM to the container's first process while a statement runs: cancelled on the server, rolled back, 143. Seen
# from the outside: not root, no capability, no new privileges, seccomp; and how much memory it took.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
require_tls
mig 1_slow <<<'CREATE TABLE a (id int); SELECT pg_sleep(120);'
derive_image shop-migrations
install -m 666 /dev/null termination
container shop-migrations --name migrate --volume "$PWD/termination:/dev/termination-log"
start migrate up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(120)%'
          AND pid <> pg_backend_pid() AND wait_event = 'PgSleep'" 1

pid=$(podman inspect --format '{{.State.Pid}}' migrate)
status=$(cat "/proc/$pid/status")
has() { grep -qE "^$1:[[:space:]]+$2\$" <<<"$status" || fail "not as expected, $1: $(grep "^$1:" <<<"$status")"; }
has NSpid ".*[[:space:]]1"
has Uid $'65532\t65532\t65532\t65532'
has Gid $'65532\t65532\t65532\t65532'
for set in CapInh CapPrm CapEff CapBnd CapAmb; do
  has "$set" 0000000000000000
done
has NoNewPrivs 1
has Seccomp 2
peak=$(sed -nE 's/^VmHWM:[[:space:]]+([0-9]+) kB$/\1/p' <<<"$status")
figure "peak memory of lockkeeper up, over TLS, while it applies: $peak kB"
((peak < 24 * 1024)) || fail "it takes $peak kB"

begin=$EPOCHREALTIME
podman kill --signal TERM migrate >/dev/null
finish migrate
expect_code 143
took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
((took < 5000)) || fail "took $took ms to end"
[[ $(jq -r .exit_code termination) == 143 ]] || fail "the termination message is $(cat termination)"
expect_err 'the running statement was cancelled'
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()" 0 3
expect_sql "SELECT to_regclass('a') IS NULL" t
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE outcome = 'applied'" 0
