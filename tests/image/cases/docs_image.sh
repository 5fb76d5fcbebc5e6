# docs/image.md: its blocks work as they stand. docker is podman here, on the network of this test; company-ca.crt is
# the authority of the test's server.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
cp "$TLS/ca.crt" company-ca.crt
mkdir bin
cat >bin/docker <<'DOCKER'
#!/bin/bash
set -euo pipefail
command=$1
shift
case $command in
  build) exec buildah build --pull=never "$@" ;;
  run) exec podman run --pull=never --network=host "$@" ;;
  create) exec podman create --pull=never "$@" ;;
  *) exec podman "$command" "$@" ;;
esac
DOCKER
chmod 755 bin/docker
awk '/^<!-- image:/ {on = 1} /^<!-- end of image/ {on = 0}
  on && /^```dockerfile$/ {print "cat >Dockerfile <<\047END OF BLOCK\047"; file = code = 1; next}
  on && /^```sh$/ {code = 1; next}
  /^```$/ {if (file) print "END OF BLOCK"; file = code = 0; next}
  code' "$REPO/docs/image.md" >docs.sh
(($(grep -c '^docker ' docs.sh) >= 7)) || fail "few commands: $(cat docs.sh)"
URL=$(url localhost)
PATH=$PWD/bin:$PATH DATABASE_URL=$URL bash -euxo pipefail docs.sh >docs.out 2>docs.err ||
  fail "$(cat docs.out docs.err)"
expect_sql "SELECT version || ' ' || outcome FROM lockkeeper.history" '1 applied'
grep -qE '^\+ docker run .* shop-migrations plan$' docs.err || fail "plan was not run: $(cat docs.err)"
grep -qE '^libssl-dev 3' docs.out || fail "no SBOM: $(cat docs.out)"

# The authority is used: without it verify-full fails.
container lockkeeper --volume "$PWD/migrations:/migrations:ro"
ENV=(PGSSLMODE=verify-full PGSSLROOTCERT=system)
run check --connect-wait 0
((code != 0)) || fail 'the server of the test is trusted by the authorities of the image'
expect_err 'certificate verify failed'

container lockkeeper --volume "$PWD/migrations:/migrations:ro" \
  --volume "$PWD/company-ca.crt:/etc/ssl/certs/ca-certificates.crt:ro"
serve_pushgateway
ENV=(PGSSLMODE=verify-full PGSSLROOTCERT=system LOCKKEEPER_METRICS_URL="https://localhost:$PUSH_PORT"
  LOCKKEEPER_METRICS_REQUIRED=true)
run up
expect_code 0

# What it says about the image on its own.
container lockkeeper
ENV=()
run up
expect_code 11
