# The result of a run that went well, as JSON, from `kubectl get pod`; no password anywhere.
values
release_ok 'install'
job=$(job_name)
expect 'termination message' "0 ok success $DB 20250520000000 1 0 false" "$(termination_message "$job" \
  '"\(.exit_code) \(.outcome) \(.retry) \(.database) \(.version_to) \(.applied) \(.pending) \(.ahead)"')"
size=$(pods "$job" 'last.status.containerStatuses[0].state.terminated.message | utf8bytelength')
((size <= 2048)) || fail "size of the termination message: expected at most 2048 bytes, saw $size"
for text in "$(termination_message "$job")" "$(k logs "job/$job")" "$out"; do
  [[ $text != *e2e-shop* ]] || fail 'termination message, log and helm: expected no password, saw it'
done
