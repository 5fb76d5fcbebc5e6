#!/usr/bin/env bash
# chart_lint.sh: the chart as files: helm lint --strict with every ci values, YAML, JSON, alerts, versions, the package.
# shellcheck disable=SC2016 # jq's variables
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

for helm in helm3 helm4; do
  "$tools/$helm" lint --strict "$chart" >"$work/lint" 2>&1 || problem "$helm lint: $(cat "$work/lint")"
  for name in $(ci_files); do
    "$tools/$helm" lint --strict --kube-version 1.35.0 "$chart" -f "$chart/ci/$name-values.yaml" >"$work/lint" 2>&1 ||
      problem "$helm lint $name: $(cat "$work/lint")"
    ! grep -q 'is not set\|[Ff]ail:' "$work/lint" || problem "$helm lint $name: $(cat "$work/lint")"
  done
done

yamllint --strict -c "$root/.yamllint" "$chart/Chart.yaml" "$chart/values.yaml" "$chart"/ci/*.yaml "$chart"/files/*.yaml ||
  problem "yamllint"
jq -e . "$chart/values.schema.json" >/dev/null || problem "values.schema.json is no JSON"
expect "the dashboard has panels with queries" "$chart/files/dashboard.json" \
  '[.panels[] | select(.targets) | select(all(.targets[]; .expr | contains("lockkeeper_")))] | length >= 6'

promtool check rules "$chart/files/rules.yaml" >"$work/rules" 2>&1 || problem "promtool: $(cat "$work/rules")"
# Metrics in alerts and dashboard are metrics that the binary has; tests/sre/dashboard_queries.sh looks at the dashboard's
# queries in full.
grep -oE '\| `lockkeeper_[a-z_]+' "$root/docs/metrics.md" | tr -d '|` ' | sort -u >"$work/known"
[[ -s $work/known ]] || problem "docs/metrics.md lists no metrics"
grep -ohE '\blockkeeper_[a-z_]+' "$chart/files/rules.yaml" "$chart/files/dashboard.json" | grep -v '^lockkeeper_history_' |
  sort -u | comm -23 - "$work/known" | grep . && problem "these metrics do not exist"

version=$(sed -nE 's/^project\(lockkeeper VERSION ([0-9.]+).*/\1/p' "$root/CMakeLists.txt")
to_json "$chart/Chart.yaml" >"$work/chart.json"
expect "appVersion is the project's version" "$work/chart.json" '.[0].appVersion == $version' --arg version "$version"
expect "Artifact Hub's annotations are YAML in text" "$work/chart.json" \
  '.[0].annotations | .["artifacthub.io/category"] == "database" and .["artifacthub.io/license"] == "Apache-2.0"'
jq -r '.[0].annotations["artifacthub.io/changes"]' "$work/chart.json" | to_json >"$work/changes.json"
expect "changes" "$work/changes.json" \
  'all(.[0][]; (.kind | IN("added", "changed", "deprecated", "removed", "fixed", "security")) and (.description | length > 10))'

for helm in helm3 helm4; do
  mkdir "$work/$helm"
  "$tools/$helm" package "$chart" -d "$work/$helm" >/dev/null
  tar -tzf "$work/$helm"/lockkeeper-*.tgz | sed 's|^lockkeeper/||' | sort >"$work/$helm/list"
  ! grep '^ci/' "$work/$helm/list" || problem "$helm package takes ci/ along"
  for file in Chart.yaml README.md values.yaml values.schema.json templates/NOTES.txt files/rules.yaml; do
    grep -qxF "$file" "$work/$helm/list" || problem "$helm package leaves $file out"
  done
  "$tools/$helm" template shop "$work/$helm"/lockkeeper-*.tgz "${least[@]}" >/dev/null || problem "$helm: the package does not render"
done
finish
