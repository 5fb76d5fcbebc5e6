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
