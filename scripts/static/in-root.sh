#!/usr/bin/env bash
# in-root.sh ROOT COMMAND [ARGUMENT...]: runs a command as root inside the Debian root at ROOT, with /proc, a small /dev
# and this machine's name resolution. Mounts and processes are in namespaces of their own: however the command ends,
# the kernel takes them away with it.
#
# Of the environment only the proxies and SOURCE_DATE_EPOCH go in.
set -euo pipefail

die() {
  printf 'in-root.sh: %s\n' "$*" >&2
  exit 1
}

if [[ ${1:-} == --inside ]]; then
  root=$2
  shift 2
  mount -t proc proc "$root/proc"
  mount -t tmpfs -o mode=755,size=64k tmpfs "$root/dev"
  for node in 'null 1 3' 'zero 1 5' 'full 1 7' 'random 1 8' 'urandom 1 9'; do
    read -r name major minor <<<"$node"
    mknod -m 666 "$root/dev/$name" c "$major" "$minor"
  done
  ln -s /proc/self/fd "$root/dev/fd"
  ln -s /proc/self/fd/0 "$root/dev/stdin"
  ln -s /proc/self/fd/1 "$root/dev/stdout"
  ln -s /proc/self/fd/2 "$root/dev/stderr"
  kept=()
  for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY SOURCE_DATE_EPOCH; do
    [[ -z ${!name:-} ]] || kept+=("$name=${!name}")
  done
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ LC_ALL=C.UTF-8 "${kept[@]}" chroot "$root" "$@"
fi

(($# >= 2)) || die "usage: in-root.sh ROOT COMMAND [ARGUMENT...]"
[[ $(id -u) == 0 ]] || die "must be root"
root=$(cd "$1" && pwd -P)
[[ -x $root/usr/bin/env && $root != / ]] || die "$1 is not an unpacked root (scripts/static/base-root.sh)"
shift
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
exec unshare --mount --propagation private --pid --fork --kill-child "${BASH_SOURCE[0]}" --inside "$root" "$@"
