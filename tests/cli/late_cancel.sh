# A migration gives way, but its blocker is gone before the cancel arrives: the cancel hits one of those that were sent
# behind it, which is tried again like any that gave way. Nothing fails for it.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE t (id int); CREATE TABLE base (id int)'
mig 1_first <<<'ALTER TABLE base ADD COLUMN a int;'
for n in {2..200}; do # some sleep: a cancel that arrives between two statements is lost
  mig "${n}_t" <<<"INSERT INTO t VALUES ($n);$( ((n > 40)) || echo ' SELECT pg_sleep(0.01);')"
done
direct=$URL
address=${URL#*@}
address=${address%/*}
release_holder="psql -Xqc \"SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'holder' AND datname = current_database()\" '$direct'"
hit=0
for delay in 0.005 0.015 0.03; do
  sql 'TRUNCATE t; ALTER TABLE base DROP COLUMN IF EXISTS a; DROP SCHEMA IF EXISTS lockkeeper CASCADE' 2>/dev/null
  rm -f from_proxy
  mkfifo from_proxy
  python3 "$SUPPORT/cancel_proxy.py" "${address%:*}" "${address#*:}" "$delay" "$release_holder" >from_proxy &
  jobs_of_test+=("$!")
  exec {from_proxy}<from_proxy
  read -r port <&"$from_proxy"
  hold BEGIN 'LOCK TABLE base'
  URL="${direct%@*}@127.0.0.1:$port/${direct##*/}?sslmode=disable&gssencmode=disable" \
    start run up --queue-limit 1 --lock-timeout 8s
  wait_sql "SELECT count(*) FROM pg_locks WHERE relation = 'base'::regclass AND NOT granted" 1
  for _ in 1 2 3; do # who queues up behind it
    psql -Xqc 'SELECT count(*) FROM base' "$direct" >/dev/null 2>&1 &
    jobs_of_test+=("$!")
  done
  finish run
  expect_code 0
  read -r -t 1 line <&"$from_proxy" || fail 'nobody sent a cancel'
  [[ $line == cancel ]] || fail "the proxy said $line"
  expect_sql 'SELECT count(*), count(DISTINCT id) FROM t' '199|199'
  ! grep -q '"event":"step_retry"' <<<"$err" || hit=$((hit + 1))
  wait "$holder" 2>/dev/null || true
done
((hit > 0)) || fail 'the cancel never hit anything: this test shows nothing'
