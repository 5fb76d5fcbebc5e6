# The release binary in an empty root: names from hosts and DNS, IPv6, TLS with the system's authorities and with a
# mounted one, a push over https. What is missing is an error, not a crash.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
require_tls
mig 1_a <<<'CREATE TABLE a (id int);'
empty_root amd64
serve_names
serve_pushgateway
plain=$URL

run --version
expect_code 0
run explain 31
expect_code 0

# --- names
connects() { # HOST PARAMETERS
  URL=$(url "$1" "$2")
  run check --connect-wait 0 --auth-wait 0
  URL=$plain
  expect_code "${3:-0}"
}
URL=$(url db.internal 'sslmode=verify-full&sslrootcert=/tls/ca.crt') # /etc/hosts
run up
expect_code 0
URL=$plain
expect_sql "SELECT to_regclass('a') IS NOT NULL" t
connects db.shop 'sslmode=verify-full&sslrootcert=/tls/ca.crt'                       # a search domain
grep -q 'query\[A\] db.shop.svc.cluster.local ' dns.log || fail "the search domain was not asked: $(cat dns.log)"
grep -q 'query\[AAAA\] db.shop.svc.cluster.local ' dns.log || fail "no AAAA: $(cat dns.log)"
connects db.shop.svc.cluster.local 'sslmode=verify-full&sslrootcert=/tls/ca.crt'     # ndots:5: searched first
connects v6.internal 'sslmode=verify-full&sslrootcert=/tls/ca.crt'                   # only an AAAA record
connects alias.internal 'sslmode=require'                                            # a CNAME
connects '[::1]' 'sslmode=require'
connects localhost 'sslmode=require'
connects nowhere.internal 'sslmode=require' 30
expect_err 'could not translate host name .*nowhere.internal'
connects db.internal 'sslmode=disable' 17
expect_err 'no encryption'
connects db.internal 'gssencmode=require' 10
expect_err 'GSSAPI'

# --- authorities
ENV=(SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt)
connects db.internal 'sslrootcert=system'
connects db.internal 'sslrootcert=system&channel_binding=require'
ENV=(SSL_CERT_FILE=/nowhere)
connects db.internal 'sslrootcert=system' 10
expect_err 'certificate verify failed'
ENV=()
connects alias.internal 'sslmode=verify-full&sslrootcert=/tls/ca.crt' 10             # a name that is not the server's
expect_err 'does not match host name .*alias.internal'

# --- a push over https
pushed() {
  curl -sS --cacert "$TLS/ca.crt" "https://localhost:$PUSH_PORT/metrics" |
    grep -E "^lockkeeper_last_run_success.*job=\"$1\""
}
push() { # JOB HOST OPTION...
  local job=$1 host=$2
  shift 2
  URL=$(url 127.0.0.1 'sslmode=require')
  run up --metrics-url "https://$host:$PUSH_PORT" --metrics-job "$job" --metrics-required "$@"
  URL=$plain
}
push bundle pushgateway.internal
expect_code 0
[[ $(pushed bundle) == *' 1' ]] || fail "nothing was pushed: $(pushed bundle)"
push mounted pushgateway.internal --metrics-ca-file /tls/ca.crt
expect_code 0
[[ $(pushed mounted) == *' 1' ]] || fail "nothing was pushed: $(pushed mounted)"
push wrong pushgateway.internal --metrics-ca-file /etc/passwd
expect_code 35

# --- without names, without a bundle: an error that says so
umount root/migrations
mount -o remount,bind,rw root
rm root/etc/hosts root/etc/resolv.conf root/etc/ssl/certs/ca-certificates.crt root/etc/passwd
mkdir root/migrations/1_a
cp migrations/1_a/up.sql root/migrations/1_a/
mount -o remount,bind,ro root
connects 127.0.0.1 'sslmode=require'
connects db.internal 'sslmode=require' 30
expect_err 'could not translate host name'
push without 127.0.0.1
expect_code 35
push without 127.0.0.1 --metrics-ca-file /tls/ca.crt
expect_code 0
