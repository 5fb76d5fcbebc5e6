# An upgrade with one more migration applies that one; an upgrade without one finds nothing to do and writes nothing.
values
release_ok 'install'
visits
values
release_ok 'upgrade with one more migration'
job=$(job_name)
expect 'history' 20250520000000,20250601000000 "$(applied)"
expect 'applied by this run' 1 "$(termination_message "$job" .applied)"

uid=$(job "$job" .metadata.uid)
rows=$(sql 'SELECT count(*) FROM lockkeeper.history')
release_ok 'upgrade without a migration'
[[ $(job "$job" .metadata.uid) != "$uid" ]] || fail 'upgrade without a migration: expected a new Job, saw the old one'
job_ends "$job" Complete 10
expect 'applied by this run' 0 "$(termination_message "$job" .applied)"
expect 'rows of the history' "$rows" "$(sql 'SELECT count(*) FROM lockkeeper.history')"
expect_match 'log' 'nothing to do' "$(k logs "job/$job")"
