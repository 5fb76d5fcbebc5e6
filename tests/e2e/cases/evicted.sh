# The node is drained in the middle of a migration: the pod gets SIGTERM, cancels on the server, rolls back and exits
# with 143; the Job does not count that, and a new pod does the work.
gate
values
watch_pods
release_in_background 'helm, while its pod is evicted'
until_true 120 'the migration runs' at_the_gate
job=$(job_name)
pod=$(pods "$job" 'last.metadata.name')
jq -n --arg name "$pod" --arg ns "$NS" \
  '{apiVersion: "policy/v1", kind: "Eviction", metadata: {name: $name, namespace: $ns}}' |
  "$KUBECTL" create --raw "/api/v1/namespaces/$NS/pods/$pod/eviction" -f - >/dev/null
pod_exits "$pod" 143
open_gate
release_finishes
expect 'condition of the evicted pod' EvictionByEvictionAPI \
  "$(seen "$pod" '.status.conditions[]? | select(.type == "DisruptionTarget" and .status == "True").reason')"
expect 'its termination message' 'terminated retryable' "$(seen "$pod" \
  '.status.containerStatuses[]?.state.terminated.message | select(.) | fromjson | "\(.outcome) \(.retry)"')"
job_ends "$job" Complete 10
expect 'failures that the Job counted' 0 "$(job "$job" '.status.failed // 0')"
[[ $(pods "$job" 'last.metadata.name') != "$pod" ]] || fail 'pods: expected a new one, saw the evicted one'
expect 'history' 20250520000000,20250801000000 "$(applied)"
