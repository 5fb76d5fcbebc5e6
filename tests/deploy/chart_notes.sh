#!/usr/bin/env bash
# chart_notes.sh: what Helm prints after an install: commands that fit the objects, and how long Helm has to wait.
# shellcheck disable=SC2016 # jq's variables
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

# The notes are a template like any other: in a copy of the chart an object holds them, because Helm 3 asks a cluster
# before it prints notes.
cp -r "$chart" "$work/chart"
echo 'notes: {{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}' >"$work/chart/templates/notes.yaml"

# notes HELM ARGUMENTS...: to $work/notes
notes() {
  local helm=$1
  shift
  "$tools/$helm" template shop "$work/chart" -n shop --kube-version 1.35.0 "${least[@]}" "$@" -s templates/notes.yaml \
    >"$work/out" 2>"$work/log" || problem "$helm $*: $(cat "$work/log")"
  to_json "$work/out" | jq -r '.[0].notes' >"$work/notes"
}
says() {
  grep -qF -- "$1" "$work/notes" || problem "the notes do not say '$1': $(cat "$work/notes")"
}
says_not() {
  ! grep -qF -- "$1" "$work/notes" || problem "the notes say '$1'"
}

for helm in helm3 helm4; do
  notes "$helm"
  says 'Job shop-lockkeeper in the namespace shop.'
  says 'kubectl -n shop logs -c migrate'
  says 'state.terminated.message'
  says 'helm upgrade --timeout 5m'
  says_not WARNING
  says_not post
  ! grep -E '.{200}' "$work/notes" || problem "lines of more than 200 characters"
  # The label selector of the commands finds the pods.
  render "$helm" shop "${least[@]}" >"$work/job.yaml"
  to_json "$work/job.yaml" >"$work/job.json"
  selector=$(grep -oE -m 1 -- '-l [^ ]+' "$work/notes" | cut -c 4-)
  expect "$selector" "$work/job.json" \
    '.[0].spec.template.metadata.labels as $labels | all($selector | split(",")[] | split("="); $labels[.[0]] == .[1])' \
    --arg selector "$selector"
  notes "$helm" --set deadline=29m,job.activeDeadlineSeconds=1800
  says 'helm upgrade --timeout 31m'
  notes "$helm" --set job.activeDeadlineSeconds=275
  says 'helm upgrade --timeout 6m'
  notes "$helm" --set 'phases={pre,post}'
  says 'Lockkeeper ran before this release, and again after it.'
  says 'Job shop-lockkeeper-post in the namespace shop.'
  says 'app.kubernetes.io/component=migrate-post'
  notes "$helm" --set mode=argocd
  says 'WARNING: mode is argocd, and this is Helm'
  notes "$helm" --set mode=job
  says 'Helm does not wait for it'
  says 'Job shop-lockkeeper-<hash> in'
  notes "$helm" --set prometheusRule.enabled=true
  says 'set prometheusRule.labels'
  notes "$helm" --set prometheusRule.enabled=true,prometheusRule.labels.release=x
  says_not 'prometheusRule'
  notes "$helm" --set migrations.source=imageVolume,migrations.imageVolume.reference=x:1 --kube-version 1.33.0
  says 'need the feature gate ImageVolume'
  notes "$helm" --set enabled=false
  [[ -z $(tr -d '[:space:]' <"$work/notes") ]] || problem "notes of what is switched off: $(cat "$work/notes")"
done

# Helm itself prints them. Only Helm 4 tries an install without a cluster.
"$tools/helm4" install shop "$chart" -n shop --dry-run=client "${least[@]}" 2>"$work/log" |
  sed '1,/^NOTES:$/d' >"$work/notes" || problem "helm4 install: $(cat "$work/log")"
says 'Job shop-lockkeeper in the namespace shop.'
finish
