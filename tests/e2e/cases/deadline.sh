# A migration that takes longer than `deadline` is cancelled by Lockkeeper itself, with an exit code that says so,
# before Kubernetes or helm lose patience.
gate
values '.deadline = "5s" | .job.activeDeadlineSeconds = 60'
release_fails 60
job=$(job_name)
job_ends "$job" Failed 10
expect_match 'message of the condition' 'exit code 19' "$(condition "$job" Failed message)"
expect 'outcome' deadline "$(termination_message "$job" .outcome)"
expect 'history' 20250520000000 "$(applied)"
expect 'sessions' 0 "$(sessions)"
