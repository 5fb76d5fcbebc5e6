#!/usr/bin/env bash
# k8s_binary.sh BINARY: the binary understands what the manifests tell it. Runs the arguments and variables of every
# container of Lockkeeper in deploy/k8s, without a server: exit code 30 (unreachable) means that all of them, and the
# migrations, were accepted.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd -P)
binary=$(realpath "${1:?usage: k8s_binary.sh BINARY}")
LOCKKEEPER_DEPLOY_TOOLS=$("$repo/scripts/fetch-deploy-tools.sh")
export LOCKKEEPER_DEPLOY_TOOLS
work=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-manifests.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  printf 'k8s_binary.sh: %s\n' "$*" >&2
  exit 1
}

# As the kubelet lays out a ConfigMap with `items`: the files behind two links.
overlay=$repo/deploy/k8s/overlays/configmap
mkdir -p configmap/migrations/..2026_11_22
cp -r "$overlay"/migrations/* configmap/migrations/..2026_11_22
ln -s ..2026_11_22 configmap/migrations/..data
for directory in "$overlay"/migrations/*; do
  ln -s "..data/$(basename "$directory")" configmap/migrations/
done
mkdir image
cp -r "$repo/migrations" image/migrations

files=("$repo/deploy/k8s/examples/analysis-template.yaml")
while IFS= read -r file; do
  name=$(dirname "${file#"$repo/deploy/k8s/"}")
  "$LOCKKEEPER_DEPLOY_TOOLS/kubectl" kustomize "$(dirname "$file")" >"${name//\//-}.yaml"
  files+=("${name//\//-}.yaml")
done < <(grep -lr --include=kustomization.yaml '^kind: Kustomization$' "$repo/deploy/k8s" | sort)
node "$here/validate.mjs" --json "${files[@]}" >builds

# run DIRECTORY ARGUMENT...: with the variables in `variables`, and without waiting for the server
run() {
  local now=(--connect-wait 0)
  [[ $2 != wait ]] || now=(--timeout 1s)
  (cd "$1" && env -i DATABASE_URL=postgresql://shop@127.0.0.1:1/shop "${variables[@]}" \
    timeout 30 "$binary" "${@:2}" "${now[@]}" --termination-log "$work/termination" </dev/null >"$work/log" 2>&1)
}
containers=0
for file in "${files[@]}"; do
  IFS= read -r objects
  directory=image
  [[ $file != *-configmap.yaml ]] || directory=configmap
  while IFS= read -r container; do
    mapfile -t arguments < <(jq -r '.args[]' <<<"$container")
    mapfile -t variables < <(jq -r '.env[] | select(.value) | "\(.name)=\(.value)"' <<<"$container")
    code=0
    run "$directory" "${arguments[@]}" || code=$?
    [[ $code == 30 ]] || fail "$file: ${variables[*]} lockkeeper ${arguments[*]}: exit code $code
$(<log)"
    containers=$((containers + 1))
  done < <(jq -c '.. | objects | select((.name? | IN("migrate", "wait-for-schema")) and has("image"))' <<<"$objects")
done <builds
((containers >= 15)) || fail "only $containers containers of Lockkeeper"

# What it does not understand is another exit code.
variables=(LOCKKEEPER_ON_AHEAD=perhaps)
code=0 && run image up || code=$?
[[ $code == 10 ]] || fail "a bad value: exit code $code: $(<log)"
variables=(LOCKKEEPER_VERBOSE=true)
code=0 && run image upp || code=$?
[[ $code == 2 ]] || fail "a bad command: exit code $code: $(<log)"
mkdir -p bad/migrations/20260901090000_add_seats
code=0 && run bad up || code=$?
[[ $code == 11 ]] || fail "bad migrations: exit code $code: $(<log)"
echo "$containers containers"
