# Receivers that hang, refuse, redirect or are broken, of each kind: the run keeps its exit code and its time limit, with
# one warning that says what is wrong; what may pass is tried once more, the rest is not.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
echo geheim >password
ENV=(LOCKKEEPER_METRICS_USERNAME=me LOCKKEEPER_METRICS_PASSWORD_FILE=password)
for what in hang 400 401 500 redirect 503 503-once; do
  python3 "$SUPPORT/bad_gateway.py" "$what" "$what.requests" >"$what.port" 2>"$what.errors" &
  jobs_of_test+=("$!")
  while [[ ! -s $what.port ]]; do sleep 0.02; done
done

# try WHAT PATH WARNING REQUESTS: a run that pushes there; no warning when WARNING is empty.
try() {
  local begin=${EPOCHREALTIME/./} milliseconds warnings requests
  rm -f "$1.requests"
  run up --metrics-url "http://127.0.0.1:$(<"$1.port")$2" --metrics-timeout 2500ms --metrics-connect-timeout 500ms
  milliseconds=$(((${EPOCHREALTIME/./} - begin) / 1000))
  expect_code 0
  warnings=$(grep -c '"level":"warn"' <<<"$err" || true)
  [[ $warnings == "$([[ -n $3 ]] && echo 1 || echo 0)" ]] || fail "$1: $warnings warnings"
  [[ -z $3 ]] || expect_err "\"level\":\"warn\".*metrics not pushed to 127.0.0.1:$(<"$1.port"): $3"
  expect_no geheim
  requests=$(wc -l <"$1.requests" 2>/dev/null || echo 0)
  [[ $requests == "$4" ]] || fail "$1: $requests requests, expected $4"
  ((milliseconds < 6000)) || fail "$1: took $milliseconds ms"
}
for path in '' /api/v1/import/prometheus /v1/metrics; do
  try 400 "$path" 'HTTP 400: pushed twice"' 1
  try 401 "$path" 'HTTP 401 \(check user name, password or token\): who is it"' 1
  try 500 "$path" 'HTTP 500: disk full"' 1
  try redirect "$path" 'HTTP 307 \(redirects are not followed: give the final URL\)"' 1
  try 503 "$path" 'HTTP 503: starting \(tried twice\)"' 2
done
try hang '' '(Operation|Connection) timed out' 0
try 503-once '' '' 2 # Retry-After: 1 fits

# A run that failed keeps its own code.
mig 2_b <<<'SELECT 1 / 0;'
run up --metrics-url "http://127.0.0.1:$(<500.port)" --metrics-required
expect_code 12
