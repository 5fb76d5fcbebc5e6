# A Pushgateway that refuses, hangs, drips or answers 400 costs one warning and bounded time, never the exit code, unless
# --metrics-required says so. Its password is not shown.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'

echo geheim >password
ENV=(LOCKKEEPER_METRICS_USERNAME=me LOCKKEEPER_METRICS_PASSWORD_FILE=password)
# try URL WARNING: a run that pushes there.
try() {
  local begin=${EPOCHREALTIME/./} milliseconds
  run up --metrics-url "$1" --metrics-timeout 700ms --metrics-connect-timeout 500ms
  milliseconds=$(((${EPOCHREALTIME/./} - begin) / 1000))
  expect_code 0
  expect_err "\"level\":\"warn\".*$2"
  [[ $(grep -c '"level":"warn"' <<<"$err") == 1 ]] || fail 'more than one warning'
  expect_no geheim
  ((milliseconds < 4000)) || fail "took $milliseconds ms"
}
try http://127.0.0.1:1 'metrics not pushed to 127.0.0.1:1'
for what in hang drip 400; do
  python3 "$SUPPORT/bad_gateway.py" "$what" >"$what.port" 2>"$what.errors" &
  jobs_of_test+=("$!")
  while [[ ! -s $what.port ]]; do sleep 0.02; done
done
try "http://127.0.0.1:$(<hang.port)" 'metrics not pushed'
try "http://127.0.0.1:$(<drip.port)" 'metrics not pushed'
try "http://127.0.0.1:$(<400.port)" 'metrics not pushed.*HTTP 400.*pushed twice'

run up --metrics-url http://127.0.0.1:1 --metrics-required
expect_code 35
expect_err 'The migrations are applied'
mig 2_bad <<<'SELECT 1 / 0;'
run up --metrics-url http://127.0.0.1:1 --metrics-required # a failed run keeps its own code
expect_code 12

# A token that can be read once only, or is not there, is no token.
rm -r migrations/2_bad
mkfifo pipe
: >empty
ENV=()
for token in pipe empty nowhere; do
  run up --metrics-url "$PUSHGATEWAY_URL" --metrics-bearer-token-file "$token"
  expect_code 0
  expect_err "\"level\":\"warn\".*metrics not pushed: .*$token"
done
