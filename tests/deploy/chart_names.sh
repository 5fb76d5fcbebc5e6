#!/usr/bin/env bash
# chart_names.sh: what objects are called. Mode job names a Job after what it runs, because a Job cannot be changed: another
# image or another migration is another Job, the same release again is the same one.
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

# names HELM RELEASE ARGUMENTS...: the names of all objects, one a line.
names() {
  render "$@" >"$work/names.yaml" || echo "does not render: $*"
  to_json "$work/names.yaml" | jq -r '.[].metadata.name'
}
# is WHAT EXPECTED ACTUAL
is() {
  [[ $2 == "$3" ]] || problem "$1: expected $2, got $3"
}

# Rendering alone cannot show a revision, which is always 1 there: nothing that differs from run to run is asked for.
grep -rnE 'Release\.(Revision|IsUpgrade|IsInstall)|\b(now|rand[A-Z][a-zA-Z]*|uuidv4|lookup|genCA)\b' "$chart/templates" &&
  problem "the output may differ from run to run"

for helm in helm3 helm4; do
  is "the chart's name behind the release's" shop-lockkeeper "$(names "$helm" shop "${least[@]}")"
  is "not twice" lockkeeper "$(names "$helm" lockkeeper "${least[@]}")"
  is "not twice" my-lockkeeper-2 "$(names "$helm" my-lockkeeper-2 "${least[@]}")"
  is "nameOverride" shop-schema "$(names "$helm" shop "${least[@]}" --set nameOverride=schema)"
  is "fullnameOverride" schema "$(names "$helm" shop "${least[@]}" --set fullnameOverride=schema)"
  is "phases" $'shop-lockkeeper-post\nshop-lockkeeper' "$(names "$helm" shop "${least[@]}" --set 'phases={pre,post}')"

  job=("${least[@]}" --set mode=job)
  first=$(names "$helm" shop "${job[@]}")
  [[ $first =~ ^shop-lockkeeper-[0-9a-f]{8}$ ]] || problem "the name in mode job: $first"
  is "the same release again" "$first" "$(names "$helm" shop "${job[@]}" --is-upgrade)"
  different=()
  for change in image.tag=1.4.1 image.digest=sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef \
    settings.role=owner deadline=3m podAnnotations.migrations=v2 database.existingSecret=other; do
    different+=("$(names "$helm" shop "${job[@]}" --set "$change")")
  done
  is "each change is a name" 7 "$(printf '%s\n' "$first" "${different[@]}" | sort -u | wc -l)"

  inline=("${job[@]}" --set migrations.source=configMap)
  key='migrations.configMap.inline.1_a/up\.sql'
  one=$(names "$helm" shop "${inline[@]}" --set-string "$key=SELECT 1" | tail -n 1)
  is "the same migrations" "$one" "$(names "$helm" shop "${inline[@]}" --set-string "$key=SELECT 1" | tail -n 1)"
  [[ $one != "$(names "$helm" shop "${inline[@]}" --set-string "$key=SELECT 2" | tail -n 1)" ]] ||
    problem "other migrations, and the same name"

  # A Job's name is a label of its pods: 63 characters, also with the suffixes. Names that begin alike stay apart.
  release="release-with-a-name-as-long-as-helm-lets-it-be-123456"
  for mode in helm job; do
    for chart_name in database-of-orders database-of-bills; do
      names "$helm" "$release" "${least[@]}" --set "mode=$mode,nameOverride=$chart_name,serviceAccount.create=true" \
        --set 'phases={pre,post},networkPolicy.enabled=true,dashboard.enabled=true,exporterQueries.enabled=true'
    done >"$work/long"
    is "all of them" 12 "$(wc -l <"$work/long")"
    is "shorter than 64" "" "$(grep -E '.{64}' "$work/long" || true)"
    # ServiceAccount and NetworkPolicy have one name.
    is "different" 10 "$(sort -u "$work/long" | wc -l)"
  done
done
finish
