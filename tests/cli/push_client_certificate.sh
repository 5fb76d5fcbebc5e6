# A Pushgateway that takes only those who show a certificate: with it the metrics arrive, without it there is a warning.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
request=(openssl req -x509 -newkey rsa:2048 -nodes -days 2)
"${request[@]}" -subj /CN=pushgateway -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out ca.pem 2>openssl.log
"${request[@]}" -subj /CN=lockkeeper -CA ca.pem -CAkey key.pem -keyout client-key.pem -out client.pem 2>>openssl.log
cat >web.yml <<YAML
tls_server_config:
  cert_file: $PWD/ca.pem
  key_file: $PWD/key.pem
  client_ca_file: $PWD/ca.pem
  client_auth_type: RequireAndVerifyClientCert
YAML
"$SUPPORT/pushgateway.sh" start "$PWD/gateway" web.yml
trap 'end_jobs; "$SUPPORT/pushgateway.sh" stop "$PWD/gateway"' EXIT
# shellcheck source=/dev/null
source gateway/env.sh
ENV=(LOCKKEEPER_METRICS_URL="$PUSHGATEWAY_URL" LOCKKEEPER_METRICS_CA_FILE=ca.pem)

scrape() { curl -fsS --cacert ca.pem --cert client.pem --key client-key.pem "$PUSHGATEWAY_URL/metrics" >scrape; }

# Under TLS 1.3 the refusal comes after the handshake, and may overtake its reason: any words will do.
run up
expect_code 0
expect_err '"level":"warn".*metrics not pushed to 127.0.0.1:[0-9]+: '
scrape
! grep -q "^lockkeeper_" scrape || fail 'taken without a certificate'

run up --metrics-client-certificate client.pem --metrics-client-key client-key.pem --metrics-required
expect_code 0
expect_no '"level":"warn"'
scrape
grep -q "^lockkeeper_last_run_success{.*database=\"$DB\"" scrape || fail "not there: $(<scrape)"

cat client.pem client-key.pem >both.pem
ENV+=(LOCKKEEPER_METRICS_CLIENT_CERTIFICATE=both.pem)
run up --metrics-required
expect_code 0

# A key that has a password is a warning: nothing asks for it, also not on a terminal.
openssl rsa -aes128 -passout pass:geheim -in client-key.pem -out locked-key.pem 2>>openssl.log
run_terminal '' up --yes --metrics-client-certificate client.pem --metrics-client-key locked-key.pem
expect_code 0
expect_out 'metrics not pushed to 127.0.0.1:[0-9]+: '
expect_no 'pass ?phrase.*:$'
