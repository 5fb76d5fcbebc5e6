#!/usr/bin/env bash
# image.sh: builds the container image from the Dockerfile, tags it lockkeeper:VERSION and lockkeeper:latest, and prints
# its size, as a registry would keep it, and its digest. Variables:
#   PLATFORM           amd64 or arm64 (linux/amd64, linux/arm64): what the image is for; default: this machine
#   ENGINE             docker, buildah or podman; default: the first of them that works here
#   NO_CACHE           1: nothing of an earlier build is used again
#   SOURCE_DATE_EPOCH  the time of all files and of the image; default: the last commit's, 0 without git
#   REVISION, SOURCE   for the labels: the commit, and the address of the repository; default: what git says, none
# Where the registry with debian:trixie-slim cannot be reached, buildah and podman take a root that debootstrap makes
# (scripts/static/base-root.sh, as root).
set -euo pipefail
cd "$(dirname "$0")/.."
base=docker.io/library/debian:trixie-slim

die() {
  printf 'image.sh: %s\n' "$*" >&2
  exit 1
}

# A docker client is no engine: the daemon may not run, or not for us.
works() {
  case $1 in
    docker) docker version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 ;;
    buildah) buildah images >/dev/null 2>&1 ;;
    podman) podman info >/dev/null 2>&1 ;;
    *) die "ENGINE is $1: not docker, buildah or podman" ;;
  esac
}

engine=${ENGINE:-}
if [[ -n $engine ]]; then
  works "$engine" || die "$engine does not work here; see: $engine info"
else
  for engine in docker buildah podman ''; do
    [[ -z $engine ]] || ! works "$engine" || break
  done
  if [[ -z $engine ]]; then # no docker with buildx and a daemon, no buildah, no podman
    scripts/install-packages.sh engine
    engine=buildah
    works "$engine" || die "buildah does not work here; see: buildah info"
  fi
fi

case $(uname -m) in
  x86_64) machine=amd64 ;;
  aarch64) machine=arm64 ;;
  *) die "this machine is $(uname -m): not x86_64 or aarch64" ;;
esac
arch=${PLATFORM:-$machine}
arch=${arch#linux/}
[[ $arch == amd64 || $arch == arm64 ]] || die "PLATFORM is ${PLATFORM:-}: not amd64 or arm64"

version=$(sed -nE 's/^project\(lockkeeper VERSION ([0-9.]+).*/\1/p' CMakeLists.txt)
[[ -n $version ]] || die "no project(lockkeeper VERSION ...) in CMakeLists.txt"
if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) || SOURCE_DATE_EPOCH=0
fi
export SOURCE_DATE_EPOCH
revision=${REVISION:-$(git rev-parse HEAD 2>/dev/null || true)}

options=(
  --tag "lockkeeper:$version" --tag lockkeeper:latest
  --build-arg SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH"
  --build-arg VERSION="$version" --build-arg REVISION="$revision" --build-arg SOURCE="${SOURCE:-}"
)
[[ ${NO_CACHE:-} != 1 ]] || options+=(--no-cache)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if [[ $engine == docker ]]; then
  docker buildx build --platform "linux/$arch" --load "${options[@]}" .
  docker save "lockkeeper:$version" | gzip -9 >"$work/image.tar.gz"
  printf 'image: lockkeeper:%s for linux/%s, %s bytes compressed, %s\n' "$version" "$arch" \
    "$(stat -c %s "$work/image.tar.gz")" "$(docker image inspect --format '{{.Id}}' "lockkeeper:$version")"
  exit
fi

# Isolation by chroot needs no rights that a machine in a cluster or a sandbox may lack.
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
options+=(
  --platform "linux/$arch" --build-arg BUILDPLATFORM="linux/$machine" # older ones leave the second variable empty
  --timestamp "$SOURCE_DATE_EPOCH" --layers
)
! "$engine" build --help | grep -q -e --identity-label || options+=(--identity-label=false)
if ! "$engine" inspect --type image "$base" >/dev/null 2>&1 && ! "$engine" pull "$base" >"$work/pull.log" 2>&1; then
  echo "image.sh: $base cannot be pulled: $(tail -n 1 "$work/pull.log")" >&2
  echo "image.sh: using a root made with debootstrap instead" >&2
  base=localhost/lockkeeper-build-base:trixie
  if ! "$engine" inspect --type image "$base" >/dev/null 2>&1; then
    tarball=$(scripts/static/base-root.sh)
    mkdir "$work/base"
    printf 'FROM scratch\nADD base.tar /\n' >"$work/base/Dockerfile"
    cp "$tarball" "$work/base/base.tar"
    "$engine" build --quiet --tag "$base" "$work/base"
  fi
  options+=(--from "$base")
fi
"$engine" build "${options[@]}" .
"$engine" push --quiet --digestfile "$work/digest" "lockkeeper:$version" "oci:$work/oci:$version"
printf 'image: lockkeeper:%s for linux/%s, %s bytes compressed, %s\n' "$version" "$arch" \
  "$(find "$work/oci/blobs" -type f -printf '%s\n' | awk '{sum += $1} END {print sum}')" "$(cat "$work/digest")"
