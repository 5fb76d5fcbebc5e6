# --metrics-url with several URLs: each is served, and one that is down costs a warning and leaves the others alone.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
python3 "$SUPPORT/otlp_receiver.py" received >otlp.port 2>otlp.errors &
jobs_of_test+=("$!")
while [[ ! -s otlp.port ]]; do sleep 0.02; done
otlp=http://127.0.0.1:$(<otlp.port)/v1/metrics
pushed() { curl -fsS "$PUSHGATEWAY_URL/metrics" | grep -F "database=\"$DB\"" | sed -nE "s/^$1\{.* //p"; }

run up --metrics-url "$PUSHGATEWAY_URL,$otlp"
expect_code 0
expect_no '"level":"warn"'
[[ $(pushed lockkeeper_migrations_applied) == 1 ]] || fail 'not in the Pushgateway'
[[ -s received/metrics-1.json ]] || fail "not at the OTLP receiver: $(ls received)"

# Twice the flag, and the first one is down.
run up --metrics-url http://127.0.0.1:1 --metrics-url "$otlp" --metrics-url "$PUSHGATEWAY_URL"
expect_code 0
[[ $(grep -c '"level":"warn"' <<<"$err") == 1 ]] || fail 'not exactly one warning'
expect_err 'metrics not pushed to 127.0.0.1:1: .*tried twice'
[[ $(pushed lockkeeper_migrations_applied) == 0 ]] || fail 'the Pushgateway was left out'
[[ -s received/metrics-2.json ]] || fail "the OTLP receiver was left out: $(ls received)"

# Required means: everywhere.
run up --metrics-url "$PUSHGATEWAY_URL,http://127.0.0.1:1" --metrics-required
expect_code 35
ENV=(LOCKKEEPER_METRICS_URL="$otlp,$PUSHGATEWAY_URL")
run up --metrics-required
expect_code 0
[[ ! -e received/refused-1 ]] || fail "the OTLP receiver refused: $(<received/refused-1)"
