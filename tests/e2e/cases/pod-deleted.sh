# `kubectl delete pod` in the middle of a migration: as an eviction, but the Job counts it against its backoffLimit. No
# session of the deleted pod stays behind.
gate
values
watch_pods
release_in_background 'helm, while its pod is deleted'
until_true 120 'the migration runs' at_the_gate
job=$(job_name)
pod=$(pods "$job" 'last.metadata.name')
k delete pod "$pod" --wait=false >/dev/null
pod_exits "$pod" 143
expect 'sessions of the deleted pod' 0 "$(sessions "$(seen "$pod" .status.podIP)")"
open_gate
release_finishes
job_ends "$job" Complete 10
expect 'failures that the Job counted' 1 "$(job "$job" '.status.failed // 0')"
expect 'history' 20250520000000,20250801000000 "$(applied)"
