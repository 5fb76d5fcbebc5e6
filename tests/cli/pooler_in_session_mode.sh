# `pooler: session`: five runners at once through PgBouncer in session mode work as without it. Where the setting is
# wrong and the pooler changes the backend, the run stops, nothing is applied twice, and no lock stays on a backend.
source "$SUPPORT/lib.sh"
source "$SUPPORT/common.sh"
source "$SUPPORT/pooler.sh"
new_db
direct=$URL
ENV=(LOCKKEEPER_DEADLINE=60s) # whoever stands still says so
sql 'CREATE TABLE counter (version int)'
for n in 1 2 3 4; do
  mig "$n"_count <<<"INSERT INTO counter VALUES ($n); SELECT pg_sleep(0.05);"
done
mig 5_index <<<'CREATE INDEX CONCURRENTLY counter_version ON counter (version);'
pooler session
URL=$POOLED_URL
for n in 1 2 3 4 5; do
  start "runner$n" up --pooler session
done
for n in 1 2 3 4 5; do
  finish "runner$n"
  expect_code 0
done
URL=$direct
expect_sql 'SELECT count(*), count(DISTINCT version) FROM counter' '4|4'
expect_sql "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('counter_version')" t
expect_no_lock

# A wrong setting: other clients take the backends between our requests. With few backends, whoever wants its lock back
# hardly gets to the one that has it.
pooler_mode transaction
version=5
for size in 20 2; do
  ((size == 20)) || pooler transaction "$size"
  for _ in 1 2 3 4; do
    version=$((version + 1))
    mig "${version}_count" <<<"INSERT INTO counter VALUES ($version); SELECT pg_sleep(0.05);"
  done
  URL=$POOLED_URL
  for n in 1 2 3 4 5; do
    start "runner$n" up --pooler session --lock-wait 20s
  done
  codes=()
  for n in 1 2 3 4 5; do
    finish "runner$n"
    codes+=("$code")
    [[ $code == 0 || $code == 31 || $code == 33 ]] || fail "exit code $code"
  done
  echo "exit codes with the wrong setting, $size backends: ${codes[*]}"
  URL=$direct
  expect_no_lock
  expect_sql 'SELECT count(*) = count(DISTINCT version) FROM counter' t
  run up
  expect_code 0
  expect_sql 'SELECT count(*) = count(DISTINCT version), count(*) FROM counter' "t|$((version - 1))"
done
