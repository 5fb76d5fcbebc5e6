#!/usr/bin/env bash
# build.sh: builds what the tests of the image look at, in LOCKKEEPER_IMAGE_WORK, with the Dockerfile as it stands and
# container storage of its own; debian:trixie-slim is a root made by debootstrap. As root, with a network for Debian's
# packages. Leaves
#   containers/                                         storage with the image lockkeeper
#   oci/                                                the image as a registry would get it (an OCI layout)
#   release/                                            what `make release` leaves in dist/
#   done                                                when all of it is there
# build.sh again: builds the image once more, with nothing that was compiled of our sources reused; it must be the same.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/image/lib.sh
source "$here/lib.sh"
repository=$(cd "$here/../.." && pwd)
work=${LOCKKEEPER_IMAGE_WORK:?run it with ctest}
base=docker.io/library/debian:trixie-slim
export ENGINE=buildah SOURCE_DATE_EPOCH=1763769600 REVISION=0123456789abcdef0123456789abcdef01234567

# Mounts of the container storage end with this process.
if [[ ${LOCKKEEPER_IMAGE_NAMESPACE:-} != 1 ]]; then
  need_root
  need_programs buildah debootstrap jq unshare zstd
  LOCKKEEPER_IMAGE_NAMESPACE=1 exec unshare --mount --propagation slave "$0" "$@"
fi

timed() {
  local begin=$SECONDS name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 || {
    tail -n 60 "$work/$name.log" >&2
    die "$name failed; all of it is in $work/$name.log"
  }
  printf '%s: %d s\n' "$name" $((SECONDS - begin))
}

import_base() {
  local tarball
  tarball=$("$repository/scripts/static/base-root.sh")
  mkdir "$work/base"
  cp "$tarball" "$work/base/base.tar"
  printf 'FROM scratch\nADD base.tar /\nCMD ["bash"]\n' >"$work/base/Dockerfile"
  buildah build --tag "$base" "$work/base"
  rm -r "$work/base"
}

# A copy of what the builds read: all read the same, and dist/ of the tree is not touched.
copy_sources() {
  mkdir -p "$work/tree/scripts"
  cp -a "$repository"/{CMakeLists.txt,Dockerfile,.dockerignore,LICENSE,cmake,src} "$work/tree/"
  cp -a "$repository"/scripts/{image.sh,install-packages.sh,release.sh,static} "$work/tree/scripts/"
}

release() {
  "$work/tree/scripts/release.sh"
  mv "$work/tree/dist" "$work/release"
  ln "$work/release/lockkeeper-linux-amd64" "$work/release/lockkeeper" # tests/cli looks for this name in ps
}

unpack() { # the image as an OCI layout
  rm -rf "${work:?}/$1"
  buildah push lockkeeper:latest "oci:$work/$1:latest"
}

case ${1:-} in
  '')
    rm -rf --one-file-system "$work"
    mkdir -p "$work"
    container_settings "$work/containers"
    copy_sources
    timed base import_base
    timed image "$work/tree/scripts/image.sh"
    tail -n 1 "$work/image.log"
    timed unpack unpack oci
    timed release release
    : >"$work/done"
    ;;
  again)
    [[ -e $work/done ]] || die "nothing is built in $work: ctest runs image_build first"
    container_settings "$work/containers"
    # The same sources in other words: a comment more. What is in front of it in the Dockerfile is not made again.
    echo '# built again' >>"$work/tree/CMakeLists.txt"
    timed image-again "$work/tree/scripts/image.sh"
    timed unpack-again unpack oci-again
    first=$(jq -r '.manifests[0].digest' "$work/oci/index.json")
    second=$(jq -r '.manifests[0].digest' "$work/oci-again/index.json")
    [[ $first == "$second" ]] || die "built twice, and not the same: $first, $second"
    grep -q 'RUN scripts/static/build.sh' "$work/image-again.log" || die "not built again: $work/image-again.log"
    printf 'twice %s\n' "$first"
    ;;
  *) die "usage: build.sh [again]" ;;
esac
