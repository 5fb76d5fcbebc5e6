# The numbers arrive in the Pushgateway, with the namespace as a label; after a failure the time of the last success is
# still there.
metrics=$(jq -n --arg url "http://pushgateway.$SERVERS.svc:9091" '{url: $url, required: true}')
values ".metrics = $metrics"
release_ok 'install'

servers port-forward --address 127.0.0.1 service/pushgateway :9091 >"$DIR/forward" 2>&1 &
until_true 20 'kubectl port-forward' grep -q '^Forwarding from' "$DIR/forward"
port=$(sed -nE '1s/.*127\.0\.0\.1:([0-9]+).*/\1/p' "$DIR/forward")
metric() {
  curl -sS --max-time 10 "http://127.0.0.1:$port/metrics" |
    sed -nE "/^$1\{/{/namespace=\"$NS\"/{/database=\"$DB\"/s/.* //p;};}"
}
expect 'lockkeeper_last_run_success' 1 "$(metric lockkeeper_last_run_success)"
expect 'lockkeeper_migrations_applied' 1 "$(metric lockkeeper_migrations_applied)"
success=$(metric lockkeeper_last_success_timestamp_seconds)
expect_match 'lockkeeper_last_success_timestamp_seconds' '^[0-9.e+]+$' "$success"

broken
values ".metrics = $metrics"
release_fails 60
expect 'lockkeeper_last_run_exit_code' 12 "$(metric lockkeeper_last_run_exit_code)"
expect 'lockkeeper_migrations_pending' 1 "$(metric lockkeeper_migrations_pending)"
expect 'time of the last success' "$success" "$(metric lockkeeper_last_success_timestamp_seconds)"
