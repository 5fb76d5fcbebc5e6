#!/usr/bin/env bash
# release.sh [amd64|arm64]...: builds the static binaries (both without arguments) into dist/: lockkeeper-linux-ARCH,
# lockkeeper-linux-ARCH.spdx.json, LICENSES.txt (of all of them), SHA256SUMS. Prints the table of sizes.
#
# Everything happens in a Debian 13 root that debootstrap makes: the machine's own compiler and libraries do not matter.
# Needs root, or sudo. The root with compilers and libraries is kept beside the base root (scripts/static/base-root.sh),
# under a name with the hash of what made it; only our own code is compiled again. FRESH=1 makes both anew: that is how
# security updates of the libraries get in.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
here=$PWD

die() {
  printf 'release.sh: %s\n' "$*" >&2
  exit 1
}

(($# > 0)) || set -- amd64 arm64
for arch in "$@"; do
  [[ $arch == amd64 || $arch == arm64 ]] || die "$arch: not amd64 or arm64"
done
# The date in the SBOM: that of the last commit, whatever is changed since.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
if [[ $(id -u) != 0 ]]; then
  command -v sudo >/dev/null || die "neither root nor sudo: a Debian root can only be made by root"
  exec sudo --preserve-env=SOURCE_DATE_EPOCH,FRESH,LOCKKEEPER_DEBIAN_MIRROR,http_proxy,https_proxy,no_proxy \
    "$here/scripts/release.sh" "$@"
fi
unshare --mount --pid --fork true 2>/dev/null ||
  die "this root may not make namespaces (a container without --privileged?): build the image instead, make image"

scratch=$(mktemp -d)
child=
finish() {
  local status=$?
  trap - EXIT INT TERM HUP
  # The build is in namespaces of its own: when its first process is gone, so are the others and all mounts. A moment
  # later, so what they still wrote is removed by the second try.
  if [[ -n $child ]]; then
    kill -KILL "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  rm -rf --one-file-system "$scratch" 2>/dev/null || { sleep 1 && rm -rf --one-file-system "$scratch"; }
  [[ -z ${kept:-} ]] || rm -f "$kept.$$"
  exit "$status"
}
trap finish EXIT
trap 'trap "" INT TERM HUP; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM
trap 'trap "" INT TERM HUP; exit 129' HUP

# In the background, because bash runs a trap only between commands; and not longer than this script.
in_root() {
  setpriv --pdeathsig KILL nice -n 5 scripts/static/in-root.sh "$@" &
  child=$!
  wait "$child"
  child=
}

say() {
  printf 'release.sh: %s\n' "$*"
}

base=$(scripts/static/base-root.sh --path)
[[ -z ${FRESH:-} ]] || rm -f "$base"
base=$(scripts/static/base-root.sh)

# A root with everything that an architecture needs at $scratch/$1, from the cache or new.
make_root() {
  local root=$scratch/$1 key old
  key=$(cat scripts/static/packages.sh scripts/static/dependencies.sh <(stat -c '%Y %s' "$base") | sha256sum)
  kept=${base%/*}/trixie-static-$1-${key:0:12}.tar.zst
  mkdir "$root"
  if [[ -f $kept ]]; then
    say "$1: compilers and libraries of $(date -u -d "@$(stat -c %Y "$kept")" +%F) (FRESH=1 renews them)"
    zstd -qdc "$kept" | tar -C "$root" -xp
    return
  fi
  say "$1: compilers and libraries, once: about four minutes"
  tar -C "$root" -xpf "$base"
  mkdir -p "$root/build/scripts/static"
  cp scripts/static/{packages,dependencies}.sh "$root/build/scripts/static/"
  in_root "$root" /build/scripts/static/packages.sh "$1"
  in_root "$root" /build/scripts/static/dependencies.sh "$1" /opt/static
  rm -rf "$root/build"
  tar -C "$root" --numeric-owner --exclude='./dev/*' --exclude='./var/lib/apt/lists/*' --exclude=./etc/resolv.conf \
    -c . | zstd -qT0 -3 >"$kept.$$"
  mv "$kept.$$" "$kept"
  for old in "${base%/*}/trixie-static-$1-"*.tar.zst; do
    [[ $old == "$kept" ]] || rm -f "$old"
  done
}

# The build sees only what it needs, at a path that is always the same. dist/ is changed when everything is there.
new=$scratch/dist
mkdir "$new"
for arch in "$@"; do
  make_root "$arch"
  root=$scratch/$arch
  mkdir -p "$root/build"
  tar -c CMakeLists.txt LICENSE cmake src scripts/static | tar -C "$root/build" -x --no-same-owner
  say "$arch: building"
  in_root "$root" /build/scripts/static/build.sh "$arch" /opt/static /out
  install -m 755 "$root/out/lockkeeper" "$new/lockkeeper-linux-$arch"
  install -m 644 "$root/out/lockkeeper.spdx.json" "$new/lockkeeper-linux-$arch.spdx.json"
  # The same texts for both, but for the versions of the cross compiler's packages.
  cat "$root/out/LICENSES.txt" >>"$new/LICENSES.txt"
  printf '\nlockkeeper-linux-%s\n\n' "$arch"
  cat "$root/out/sizes.md"
  rm -rf --one-file-system "$root"
done
(cd "$new" && sha256sum LICENSES.txt lockkeeper-linux-* >SHA256SUMS)
mkdir -p dist
rm -f dist/lockkeeper-linux-* dist/LICENSES.txt dist/SHA256SUMS
cp "$new"/* dist/
[[ -z ${SUDO_UID:-} ]] || chown -R "$SUDO_UID:${SUDO_GID:-}" dist
printf '\n'
say "done:"
ls -l dist
