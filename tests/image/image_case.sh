# shellcheck shell=bash disable=SC2034,SC2119,SC2120
# What the scripts in tests/image/cases are written with, besides tests/support/lib.sh: the release binary in an empty
# root, and the image in a container restricted as Kubernetes does it. A script starts with
#   source "$LOCKKEEPER_IMAGE_LIB"
# and is run by run.sh. `run` and `start` of lib.sh then run Lockkeeper in there, with its variables and nothing else.
# shellcheck source=tests/support/lib.sh
source "$SUPPORT/lib.sh"
# shellcheck source=tests/image/lib.sh
source "$(dirname "$LOCKKEEPER_IMAGE_LIB")/lib.sh"

# figure TEXT: said by run.sh, also when the test succeeds.
figure() { printf '%s\n' "$*" >>"$FIGURES"; }

# url HOST [PARAMETERS]: of the database of new_db under another name of its server.
url() {
  local rest=${URL#*@}
  printf '%s@%s:%s%s\n' "${URL%@*}" "$1" "${rest#*:}" "${2:+?$2}"
}

# require_tls: from now on the server takes TCP connections with TLS only; the role certified needs a certificate, too.
require_tls() {
  local file=$LOCKKEEPER_TEST_CLUSTER/data/pg_hba.conf
  sed -i -e 's/^host /hostssl /' -e '1i hostssl all certified all scram-sha-256 clientcert=verify-ca' "$file"
  sql 'SELECT pg_reload_conf()' >/dev/null
  wait_sql "SELECT count(*) FROM pg_hba_file_rules WHERE type = 'host'" 0
}

# --- the binary in an empty root --------------------------------------------------------------------------------------

# empty_root ARCH: ./root with the release binary and what a container has besides, nothing else: hosts, resolv.conf,
# a passwd line, the test's authority as the only one in the bundle, ./migrations. Read-only. From now on Lockkeeper
# runs in it as 65532, with no capability and no way to get one; another architecture's by qemu.
empty_root() {
  local arch=$1 emulator=''
  mkdir -p migrations root/etc/ssl/certs root/usr/local/bin root/migrations root/tls
  install -m 755 "$(release_binary "$arch")" root/usr/local/bin/lockkeeper
  printf '127.0.0.1 localhost\n127.0.0.1 db.internal pushgateway.internal\n' >root/etc/hosts
  printf 'nameserver 127.0.0.1\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' \
    >root/etc/resolv.conf
  printf 'lockkeeper:x:65532:65532:Lockkeeper:/:/sbin/nologin\n' >root/etc/passwd
  cp "$TLS/ca.crt" root/etc/ssl/certs/ca-certificates.crt
  cp "$TLS/ca.crt" root/tls/
  if [[ $arch != "$(machine_arch)" ]]; then
    local program
    program=$(command -v qemu-aarch64-static || command -v qemu-aarch64) ||
      die "qemu-aarch64-static is missing: scripts/install-packages.sh image"
    install -m 755 "$program" root/qemu
    emulator=/qemu
  fi
  chmod -R a+rX root
  mount --bind root root
  # shellcheck disable=SC2064 # the directory of now
  trap "end_jobs; umount -R -l '$PWD/root'" EXIT
  mount --bind migrations root/migrations
  mount -o remount,bind,ro,nosuid,nodev root/migrations
  mount -o remount,bind,ro,nosuid,nodev root
  cat >in_root <<WRAPPER
#!/bin/bash
unset HOME
exec setpriv --no-new-privs --inh-caps=-all /usr/sbin/chroot --userspec=65532:65532 --groups= "$PWD/root" \
  $emulator /usr/local/bin/lockkeeper "\$@"
WRAPPER
  chmod 755 in_root
  LOCKKEEPER=$PWD/in_root
}
machine_arch() { if [[ $(uname -m) == aarch64 ]]; then echo arm64; else echo amd64; fi; }

# serve_names: a DNS server on 127.0.0.1:53 with the names of a cluster; queries are in dns.log.
serve_names() {
  dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root --pid-file= --log-queries \
    --log-facility="$PWD/dns.log" --listen-address=127.0.0.1 --bind-interfaces \
    --local=/cluster.local/ --local=/internal/ \
    --host-record=db.shop.svc.cluster.local,127.0.0.1 --host-record=v6.internal,::1 \
    --cname=alias.internal,v6.internal &
  jobs_of_test+=("$!")
  local attempt
  for attempt in {1..100}; do
    ! grep -qs 'started, version' dns.log || return 0
    sleep 0.05
  done
  fail "dnsmasq did not start (attempt $attempt): $(cat dns.log)"
}

# serve_pushgateway: a Pushgateway with the test's certificate; PUSH_PORT is its port.
serve_pushgateway() {
  printf 'tls_server_config:\n  cert_file: %s\n  key_file: %s\n' "$TLS/server.crt" "$TLS/server.key" >web.yaml
  "$SUPPORT/pushgateway.sh" start "$PWD/pushgateway" web.yaml
  # shellcheck source=/dev/null disable=SC2034 # for the scripts
  PUSH_PORT=$(source pushgateway/env.sh && echo "${PUSHGATEWAY_URL##*:}")
}

# --- the container ----------------------------------------------------------------------------------------------------

# container IMAGE [OPTION...]: from now on Lockkeeper runs in IMAGE, with OPTIONs of podman run besides those that stand
# for the securityContext and the limits of deploy/k8s/job.yaml, or narrower ones.
container() {
  local image=$1 options=''
  shift
  (($# == 0)) || printf -v options '%q ' "$@"
  cat >in_container <<WRAPPER
#!/bin/bash
variables=()
for name in \$(compgen -e); do
  case \$name in DATABASE_URL* | DIRECT_URL | LOCKKEEPER_* | PG* | POD_* | DEBUG) variables+=(--env "\$name") ;; esac
done
export CONTAINERS_STORAGE_CONF=$(printf '%q' "$CONTAINERS_STORAGE_CONF")
export CONTAINERS_CONF=$(printf '%q' "$CONTAINERS_CONF")
exec podman run --rm --pull=never --log-driver=none --network=host --read-only --read-only-tmpfs=false --cap-drop=all \\
  --security-opt=no-new-privileges --memory=32m --memory-swap=32m --pids-limit=16 $options\\
  "\${variables[@]}" $(printf '%q' "$image") "\$@"
WRAPPER
  chmod 755 in_container
  LOCKKEEPER=$PWD/in_container
}

# derive_image TAG: an image with ./migrations, made by the two lines of docs/image.md.
derive_image() {
  printf 'FROM lockkeeper\nCOPY migrations /migrations\n' >Dockerfile
  buildah build --quiet --pull=never --tag "$1" . >build.log 2>&1 || fail "$(cat build.log)"
}
