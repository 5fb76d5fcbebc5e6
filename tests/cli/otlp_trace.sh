# One trace a run: the root is the run, under it the stages, under apply the migrations; a failure is an error of the run and
# of its migration. With TRACEPARENT the run is a child of its caller, and every log line names the trace.
source "$SUPPORT/lib.sh"
new_db
python3 "$SUPPORT/otlp_receiver.py" received >otlp.port 2>otlp.errors &
jobs_of_test+=("$!")
while [[ ! -s otlp.port ]]; do sleep 0.02; done
endpoint=http://127.0.0.1:$(<otlp.port)
trace=4bf92f3577b34da6a3ce929d0e0e4736 caller=00f067aa0ba902b7

# spans FILE FILTER: jq over the list of spans, each with its attributes as one object `a`.
spans() {
  jq -r "[.resourceSpans[].scopeSpans[].spans[] | .a = ([.attributes[] | {(.key): (.value | to_entries[0].value)}] | add)]
         | $2" "received/$1.json"
}
expect_spans() {
  local found
  found=$(spans "$1" "$2")
  [[ $found == "$3" ]] || fail "$1: expected '$3', is '$found': $2 of $(spans "$1" .)"
}
root='(.[] | select(.name | startswith("lockkeeper ")))'
apply='(.[] | select(.name == "apply"))'

mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE TABLE b (id int);'
ENV=(OTEL_EXPORTER_OTLP_ENDPOINT="$endpoint" OTEL_SERVICE_NAME=shop-migrations OTEL_RESOURCE_ATTRIBUTES=team=shop%20team)
run up
expect_code 0
expect_no '"level":"warn"'
expect_spans traces-1 "$root | .name" 'lockkeeper up'
expect_spans traces-1 "$root | .parentSpanId // \"\"" ''
expect_spans traces-1 "$root | [.a[\"db.system.name\"], .a[\"db.namespace\"], .a[\"lockkeeper.exit_code\"]] | join(\" \")" \
  "postgresql $DB 0"
expect_spans traces-1 'map(select(.name == "connect" or .name == "lock" or .name == "apply") | .name) | unique | join(" ")' \
  'apply connect lock'
expect_spans traces-1 "$root.spanId as \$root | [.[] | select(.name == \"apply\") | .parentSpanId == \$root] | all" true
expect_spans traces-1 "$apply.spanId as \$apply | [.[] | select(.parentSpanId == \$apply) | .name] | join(\", \")" 'up 1_a, up 2_b'
expect_spans traces-1 "$apply as \$apply | [.[] | select(.parentSpanId == \$apply.spanId)
  | .startTimeUnixNano >= \$apply.startTimeUnixNano and .endTimeUnixNano <= \$apply.endTimeUnixNano] | all" true
expect_spans traces-1 'any(.[]; has("status"))' false
jq -e '[.resourceSpans[0].resource.attributes[] | {(.key): .value.stringValue}] | add
  | .["service.name"] == "shop-migrations" and .team == "shop team" and has("service.version")' received/traces-1.json \
  >/dev/null || fail "another resource: $(<received/traces-1.json)"
grep '^{' <<<"$err" | jq -r .trace_id | sort -u >logged
[[ $(<logged) == "$(spans traces-1 '.[0].traceId')" ]] || fail "the log names other traces: $(<logged)"

# --- a child of its caller, and a failure
mig 3_c <<<'SELECT 1 / 0;'
ENV=(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="$endpoint/v1/traces" TRACEPARENT="00-$trace-$caller-01" TRACESTATE=vendor=1)
run up
expect_code 12
expect_spans traces-2 '[.[].traceId] | unique | join(" ")' "$trace"
expect_spans traces-2 "$root.parentSpanId" "$caller"
expect_spans traces-2 "$root.traceState" vendor=1
expect_spans traces-2 "$root.status.code" 2
expect_spans traces-2 "$root.a[\"lockkeeper.exit_code\"]" 12
expect_spans traces-2 '.[] | select(.name == "up 3_c") | .status.code' 2
expect_spans traces-2 '.[] | select(.name == "up 3_c") | .status.message | contains("division by zero")' true
grep '^{' <<<"$err" | jq -e --arg trace "$trace" --slurp 'length > 3 and all(.[]; .trace_id == $trace)' >/dev/null ||
  fail 'a log line without the trace'
grep '^{' <<<"$err" | jq -r .span_id | sort -u >logged
[[ $(<logged) == "$(spans traces-2 "$root.spanId")" ]] || fail "the log names another span: $(<logged)"
rm -r migrations/3_c

# --- not sampled: the log names it, nothing is sent; not valid: a trace of its own
ENV=(OTEL_EXPORTER_OTLP_ENDPOINT="$endpoint" TRACEPARENT="00-$trace-$caller-00")
run up
expect_code 0
expect_err "\"trace_id\":\"$trace\""
[[ ! -e received/traces-3.json ]] || fail 'a trace that is not sampled was sent'
ENV=(OTEL_EXPORTER_OTLP_ENDPOINT="$endpoint" TRACEPARENT="00-${trace^^}-$caller-01")
run up
expect_code 0
expect_spans traces-3 '.[0].traceId | . != "'"$trace"'" and length == 32' true

# --- without an endpoint the log has the caller's trace all the same; switched off, nothing is sent
ENV=(TRACEPARENT="00-$trace-$caller-01")
run up
expect_code 0
expect_err "\"trace_id\":\"$trace\""
for off in OTEL_SDK_DISABLED=true OTEL_TRACES_EXPORTER=none; do
  ENV=(OTEL_EXPORTER_OTLP_ENDPOINT="$endpoint" "$off")
  run up
  expect_code 0
  expect_no '"level":"warn"'
done
ENV=(OTEL_EXPORTER_OTLP_ENDPOINT="$endpoint" OTEL_EXPORTER_OTLP_PROTOCOL=grpc)
run up
expect_code 0
expect_err '"level":"warn".*OTEL_EXPORTER_OTLP_PROTOCOL is grpc: only OTLP over HTTP is spoken here'
[[ ! -e received/traces-4.json ]] || fail 'a trace was sent although that is switched off'

# --- a collector that is down, or refuses, is one warning without the token
ENV=(OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20geheim)
run up
expect_code 0
expect_err '"level":"warn".*trace not sent to 127.0.0.1:1: '
[[ $(grep -c '"level":"warn"' <<<"$err") == 1 ]] || fail 'more than one warning'
expect_no geheim
[[ ! -e received/refused-1 ]] || fail "refused: $(<received/refused-1)"
