#!/usr/bin/env bash
# packages.sh ARCH...: installs in a Debian 13 root what the static build for these architectures (amd64, arm64) needs.
# As root, inside that root; it changes apt's sources (source packages, foreign architectures).
#
# Debian has a cross compiler for the architecture that is not the root's own. Libraries come as .a files from the -dev
# packages of the target; what Debian does not build statically is made by dependencies.sh from Debian's sources.
set -euo pipefail

die() {
  printf 'packages.sh: %s\n' "$*" >&2
  exit 1
}

(($# > 0)) || die "usage: packages.sh amd64|arm64..."
[[ $(id -u) == 0 ]] || die "must be root, inside a root of its own (make release)"
suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
[[ $suite == trixie ]] || die "this is ${suite:-not Debian}; the static build is for Debian 13, trixie"

host=$(dpkg --print-architecture)
# bison, flex, perl: PostgreSQL's sources. dpkg-dev: apt-get source. python3: the SBOM and the table of sizes.
packages=(bison ca-certificates cmake dpkg-dev flex make ninja-build nlohmann-json3-dev perl python3 xz-utils)
for arch in "$@"; do
  case $arch in
    amd64) compiler=g++-x86-64-linux-gnu ;;
    arm64) compiler=g++-aarch64-linux-gnu ;;
    *) die "$arch: not amd64 or arm64" ;;
  esac
  if [[ $arch == "$host" ]]; then
    compiler=g++
  else
    dpkg --add-architecture "$arch"
  fi
  packages+=("$compiler")
  for library in libc6-dev libboost-program-options-dev libfmt-dev libpg-query-dev libssl-dev libyaml-cpp-dev \
    libzstd-dev zlib1g-dev; do
    packages+=("$library:$arch")
  done
done

# Source packages from wherever the binary ones come from.
shopt -s nullglob
for file in /etc/apt/sources.list.d/*.sources; do
  sed -i 's/^Types: deb$/Types: deb deb-src/' "$file"
done
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [[ -s $file ]] || continue
  grep -q '^deb-src ' "$file" || sed -i 's/^deb \(.*\)$/deb \1\ndeb-src \1/' "$file"
done

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get -qq update && apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "${packages[@]}"; } \
  </dev/null >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  die "apt-get failed"
fi
apt-get clean
echo "packages.sh: $(dpkg-query -f '.\n' -W | wc -l) packages installed, ready to build for $*"
