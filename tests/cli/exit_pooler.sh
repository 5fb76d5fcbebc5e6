# Exit code 18 behind a pooler that may give each transaction another backend; --pooler session or a direct URL work.
source "$SUPPORT/lib.sh"
source "$SUPPORT/common.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
direct=$URL
address=${URL#*@} address=${address%/*}
port=$(free_port)
cat >pgbouncer.ini <<INI
[databases]
$DB = host=${address%:*} port=${address#*:} user=postgres password=$(sed -n 's/^export PGPASSWORD=//p' "$LOCKKEEPER_TEST_CLUSTER/env.sh")
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $port
unix_socket_dir =
auth_type = any
pool_mode = transaction
ignore_startup_parameters = extra_float_digits
INI
bouncer=(pgbouncer)
if [[ -n $(server_user) ]]; then # pgbouncer refuses to run as root
  chmod 755 . && chmod 644 pgbouncer.ini
  bouncer=(pgbouncer --user "$(server_user)")
fi
"${bouncer[@]}" pgbouncer.ini >pgbouncer.log 2>&1 &
jobs_of_test+=("$!")
URL=postgresql://app:any@127.0.0.1:$port/$DB
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done

run up
expect_code 18
expect_err 'there is a connection pooler in between'
expect_err 'DIRECT_URL.*--pooler session'
run doctor
expect_code 18
expect_out 'pooler +the backend is not the one'
run status
expect_code 0

ENV=(DIRECT_URL="$direct")
run up
expect_code 0
expect_err 'database from environment variable DIRECT_URL'
ENV=()

mig 2_b <<<'CREATE TABLE b (id int);'
sed -i 's/^pool_mode.*/pool_mode = session/' pgbouncer.ini
kill -HUP "${jobs_of_test[0]}"
run up --pooler session
expect_code 0
expect_sql "SELECT to_regclass('b') IS NOT NULL" t
