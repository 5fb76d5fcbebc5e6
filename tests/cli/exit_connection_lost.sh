# Exit code 33 is the last resort: a backend that is terminated is replaced, the state read again, and each migration applied once.
source "$SUPPORT/lib.sh"
new_db
mig 1_slow <<<'CREATE TABLE a (id int); SELECT pg_sleep(2);'
terminate="SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
           WHERE datname = current_database() AND application_name LIKE 'lockkeeper/% up' AND query LIKE '%pg_sleep(2)%'"
start lost up
wait_sql "$terminate" 1
finish lost
expect_code 0
expect_err 'connection to the server was lost.*; connecting again to see how far it got'
expect_sql 'SELECT count(*) FROM a' 0
expect_sql "SELECT version, outcome FROM lockkeeper.history WHERE outcome = 'applied'" '1|applied'

mig 2_suicide <<<'CREATE TABLE b (id int); SELECT pg_terminate_backend(pg_backend_pid());'
run up
expect_code 33
expect_err 'run_finished.*"retry":"retryable"'
expect_sql "SELECT to_regclass('b') IS NULL" t
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE outcome = 'applied'" 1
mig 2_suicide <<<'CREATE TABLE b (id int);'
run up
expect_code 0

# Lost for good: 33, not 30, since the run had begun; nothing was changed.
mig 3_lost <<<'CREATE TABLE c (id int); SELECT pg_sleep(3);'
server=${URL#*@}
server=${server%%/*}
mkfifo to_proxy
python3 "$SUPPORT/cut_proxy.py" "${server%:*}" "${server#*:}" <to_proxy >from_proxy &
proxy=$!
jobs_of_test+=("$proxy")
exec 7>to_proxy # it ends when nobody can tell it anything any more
until [[ -s from_proxy ]]; do sleep 0.05; done
direct=$URL
URL=${URL%@*}@127.0.0.1:$(<from_proxy)/${URL##*/}'?sslmode=disable&gssencmode=disable'
start lost up --connect-wait 1s
URL=$direct
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'" 1
kill -KILL "$proxy"
finish lost 2>/dev/null
expect_code 33
expect_err 'the connection was lost during the run, and there is no new one'
run up # waits until the server has noticed
expect_code 0
expect_sql "SELECT string_agg(version || ' ' || outcome, ', ' ORDER BY id) FROM lockkeeper.history" \
  '1 applied, 2 applied, 3 applied'
