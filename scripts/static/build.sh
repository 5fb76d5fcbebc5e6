#!/usr/bin/env bash
# build.sh ARCH PREFIX OUT_DIR: builds the static binary for amd64 or arm64 from the tree that this script is in.
# In a Debian 13 root that packages.sh ARCH prepared, with what dependencies.sh ARCH put into PREFIX. Leaves in OUT_DIR:
#   lockkeeper             stripped
#   lockkeeper.spdx.json   what is in it (SPDX 2.3), from the linker's own list
#   LICENSES.txt           the licence texts of all that is in it
#   sizes.md               bytes by library
#
# SOURCE_DATE_EPOCH: the date in the SPDX document; else that of the last commit, else 1970. Two builds of one tree are
# the same to the bit: nothing depends on paths or on the time.
set -euo pipefail

die() {
  printf 'build.sh: %s\n' "$*" >&2
  exit 1
}

(($# == 3)) || die "usage: build.sh amd64|arm64 PREFIX OUT_DIR"
case $1 in
  amd64) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  *) die "$1: not amd64 or arm64" ;;
esac
command -v "$triplet-g++" >/dev/null || die "$triplet-g++ is missing: scripts/static/packages.sh $1"
[[ -f $2/versions.txt ]] || die "no libraries in $2: scripts/static/dependencies.sh $1 $2"
prefix=$(cd "$2" && pwd -P)
mkdir -p "$3"
out=$(cd "$3" && pwd -P)
source=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
  SOURCE_DATE_EPOCH=$(git -C "$source" log -1 --format=%ct 2>/dev/null || echo 0)
fi
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
options=(-DCMAKE_C_COMPILER="$triplet-gcc" -DCMAKE_CXX_COMPILER="$triplet-g++")
if [[ $1 != "$(dpkg --print-architecture)" ]]; then
  # The cross compiler brings a glibc of its own, which gets no security updates: take that of the packages instead.
  options+=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="${triplet%%-*}"
    -DCMAKE_EXE_LINKER_FLAGS="-B/usr/lib/$triplet -L/usr/lib/$triplet")
fi
cmake -G Ninja -Wno-dev -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-Os \
  -DLOCKKEEPER_STATIC=ON -DLOCKKEEPER_TESTS=OFF -DCMAKE_COMPILE_WARNING_AS_ERROR=ON -DCMAKE_PREFIX_PATH="$prefix" \
  "${options[@]}" >"$work/configure.log" 2>&1 || {
  tail -n 40 "$work/configure.log" >&2
  die "cmake found something missing"
}
cmake --build "$work/build" -j "$(nproc)" >"$work/build.log" 2>&1 || {
  grep -E -A 8 'error|warning' "$work/build.log" >&2 || tail -n 40 "$work/build.log" >&2
  die "the build failed"
}

"$triplet-strip" -o "$out/lockkeeper" "$work/build/src/lockkeeper"
"$source/scripts/static/sbom.py" "$work/build" "$prefix" "$1" "$out"
"$source/scripts/static/sizes.py" "$work/build/lockkeeper.map" "$out/lockkeeper" >"$out/sizes.md"
