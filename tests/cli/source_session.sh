# What the server sees of us: application_name, limits and keepalives in force, the role that owns what is created.
source "$SUPPORT/lib.sh"
new_db
version=$("$LOCKKEEPER" --version | awk '{ print $2 }')
new_role owner
sql "GRANT CREATE ON SCHEMA public TO $ROLE; GRANT CREATE ON DATABASE $DB TO $ROLE;
     ALTER DATABASE $DB SET statement_timeout = '100ms'; ALTER DATABASE $DB SET idle_in_transaction_session_timeout = '50ms'"
mig 1_facts <<'SQL'
CREATE TABLE facts AS SELECT application_name, current_setting('tcp_user_timeout') AS tcp_user_timeout,
  current_setting('tcp_keepalives_idle') AS idle, current_setting('statement_timeout') AS statement_timeout,
  current_setting('lock_timeout') AS lock_timeout, current_setting('idle_in_transaction_session_timeout') AS idle_in_transaction,
  current_user::text AS role, current_setting('search_path') AS search_path
FROM pg_stat_activity WHERE pid = pg_backend_pid();
SELECT pg_sleep(0.3);
SQL
run up --role "$ROLE" --lock-timeout 1500ms
expect_code 0
expect_sql "SELECT application_name, tcp_user_timeout, idle, statement_timeout, lock_timeout, idle_in_transaction, role FROM facts" \
  "lockkeeper/$version up|30000|15|0|1500ms|0|$ROLE"
expect_sql "SELECT tableowner FROM pg_tables WHERE tablename IN ('facts', 'history')" "$ROLE"$'\n'"$ROLE"
expect_sql "SELECT applied_by FROM lockkeeper.history" postgres

# The URL's own application_name does not hide who we are; --statement-timeout is ours to set.
mig 2_name <<<'CREATE TABLE name AS SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid(); SELECT pg_sleep(5);'
URL="$URL?application_name=shop&keepalives_idle=7"
run up --statement-timeout 500ms
expect_code 12
expect_err '57014.*--statement-timeout'
mig 2_name <<<'CREATE TABLE name AS SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid();'
run up
expect_code 0
URL=${URL%\?*}
expect_sql 'SELECT application_name FROM name' "lockkeeper/$version up"

run up --role no_such_role
expect_code 10
expect_err 'cannot SET ROLE no_such_role'
