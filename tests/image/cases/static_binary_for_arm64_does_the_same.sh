# The release binary for arm64, under qemu: starts, finds names, logs in with SCRAM over TLS, applies, pushes over
# https.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
require_tls
mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE INDEX CONCURRENTLY a_id ON a (id);'
empty_root arm64
serve_names
serve_pushgateway
plain=$URL

run --version
expect_code 0
file=$(od -An -tx1 -j18 -N2 "$(release_binary arm64)") # e_machine
[[ $file == ' b7 00' ]] || fail "not a program for arm64: e_machine is$file"
URL=$(url db.shop 'sslmode=verify-full&sslrootcert=/tls/ca.crt&channel_binding=require')
ENV=(LOCKKEEPER_METRICS_URL="https://pushgateway.internal:$PUSH_PORT" LOCKKEEPER_METRICS_REQUIRED=true)
run up
expect_code 0
run up
expect_code 0
expect_err 'nothing to do'
URL=$plain
expect_sql "SELECT string_agg(version || ' ' || outcome, ', ' ORDER BY id) FROM lockkeeper.history" \
  '1 applied, 2 applied'
curl -sS --cacert "$TLS/ca.crt" "https://localhost:$PUSH_PORT/metrics" >pushed
grep -qE '^lockkeeper_last_run_success.* 1$' pushed ||
  fail 'nothing was pushed'
URL=$(url v6.internal 'sslrootcert=system') # IPv6, the bundle
ENV=(SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt)
run check
expect_code 0
mig 3_c <<<'SELECT 1/0;'
run up
expect_code 12
