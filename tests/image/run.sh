#!/usr/bin/env bash
# run.sh CASE: runs tests/image/cases/CASE.sh beside a PostgreSQL with TLS, in namespaces of its own: whatever it mounts
# or starts ends with it, port 53 is free, and there is no network but 127.0.0.1 and ::1. What build.sh made must be
# in LOCKKEEPER_IMAGE_WORK. As root.
#
# The case sees, besides what run_cli_tests.sh gives: TLS (a directory: ca.crt, server.crt, server.key, client.crt,
# client.key; both are for the names of make_certificates), the settings of container_settings, FIGURES, and
# image_case.sh's vocabulary.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/image/lib.sh
source "$here/lib.sh"

# The authority of the tests, and what it signed.
make_certificates() {
  local dir=$1 names=subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1
  names+=,DNS:db.internal,DNS:v6.internal,DNS:db.shop,DNS:db.shop.svc.cluster.local,DNS:pushgateway.internal
  (
    cd "$dir"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj '/CN=Lockkeeper test authority' \
      -keyout ca.key -out ca.crt -addext basicConstraints=critical,CA:TRUE
    for name in server client; do
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$name.key" -out "$name.csr" \
        -subj "/CN=$name"
      openssl x509 -req -in "$name.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out "$name.crt" \
        -extfile <(printf '%s\n' "$names")
    done
  ) >"$dir/openssl.log" 2>&1 || die "$(cat "$dir/openssl.log")"
  # As the server wants it: owned by root, readable by its group.
  chown "root:$(id -g postgres)" "$dir/server.key"
  chmod 640 "$dir/server.key"
}

if [[ ${1:-} != --inside ]]; then
  [[ $# == 1 && -f $here/cases/${1:-}.sh ]] || die "usage: run.sh CASE, one of: $(cd "$here/cases" && echo *.sh)"
  need_root
  [[ $(uname -m) == x86_64 ]] || die "this machine is $(uname -m): the tests run the binary for amd64 as it is"
  need_programs buildah curl dnsmasq gcc ip jq openssl podman prometheus-pushgateway readelf runc unshare
  [[ -n ${LOCKKEEPER_IMAGE_WORK:-} ]] || die "LOCKKEEPER_IMAGE_WORK is not set: run it with ctest"
  [[ -e $LOCKKEEPER_IMAGE_WORK/done ]] || die "nothing is built in $LOCKKEEPER_IMAGE_WORK: ctest runs image_build first"
  exec unshare --net --mount --propagation private --pid --fork --kill-child --mount-proc "$0" --inside "$1"
fi

# Containers beside the store of images, so that both are on the same file system; certificates where the user postgres
# can read them.
containers=$(mktemp -d "$LOCKKEEPER_IMAGE_WORK/case.XXXXXX")
private=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-image.XXXXXX")
clean_up() {
  umount -l "$containers/graph/overlay" 2>/dev/null || true # kept mounted by the container tools
  rm -rf --one-file-system "$private" "$containers"
}
trap clean_up EXIT
chmod 755 "$private"
# Sockets, locks and caches of the container tools, away from the machine's.
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
container_settings "$containers" "$LOCKKEEPER_IMAGE_WORK/containers/graph" /run/lockkeeper
mkdir "$private/tls"
make_certificates "$private/tls"
export TLS=$private/tls
export LOCKKEEPER_TEST_CONF="
listen_addresses = '127.0.0.1,::1'
ssl = on
ssl_ca_file = '$TLS/ca.crt'
ssl_cert_file = '$TLS/server.crt'
ssl_key_file = '$TLS/server.key'"
export LOCKKEEPER_TEST_TIMEOUT=240 LOCKKEEPER_IMAGE_LIB=$here/image_case.sh FIGURES=$private/figures
: >"$FIGURES"
"$here/../support/run_cli_tests.sh" --dir "$here/cases" "$(release_binary amd64)" "$2"
cat "$FIGURES"
