# `helm uninstall` leaves nothing that runs or serves. Installing again finds the database as it was left.
values '.serviceAccount.create = true | .networkPolicy.enabled = true'
release_ok 'install'
helm_ok uninstall shop
expect 'pods at work' '' \
  "$(k get pods -o json | jq -r '.items[] | select(.status.phase | IN("Running", "Pending")).metadata.name')"
expect 'what would start some' '' "$(k get deployments,statefulsets,cronjobs,services -o name)"
expect 'sessions' 0 "$(sessions)"
release_ok 'install again'
expect 'applied by this run' 0 "$(termination_message "$(job_name)" .applied)"
expect 'history' 20250520000000 "$(applied)"
