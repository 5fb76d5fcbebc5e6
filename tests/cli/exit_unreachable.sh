# Exit code 30: no server, a server that never answers, an unknown host, no free connection. Bounded by --connect-wait.
source "$SUPPORT/lib.sh"
source "$SUPPORT/common.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
good=$URL

unreachable() { # REGEX SECONDS ARGUMENT...
  local regex=$1 limit=$2 begin=$SECONDS
  shift 2
  run up "$@"
  expect_code 30
  expect_err "$regex"
  expect_err 'run_finished.*"retry":"retryable"'
  ((SECONDS - begin <= limit)) || fail "took $((SECONDS - begin)) seconds"
}
URL=postgresql://app:x@127.0.0.1:$(free_port)/app
unreachable 'cannot connect to 127.0.0.1:[0-9]+/app: .*Connection refused' 3 --connect-wait 0
expect_no connect_retry
unreachable 'Connection refused' 6 --connect-wait 2s
expect_err connect_retry
URL=postgresql://app:x@no-such-host.invalid/app
unreachable 'could not translate host name' 12 --connect-wait 0

# Accepts connections and says nothing.
port=$(free_port)
python3 -c "import socket, time; s = socket.create_server(('127.0.0.1', $port)); time.sleep(100)" &
jobs_of_test+=("$!")
URL=postgresql://app:x@127.0.0.1:$port/app
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
unreachable 'no answer in time' 5 --connect-timeout 1s --connect-wait 0

# 53300: the server is there, but has no connection left.
URL=$good
new_role app
sql "ALTER ROLE $ROLE CONNECTION LIMIT 0; GRANT CREATE ON DATABASE $DB TO $ROLE; GRANT CREATE ON SCHEMA public TO $ROLE"
URL=$ROLE_URL
unreachable 'too many connections for role.*53300' 3 --connect-wait 0
start waiting up --connect-wait 60s
sleep 1
URL=$good
sql "ALTER ROLE $ROLE CONNECTION LIMIT 5"
finish waiting
expect_code 0
expect_err 'connect_retry.*too many connections'

# The same with the slots of the whole server taken: by others, until they go.
LOCKKEEPER_TEST_CONF=$'max_connections = 6\nsuperuser_reserved_connections = 2\nmax_wal_senders = 0' own_cluster
new_db slots
mig 1_a <<<'CREATE TABLE a (id int);'
new_role slots
sql "GRANT CREATE ON DATABASE ${DB}_slots TO $ROLE; GRANT CREATE ON SCHEMA public TO $ROLE"
admin=$URL
URL=$ROLE_URL
crowd() { # again, should what looks on have been in the way
  until PGAPPNAME=crowd psql -Xqc 'SELECT pg_sleep(600)' "$URL" || [[ -e released ]]; do sleep 0.1; done
}
for _ in {1..4}; do
  crowd </dev/null >/dev/null 2>&1 &
  jobs_of_test+=("$!")
done
URL=$admin
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crowd' AND state = 'active'" 4
URL=$ROLE_URL
unreachable '(remaining connection slots|too many clients).*53300' 3 --connect-wait 0
start waiting up --connect-wait 60s
sleep 1
URL=$admin
touch released
sql "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'crowd'" >/dev/null
finish waiting
expect_code 0
expect_err 'connect_retry.*(remaining connection slots|too many clients)'
