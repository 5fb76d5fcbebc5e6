# `helm rollback` runs no migration, and whatever runs with the old files later finds a database that is ahead, which
# is no error: the hook of an older release, and the init container of its application.
values
release_ok 'install'
visits
values
release_ok 'upgrade'
job=$(job_name)
uid=$(job "$job" .metadata.uid)
helm_ok rollback shop 1
expect 'the Job after helm rollback' "$job $uid" "$(job_name) $(job "$job" .metadata.uid)"

rm -r "$DIR/migrations/20250601000000_visits"
values
release_ok 'the older release again'
expect 'termination message' '0 ok true 20250601000000' \
  "$(termination_message "$job" '"\(.exit_code) \(.outcome) \(.ahead) \(.version_to)"')"
expect 'history' 20250520000000,20250601000000 "$(applied)"
