# Exit code 18: a read-only role, a standby, a history layout of a newer Lockkeeper. Reading commands still work where they can.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
primary=$URL

sql "ALTER DATABASE $DB SET default_transaction_read_only = on"
run up
expect_code 18
expect_err 'read-only here .default_transaction_read_only'
run plan
expect_code 0
run doctor
expect_code 18
expect_out 'writable +transactions are read-only'
PGOPTIONS='-c default_transaction_read_only=off' sql "ALTER DATABASE $DB RESET default_transaction_read_only"
run up
expect_code 0

# A standby of this very server, started beside it.
copy=$PWD/standby
mkdir -m 711 "$copy"
source "$SUPPORT/common.sh"
port=$(free_port)
pg_basebackup -d "$LOCKKEEPER_TEST_URL" -D "$copy/data" --checkpoint=fast -X stream -R 2>/dev/null
printf "port = %s\nunix_socket_directories = '%s'\nfsync = off\n" "$port" "$copy" >>"$copy/data/postgresql.auto.conf"
[[ -z $(server_user) ]] || chown -R "$(server_user):" "$copy"
stop_standby() {
  as_server_user / "$PGBIN/pg_ctl" -D "$copy/data" -m immediate stop >/dev/null
}
trap 'stop_standby; end_jobs' EXIT
as_server_user / "$PGBIN/pg_ctl" -D "$copy/data" -l "$copy/log" -w start >/dev/null
standby=${primary%@*}@127.0.0.1:$port/$DB
mig 2_b <<<'CREATE TABLE b (id int);'
URL=$standby
run up
expect_code 18
expect_err 'the server is a standby: it only allows reading.*Give the address of the primary'
run status # what changes nothing works on a standby
expect_code 0
expect_out '1 +a +applied'
run doctor
expect_code 18

# Several hosts with the standby first, and then with a dead one: the primary is found.
address=${primary#*@}
URL=${primary%@*}@127.0.0.1:$port,127.0.0.1:9,${address%/*}/$DB
run up
expect_code 0
URL=$primary
expect_sql "SELECT to_regclass('b') IS NOT NULL" t

sql "COMMENT ON TABLE lockkeeper.history IS 'lockkeeper history, layout 99'"
for command in up status check; do
  run "$command"
  expect_code 18
  expect_err 'has layout 99, this binary knows up to [0-9].*A newer Lockkeeper has written it'
done
