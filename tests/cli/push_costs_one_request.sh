# What telling others costs a run with nothing to do: nothing on the way to the database, and one request for each that is
# told: one for the metrics, one for the trace.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
for name in metrics trace; do
  python3 "$SUPPORT/bad_gateway.py" 200 "$name.requests" >"$name.port" 2>"$name.errors" &
  jobs_of_test+=("$!")
  while [[ ! -s $name.port ]]; do sleep 0.02; done
done
mkdir proxy
server=${URL#*@}
python3 "$SUPPORT/turn_proxy.py" "${server%%:*}" "$(sed -E 's|.*:([0-9]+)/.*|\1|' <<<"$server")" proxy 150 >proxy/port 2>proxy/errors &
jobs_of_test+=("$!")
while [[ ! -s proxy/port ]]; do sleep 0.02; done
URL="$(sed -E "s|@[^/]*/|@127.0.0.1:$(<proxy/port)/|" <<<"$URL")?sslmode=disable&gssencmode=disable"
connections() { find proxy -name '*.turns' | wc -l; }
turns() { cat "$(find proxy -name '*.turns' | sort -V | tail -n 1)"; }

run up
expect_code 0
expect_err 'nothing to do'
(($(connections) == 1 && $(turns) == 1)) || fail "$(connections) connections, $(turns) turns"
[[ ! -e metrics.requests && ! -e trace.requests ]] || fail 'something was sent'

ENV=("LOCKKEEPER_METRICS_URL=http://127.0.0.1:$(<metrics.port)" "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$(<trace.port)")
run up
expect_code 0
expect_no '"level":"warn"'
(($(connections) == 2 && $(turns) == 1)) || fail "$(connections) connections, $(turns) turns"
(($(wc -l <metrics.requests) == 1)) || fail "requests with metrics: $(<metrics.requests)"
(($(wc -l <trace.requests) == 1)) || fail "requests with the trace: $(<trace.requests)"
