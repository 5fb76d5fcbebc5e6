# The secret of the database is not there: no container can start, so only the Job's own limit ends it. helm comes back
# soon after that limit, not only at its --timeout; the pod says which secret.
values '.database.existingSecret = "not-there" | .deadline = "10s" | .job.activeDeadlineSeconds = 30'
watch_pods
release_fails 90 --timeout 5m
job=$(job_name)
job_ends "$job" Failed 10
expect 'reason of the condition' DeadlineExceeded "$(condition "$job" Failed reason)"
pod=$(jq -rn '[inputs.metadata.name] | first' <"$DIR/pods.json" 2>/dev/null)
expect_match 'what the pod waited for' 'CreateContainerConfigError: .*"not-there" not found' \
  "$(seen "$pod" '.status.containerStatuses[]?.state.waiting | select(.) | "\(.reason): \(.message // "")"')"
expect 'the history' '' "$(sql "SELECT to_regclass('lockkeeper.history')")"
