#!/usr/bin/env bash
# base-root.sh [--path]: prints the path of a tarball with a minimal Debian 13 root; makes it with debootstrap when it
# is not there (about a minute), but for --path. It stands for `FROM debian:trixie-slim` without a registry: `make
# release` builds in it, and the test of the image imports it under that name. As root: debootstrap makes device nodes
# and changes owners.
#
# Packages come from the mirror that this machine's apt uses. LOCKKEEPER_DEBIAN_MIRROR names another one.
# Where: $XDG_CACHE_HOME/lockkeeper/trixie-base.tar, else ~/.cache/lockkeeper/..., for root /var/cache/lockkeeper/...
# Delete the file to get one of today.
set -euo pipefail

die() {
  printf 'base-root.sh: %s\n' "$*" >&2
  exit 1
}

# The mirror of the archive whose Release file says this label, as apt knows it.
mirror_of() {
  command -v apt-get >/dev/null || return 0
  # shellcheck disable=SC2016 # apt replaces it
  apt-get indextargets --format '$(REPO_URI)' "Label: $1" 'Created-By: Packages' | head -n 1
}

if [[ -n ${XDG_CACHE_HOME:-} ]]; then
  cache=$XDG_CACHE_HOME/lockkeeper
elif [[ $(id -u) == 0 ]]; then
  cache=/var/cache/lockkeeper
else
  cache=$HOME/.cache/lockkeeper
fi
tarball=$cache/trixie-base.tar
if [[ -f $tarball || ${1:-} == --path ]]; then
  printf '%s\n' "$tarball"
  exit 0
fi

[[ $(id -u) == 0 ]] || die "$tarball is not there, and only root can make it: sudo scripts/static/base-root.sh"
command -v debootstrap >/dev/null || die "debootstrap is missing: scripts/install-packages.sh release"
main=${LOCKKEEPER_DEBIAN_MIRROR:-$(mirror_of Debian)}
security=$(mirror_of Debian-Security)
main=${main%/}
[[ -n $main ]] || die "apt on this machine has no Debian mirror: say one, LOCKKEEPER_DEBIAN_MIRROR=http://.../debian"
[[ -n $security && -z ${LOCKKEEPER_DEBIAN_MIRROR:-} ]] || security=$main-security
security=${security%/}

mkdir -p "$cache"
work=$(mktemp -d "$cache/.base-root.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'trap "" INT TERM HUP; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM
echo "base-root.sh: making $tarball from $main" >&2
debootstrap --variant=minbase trixie "$work/tree" "$main" >"$work/log" 2>&1 ||
  die "debootstrap failed: $(tail -n 5 "$work/log" "$work/tree/debootstrap/debootstrap.log" 2>/dev/null)"

# The same sources as Debian's container images have: the release, its updates, security.
rm -f "$work/tree/etc/apt/sources.list"
cat >"$work/tree/etc/apt/sources.list.d/debian.sources" <<SOURCES
Types: deb
URIs: $main
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: $security
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
# debootstrap copies these two from this machine; they are not part of a root that others use.
rm -f "$work/tree/etc/resolv.conf" "$work/tree/etc/hostname"
rm -f "$work"/tree/var/cache/apt/archives/*.deb "$work"/tree/var/lib/apt/lists/*_Packages
tar -C "$work/tree" --numeric-owner --exclude=./dev/* --exclude=./proc/* --exclude=./sys/* -cf "$work/base.tar" .
mv "$work/base.tar" "$tarball"
printf '%s\n' "$tarball"
