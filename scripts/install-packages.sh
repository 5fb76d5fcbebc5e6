#!/usr/bin/env bash
# install-packages.sh [build|test|demo|fuzz|long|bench|deploy|release|engine|image]...: installs the Debian packages (12
# or 13) that building, testing, the demo, fuzzing, the long tests, the benchmark, the tests of chart and manifests, the
# static release, the image and its tests need. Says what is missing and installs only that; needs no network and no
# privilege when nothing is missing. With --dry-run it only says.
#
# The packages postgresql, pgbouncer and those of Prometheus start services when they are installed: for as long as this
# script installs, a policy-rc.d forbids that, where the machine has none of its own. They stay enabled, so a machine
# with systemd starts them when it boots next; nothing here uses them (systemctl disable ...), nor the cluster of
# PostgreSQL that Debian makes (15/main or 17/main).
set -euo pipefail

build=(
  ca-certificates cmake g++ git make ninja-build pkg-config
  libboost-program-options-dev libcurl4-openssl-dev libfmt-dev libpg-query-dev libpq-dev libssl-dev libyaml-cpp-dev
  nlohmann-json3-dev prometheus-cpp-dev zlib1g-dev
)
# One version of LLVM, which Debian 12 and 13 both have: another version of clang-format formats differently.
clang=(clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev)
servers=(curl jq openssl postgresql prometheus-pushgateway python3)
test=(
  "${servers[@]}" "${clang[@]}" doctest-dev pgbouncer procps prometheus prometheus-postgres-exporter shellcheck spin
  util-linux victoria-metrics
)
demo=("${servers[@]}")
fuzz=(clang-19 libclang-rt-19-dev)
long=(mount pgbouncer)
bench=(libdbd-pg-perl maven postgresql python3 python3-pip sqitch unzip) # other peers: npm, PyPI, Go, Maven
deploy=(curl jq prometheus python3 python3-yaml shellcheck unzip yamllint) # chart and manifests; helm and kubectl come with npm packages
release=(debootstrap zstd)                         # everything else is installed inside of the root that it makes
engine=(buildah debootstrap)                       # `make image` where there is nothing that builds images
image=(
  binutils buildah curl dnsmasq-base gcc iproute2 jq libc6-dev openssl podman postgresql prometheus-pushgateway
  qemu-user-static runc valgrind yamllint
)

missing=() wanted=()
installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }
want() {
  local package
  for package in "$@"; do
    [[ " ${wanted[*]-} " != *" $package "* ]] || continue
    wanted+=("$package")
    installed "$package" || missing+=("$package")
  done
}

dry_run=false
(($# > 0)) || set -- build
for purpose in "$@"; do
  case $purpose in
    --dry-run) dry_run=true ;;
    build) want "${build[@]}" ;;
    test) want "${test[@]}" ;;
    demo) want "${demo[@]}" ;;
    fuzz) want "${fuzz[@]}" ;;
    long)
      want "${long[@]}"
      command -v npm >/dev/null || want nodejs npm
      ;;
    bench)
      want "${bench[@]}"
      command -v npm >/dev/null || want nodejs npm
      command -v go >/dev/null || want golang-go
      command -v java >/dev/null || want default-jre-headless
      ;;
    deploy)
      want "${deploy[@]}"
      command -v npm >/dev/null || want nodejs npm
      ;;
    release) want "${release[@]}" ;;
    engine) want "${engine[@]}" ;;
    image) want "${image[@]}" ;;
    *)
      echo "usage: install-packages.sh [--dry-run] [build|test|demo|fuzz|long|bench|deploy|release|engine|image]..." >&2
      exit 2
      ;;
  esac
done

as_root=() policy=/usr/sbin/policy-rc.d
install_packages() {
  echo "packages: installing $*"
  ! $dry_run || return 0
  command -v apt-get >/dev/null || {
    echo "packages: no apt-get on this machine: install what the names above stand for, then try again" >&2
    exit 1
  }
  if [[ $(id -u) != 0 ]]; then
    command -v sudo >/dev/null || {
      echo "packages: not root, and no sudo: as root, run: apt-get install --no-install-recommends $*" >&2
      exit 1
    }
    as_root=(sudo)
  fi
  if [[ ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
  fi
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 install "$@" </dev/null
}

if ((${#missing[@]} > 0)); then
  install_packages "${missing[@]}"
fi
echo "packages: ${#wanted[@]} needed for $*, ${#missing[@]} were missing"
