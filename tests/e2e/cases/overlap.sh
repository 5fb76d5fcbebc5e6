# Two releases migrate one database at the same time: the second waits for the first, says for whom, finds nothing to
# do, and both end well.
second_waits() { k logs job/second-lockkeeper | grep -q 'waiting for the lock, held by pid [0-9]'; }
gate
values
release_in_background 'the first release'
until_true 120 'the first migration runs' at_the_gate
"$HELM" install second "$CHART" --namespace "$NS" --values "$DIR/values.json" >"$DIR/second.out" 2>&1 &
second=$!
until_true 120 'the second run waits for the lock' second_waits
expect 'migrations at work' 1 "$(at_the_gate 1 && echo 1)"
open_gate
release_finishes
wait "$second" ||
  fail "the second release: expected helm to exit with 0, saw $?: $(shorten "$(<"$DIR/second.out")")"
gates='[.migrations[]? | select(endswith("_gate"))] | length'
expect 'the gate, applied by the first' 1 "$(termination_message shop-lockkeeper "$gates")"
expect 'the gate, applied by the second' 0 "$(termination_message second-lockkeeper "$gates")"
expect 'history' 20250520000000,20250801000000 "$(applied)"
