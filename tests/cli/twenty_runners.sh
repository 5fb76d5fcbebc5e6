# Twenty runners at once: every migration is applied once, all end well, those who waited find nothing to do.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE counter (version int)'
for n in {1..30}; do
  mig "$n"_count <<<"INSERT INTO counter VALUES ($n);"
done
hold BEGIN 'LOCK TABLE counter' # the first runner waits here until all the others wait for it
for n in {1..20}; do
  start "runner$n" up --lock-timeout 60s
done
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/% up' AND datname = current_database()" 20 60
release

applied=0 waited=0
for n in {1..20}; do
  finish "runner$n"
  expect_code 0
  steps=$(grep -c '"event":"step_finished"' <<<"$err" || true)
  ((steps == 0 || steps == 30)) || fail "a runner applied $steps migrations"
  applied=$((applied + steps))
  ! grep -q '"event":"lock_waiting"' <<<"$err" || waited=$((waited + 1))
done
((applied == 30)) || fail "$applied migrations applied"
((waited == 19)) || fail "$waited runners waited for the lock"
expect_sql 'SELECT count(*), count(DISTINCT version), max(version) FROM counter' '30|30|30'
expect_sql "SELECT count(*), count(DISTINCT version) FROM lockkeeper.history WHERE outcome = 'applied'" '30|30'
expect_sql 'SELECT count(*) FROM lockkeeper.history' 30
