# The URL from a mounted secret: root's file, readable for the group, behind links; nothing of it in the environment.
values '.database.as = "file"'
release_ok 'install'
job=$(job_name)
expect 'history' 20250520000000 "$(applied)"
expect 'variables from secrets' '' \
  "$(pods "$job" 'last.spec.containers[0].env[] | select(.valueFrom.secretKeyRef).name')"
expect_match 'where the URL came from' 'database from [^,"]*LOCKKEEPER_DATABASE_URL_FILE' "$(k logs "job/$job")"
