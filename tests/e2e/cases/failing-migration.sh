# A migration that fails: helm fails at once, the Job is not tried again, its condition names the exit code, the reason
# can be read with and without the log, the database is as before; the corrected release goes through.
values
release_ok 'install'
broken
values
release_fails 60
job=$(job_name)
job_ends "$job" Failed 10
expect 'reason of the condition' PodFailurePolicy "$(condition "$job" Failed reason)"
expect_match 'message of the condition' 'exit code 12' "$(condition "$job" Failed message)"
expect 'pods' 1 "$(pods "$job" length)"
expect 'state of the release' failed "$("$HELM" status shop -n "$NS" -o json | jq -r .info.status)"

line='20250701000000_broken/up.sql:2:'
expect_match 'log' "$line" "$(k logs "job/$job")"
# Helm prints the log of a hook that failed from 3.18 on.
[[ $HELM_VERSION == v3.17.* ]] || expect_match 'what helm printed' "$line" "$out"
expect 'termination message' '12 sql fatal 42703 20250520000000' \
  "$(termination_message "$job" '"\(.exit_code) \(.outcome) \(.retry) \(.error.sqlstate) \(.version_to)"')"
expect_match 'file in it' 'broken/up.sql$' "$(termination_message "$job" .error.file)"
expect_match 'kubectl describe' '"sqlstate":"42703"' "$(k describe pods -l "batch.kubernetes.io/job-name=$job")"

expect 'history' 20250520000000 "$(applied)"
expect 'columns of the failed migration' 0 \
  "$(sql "SELECT count(*) FROM information_schema.columns WHERE column_name = 'seats'")"

migration 20250701000000_broken 'ALTER TABLE "Booking" ADD COLUMN "seats" integer;'
values
release_ok 'upgrade with the corrected migration'
expect 'history' 20250520000000,20250701000000 "$(applied)"
