#!/usr/bin/env bash
# k8s_job_names.sh: with components/job-name a Job's name follows its content, with nothing but `kubectl kustomize`: a new
# image tag, a changed setting or a changed migration is another name, an unchanged tree is the same one wherever it lies.
# The overlays for Argo CD and Flux keep theirs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd -P)
kubectl=$("$repo/scripts/fetch-deploy-tools.sh")/kubectl
work=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-names.XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
  printf 'k8s_job_names.sh: %s\n' "$*" >&2
  exit 1
}
# job_name OVERLAY [TREE]: the name of the one Job in what it builds
job_name() {
  local built
  built=$("$kubectl" kustomize "${2:-$work/k8s}/$1")
  [[ $(grep -c '^kind: Job$' <<<"$built") == 1 ]] || fail "$1 has not one Job"
  sed -n '/^kind: Job$/,/^spec:/s/^  name: //p' <<<"$built"
}
fresh() { rm -rf "$work/k8s" && cp -r "$repo/deploy/k8s" "$work/k8s"; }

# changes OVERLAY FILE SED-PROGRAM: after it the name is another, and still one of ours
declare -A name_of
changes() {
  local after
  fresh
  sed -i -E "$3" "$work/k8s/$2"
  ! cmp -s "$work/k8s/$2" "$repo/deploy/k8s/$2" || fail "this changes nothing in $2: $3"
  after=$(job_name "$1")
  [[ $after =~ ^shop-migrate-[a-z0-9]{10}$ ]] || fail "$1: $after is not shop-migrate-<hash>"
  [[ $after != "${name_of[$1]}" ]] || fail "$1: the name is the same after $3 in $2"
}

following=()
while IFS= read -r file; do
  following+=("$(dirname "${file#"$repo/deploy/k8s/"}")")
done < <(grep -l 'components/job-name' "$repo"/deploy/k8s/overlays/*/kustomization.yaml)
((${#following[@]} == 8)) || fail "these use components/job-name: ${following[*]}"

fresh
for overlay in "${following[@]}"; do
  name_of[$overlay]=$(job_name "$overlay")
done
[[ $(printf '%s\n' "${name_of[@]}" | sort -u | wc -l) == "${#following[@]}" ]] ||
  fail "two overlays, one name: ${name_of[*]}"
for overlay in "${following[@]}"; do
  changes "$overlay" "$overlay/kustomization.yaml" \
    's/newTag: .*/newTag: "9.9.9"/; s/(image: .*:|reference: .*:)[0-9.]+$/\19.9.9/; s/sha256:9f/sha256:8f/'
  changes "$overlay" base/job.yaml 's/memory: 128Mi/memory: 256Mi/'
done
changes overlays/prod overlays/prod/kustomization.yaml 's/value: 10m/value: 11m/'
migration=overlays/configmap/migrations/20260901090000_add_seats
changes overlays/configmap "$migration/up.sql" 's/DEFAULT 1/DEFAULT 2/'
changes overlays/configmap "$migration/migration.yaml" 's/^description: .*/description: other/'

# The image that is run is the one that was asked for, and the ConfigMap that is mounted is the one that is sent.
fresh
sed -i 's/newTag: .*/newTag: "1.6.0"/' "$work/k8s/overlays/cnpg/kustomization.yaml"
"$kubectl" kustomize "$work/k8s/overlays/cnpg" | grep -q '^        image: registry.example.com/shop-migrations:1.6.0$' ||
  fail 'the tag did not arrive at the image'
"$kubectl" kustomize "$work/k8s/overlays/configmap" >"$work/configmap.yaml"
sent=$(sed -n '/^kind: ConfigMap$/,/^---$/s/^  name: //p' "$work/configmap.yaml")
[[ $sent =~ ^shop-migrations-[a-z0-9]{10}$ ]] || fail "the ConfigMap is called $sent"
grep -q "^          name: $sent$" "$work/configmap.yaml" || fail "$sent is not what the Job mounts"
[[ $(grep -c '^kind: ' "$work/configmap.yaml") == 2 ]] || fail 'more than the Job and its ConfigMap is sent'

# The same tree, elsewhere, is the same name; a prefix and a suffix of the user's own do no harm.
cp -r "$repo/deploy/k8s" "$work/elsewhere"
touch "$work/elsewhere/base/job.yaml"
for overlay in "${following[@]}"; do
  [[ $(job_name "$overlay" "$work/elsewhere") == "${name_of[$overlay]}" ]] || fail "$overlay: another name elsewhere"
done
mkdir "$work/elsewhere/mine"
printf 'namePrefix: eu-\nresources: [../overlays/prod]\n' >"$work/elsewhere/mine/kustomization.yaml"
prefixed=$(job_name mine "$work/elsewhere")
[[ $prefixed =~ ^eu-shop-migrate-[a-z0-9]{10}$ ]] || fail "with a prefix the Job is called $prefixed"

# Argo CD and Flux replace a Job by its name.
for overlay in argocd-presync argocd-syncwave flux/pre-deploy; do
  fresh
  sed -i 's/newTag: .*/newTag: "1.6.0"/' "$work/k8s/overlays/$overlay/kustomization.yaml"
  [[ $(job_name "overlays/$overlay") == shop-migrate ]] || fail "$overlay: the name is not shop-migrate"
done
echo "${#name_of[@]} overlays: ${name_of[*]}"
