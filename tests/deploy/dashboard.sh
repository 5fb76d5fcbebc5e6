#!/usr/bin/env bash
# dashboard.sh: the dashboard by Grafana's own types, and as the chart renders it; that dashboard.mjs finds what is wrong.
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"
dashboard=$chart/files/dashboard.json

node "$root/tests/deploy/dashboard.mjs" "$dashboard" || problem "$dashboard is not a dashboard"

# breaks MESSAGE FILTER: a dashboard that is changed so is refused with this message; `refused` looks at all of them.
messages=() filters=()
breaks() {
  messages+=("$1") filters+=("$2")
  jq "$2" "$dashboard" >"$work/broken-${#filters[@]}.json"
}
refused() {
  local i
  ! node "$root/tests/deploy/dashboard.mjs" "$work"/broken-*.json 2>"$work/log" || problem "dashboard.mjs takes all"
  for ((i = 1; i <= ${#filters[@]}; i++)); do
    grep -F "/broken-$i.json: " "$work/log" | grep -qF -- "${messages[i - 1]}" ||
      problem "${filters[i - 1]}: not '${messages[i - 1]}' but $(grep -F "/broken-$i.json: " "$work/log")"
  done
}
breaks '.schemaVersion: is missing' 'del(.schemaVersion)'
breaks '.colour: unknown field' '.colour = "red"'
breaks '.graphTooltip: must be one of' '.graphTooltip = 7'
breaks '.templating.list[1].multi: must be' '.templating.list[1].multi = "yes"'
breaks '.options.colorMode: must be one of' '(.panels[] | select(.type == "stat")).options.colorMode = "loud"'
breaks '.fieldConfig.defaults.custom.lineWidth: must be' \
  '(.panels[] | select(.type == "timeseries")).fieldConfig.defaults.custom.lineWidth = "2"'
breaks '.fieldConfig.defaults.units: unknown field' \
  '(.panels[] | select(.type == "stat")).fieldConfig.defaults.units = "s"'
breaks '.mappings[0]' '(.panels[] | select(.type == "state-timeline")).fieldConfig.defaults.mappings[0].type = "values"'
breaks 'unknown field or type' '(.panels[] | select(.targets)).targets[0].query = "up"'
breaks 'custom.cellOption: unknown field' '(.panels[] | select(.type == "table")).fieldConfig.overrides +=
  [{matcher: {id: "byName", options: "a"}, properties: [{id: "custom.cellOption", value: 1}]}]'
breaks 'has no description' '(.panels[] | select(.targets)).description = ""'
breaks ' lies on ' '.panels[2].gridPos.x = 1'
breaks ' twice' '.panels[2].id = 1'
breaks 'no types are loaded for pie' '.panels[1].type = "pie"'

refused

# As rendered: the same JSON; with the address of the runbooks in place of their path.
for url in '' https://runbooks.example.com/lockkeeper/; do
  render helm4 shop "${least[@]}" --set dashboard.enabled=true --set-string prometheusRule.runbookUrl="$url" \
    -s templates/configmap-dashboard.yaml >"$work/map.yaml"
  to_json "$work/map.yaml" | jq '.[0]' >"$work/map.json"
  jq -j '.data[]' "$work/map.json" >"$work/rendered.json"
  sed "s|docs/runbooks/|${url:-docs/runbooks/}|g" "$dashboard" | diff - "$work/rendered.json" >"$work/log" ||
    problem "the chart renders another dashboard: $(head -n 5 "$work/log")"
  expect "the sidecar's label" "$work/map.json" '.metadata.labels.grafana_dashboard == "1"'
done

# Each runbook that a panel names is there.
grep -oE 'docs/runbooks/[a-z]+\.md' "$dashboard" | sort -u >"$work/runbooks"
[[ -s $work/runbooks ]] || problem "no panel names a runbook"
while read -r runbook; do
  [[ -e $root/$runbook ]] || problem "there is no $runbook"
done <"$work/runbooks"
finish
