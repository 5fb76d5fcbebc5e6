# A first install: the hook needs nothing that the chart creates; the Calendly migration is applied and recorded, and
# the pod is as the chart says: the user, the memory limit, no token, no warning of restricted Pod Security.
values
release_ok 'install'
[[ $out != *[Ww]arning* ]] || fail "helm: expected no warning, saw \"$(shorten "$out")\""
job=$(job_name)
job_ends "$job" Complete 10
expect 'columns of the migration' 5 "$(calendly_columns)"
expect 'history' 20250520000000 "$(applied)"
expect 'pods' 1 "$(pods "$job" length)"
expect 'restarts, exit code' '0 0' \
  "$(pods "$job" 'last.status.containerStatuses[0] | "\(.restartCount) \(.state.terminated.exitCode)"')"

# What the kubelet reports, and where it reports nothing, what was asked for.
expect 'user' 65532 \
  "$(pods "$job" 'last | .status.containerStatuses[0].user.linux.uid // .spec.securityContext.runAsUser')"
expect 'memory limit' 128Mi \
  "$(pods "$job" 'last | (.status.containerStatuses[0].resources // .spec.containers[0].resources).limits.memory')"
expect 'read-only root file system' true \
  "$(pods "$job" 'last.spec.containers[0].securityContext.readOnlyRootFilesystem')"
expect 'tokens' '' \
  "$(pods "$job" 'last.spec.volumes[]? | select(.projected.sources[]?.serviceAccountToken).name')"
