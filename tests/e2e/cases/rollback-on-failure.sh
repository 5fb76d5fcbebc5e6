# A failing migration with --rollback-on-failure (Helm 3: --atomic): helm takes the release back, no hook of ours runs
# on the way, the database is as before, and the next good release goes through.
values
release_ok 'install'
broken
values
flag=--rollback-on-failure
[[ $HELM_VERSION != v3.* ]] || flag=--atomic
release_fails 90 "$flag"
expect 'state of the release' deployed "$("$HELM" status shop -n "$NS" -o json | jq -r .info.status)"
expect 'history' 20250520000000 "$(applied)"
expect 'attempts at the migration' 1 \
  "$(sql "SELECT count(*) FROM lockkeeper.history WHERE version = '20250701000000'")"

rm -r "$DIR/migrations/20250701000000_broken"
visits
values
release_ok 'the next release' "$flag"
expect 'history' 20250520000000,20250601000000 "$(applied)"
