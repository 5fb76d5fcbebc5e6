#!/usr/bin/env bash
# rules.sh BINARY: the alerts as files: promtool accepts them, they fire when they should and not otherwise
# (rules_test.yaml), the manifests have the same ones, each has its runbook and each runbook its alert, and the
# commands, queries and options in the runbooks exist. LOCKKEEPER_UPDATE_GOLDEN=1 writes deploy/k8s/components/alerts
# anew.
# shellcheck disable=SC2016 # marks of Markdown
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd)
lockkeeper=${1:?the binary}
rules=$repo/deploy/helm/lockkeeper/files/rules.yaml
component=$repo/deploy/k8s/components/alerts/prometheus-rule.yaml
runbooks=$repo/docs/runbooks
work=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-rules.XXXXXX")
trap 'rm -rf "$work"' EXIT
command -v promtool >/dev/null || {
  echo "promtool is missing: scripts/install-packages.sh test" >&2
  exit 1
}

failures=0
problem() {
  printf 'FAIL: %s\n' "$*" >&2
  failures=$((failures + 1))
}

# --- the rules
# In 2.42 a warning of promtool is text only: a rule that is there twice, for instance.
promtool check rules "$rules" >"$work/log" 2>&1 || problem "promtool check rules: $(<"$work/log")"
! grep -qi 'duplicate' "$work/log" || problem "promtool check rules: $(<"$work/log")"
mapfile -t alerts < <(sed -nE 's/^ *- alert: //p' "$rules" | sort -u)
((${#alerts[@]} >= 10)) || problem "only these alerts: ${alerts[*]}"
for what in alert: expr: severity: summary: description: runbook_url:; do
  [[ $(grep -cE "^ *(- )?$what" "$rules") == $(grep -c -- '- alert:' "$rules") ]] || problem "a rule without $what"
done
wrong=$(sed -nE 's/^ *severity: //p' "$rules" | grep -vxE 'critical|warning|info' || true)
[[ -z $wrong ]] || problem "severity: $wrong"

# --- they fire when they should. promtool compares annotations to the letter, so they go: what they say on a real
# server, see alerts_end_to_end.sh.
without_annotations() {
  awk '/^ *annotations:/ {skip = match($0, /[^ ]/); next}
       skip && match($0, /[^ ]/) > skip {next}
       {skip = 0; print}' "$1"
}
cp "$here/rules_test.yaml" "$work"
fires() { (cd "$work" && promtool test rules rules_test.yaml) >"$work/log" 2>&1; }
without_annotations "$rules" >"$work/rules.yaml"
fires || problem "promtool test rules: $(<"$work/log")"

# The tests notice every change: a rule that is gone, a limit, a time, a side of an expression.
changed() {
  without_annotations "$rules" | sed -E "$1" >"$work/rules.yaml"
  ! cmp -s "$work/rules.yaml" <(without_annotations "$rules") || problem "this changes nothing: $1"
  ! fires || problem "the tests do not notice: $1"
}
for alert in "${alerts[@]}"; do
  changed "s/alert: $alert$/alert: Another/"
done
for change in 's/> 1 < 30/> 1 < 29/' 's/> 1 < 30/> 2 < 30/' 's/>= 30 or/> 30 or/' \
  's/ or lockkeeper_last_run_exit_code.* == 1//' 's/for: 5m/for: 4m/' 's/for: 5m/for: 6m/' 's/condition="true", //' \
  's/\(\.\+-\)\?/.*/' 's/\(-\.\+\)\?"/"/' 's/> 900/>= 900/' 's/> 900/> 1000/' 's/\} < 60$/} < 999999/' \
  's/>= 60$/> 60/' 's/>= 60$/>= 59/' '/in_progress.* == 1$/s/ == 1/ == 0/' 's/for: 1m/for: 0s/' 's/> 60$/>= 60/' \
  's/> 60$/> 61/' 's/< 3600/< 3540/' 's/< 3600/< 9999/' 's/< 60\)/< 59999)/' 's/pending(.*) > 0/pending\1 > 1/' \
  's/for: 15m/for: 16m/' 's/for: 15m/for: 14m/' 's/job="lockkeeper"/job=~".*"/' \
  's/namespace=~"\.\*"/namespace="a"/' 's/unless on \(namespace, database\) .*/or vector(0) == 1/' 's/\(cnpg_\)\?//' \
  's/source: history/source: other/' 's/(attempt_failed"\}) == 1/\1 >= 0/' 's/(migrations_pending"\}) > 0/\1 > 2/' \
  's/(half_done"\}) > 0/\1 >= 0/'; do
  changed "$change"
done

# --- the manifests have the same rules
{
  cat <<'YAML'
# The same rules as deploy/helm/lockkeeper/files/rules.yaml, from which LOCKKEEPER_UPDATE_GOLDEN=1 tests/sre/rules.sh
# writes this file.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: lockkeeper
spec:
YAML
  sed -n '/^groups:/,$s/^/  /p' "$rules"
} >"$work/component.yaml"
if [[ ${LOCKKEEPER_UPDATE_GOLDEN:-} == 1 ]]; then
  cp "$work/component.yaml" "$component"
fi
diff -u "$component" "$work/component.yaml" ||
  problem "$component is not $rules; LOCKKEEPER_UPDATE_GOLDEN=1 writes it"

# --- the chart knows the same alerts, to leave some out
jq -r '.properties.prometheusRule.properties.disabled.items.enum[]' "$repo/deploy/helm/lockkeeper/values.schema.json" |
  sort | diff - <(printf '%s\n' "${alerts[@]}") ||
  problem 'values.schema.json: prometheusRule.disabled has other alerts'

# --- every alert has its runbook, with four sections, and every runbook its alert
sections=('What it means' 'How to look' 'What to do' 'What not to do')
for alert in "${alerts[@]}"; do
  page=docs/runbooks/${alert,,}.md
  [[ -s $repo/$page ]] || {
    problem "$alert has no $page"
    continue
  }
  [[ $(head -n 1 "$repo/$page") == "# $alert" ]] || problem "$page: the heading is not $alert"
  diff <(printf '## %s\n' "${sections[@]}") <(grep '^## ' "$repo/$page") || problem "$page: other sections"
  awk '/^## / {if (NR > 1 && lines == 0) exit 1; lines = 0; next} NF {lines++} END {exit lines == 0}' "$repo/$page" ||
    problem "$page: an empty section"
  grep -q "](${alert,,}.md)" "$runbooks/README.md" || problem "docs/runbooks/README.md does not list $alert"
  awk -v alert="$alert" '$0 ~ "- alert: "alert"$" {here = 1} here && /runbook_url:/ {print $2; here = 0}' "$rules" |
    sort -u | diff - <(echo "$page") || problem "$alert: another runbook_url"
done
for page in "$runbooks"/*.md; do
  name=$(basename "$page" .md)
  [[ $name == README ]] || grep -qixF -- "$name" <(printf '%s\n' "${alerts[@]}") || problem "$page: no alert has it"
done

# --- what the runbooks say exists. Commands and their options, in code:
grep -ohE '(^ *|`)lockkeeper [a-z]+[^`]*' "$runbooks"/*.md | sort -u >"$work/commands"
(($(wc -l <"$work/commands") >= 10)) || problem "the runbooks name only $(<"$work/commands")"
while read -r _ command rest; do
  "$lockkeeper" "$command" --help >"$work/help" 2>&1 || problem "the runbooks: there is no lockkeeper $command"
  for word in $rest; do
    [[ $word != --* ]] || grep -qE -- "^ +$word( |$)" "$work/help" ||
      problem "the runbooks: lockkeeper $command has no $word"
  done
done <"$work/commands"
# Exit codes: a run can end with each of the classes fatal and retryable.
while read -r code; do
  grep -q "^| $code |" "$runbooks/migrationfailed.md" || problem "migrationfailed.md does not know exit code $code"
done < <(sed -nE 's/^\| ([0-9]+) \| [^ ]+ \| (fatal|retryable) \|.*/\1/p' "$repo/docs/exit-codes.md")

# Queries for Prometheus:
{
  printf 'groups:\n  - name: runbooks\n    rules:\n'
  awk '/^```promql$/ {inside = 1; next} /^```$/ {inside = 0} inside && NF' "$runbooks"/*.md |
    jq -rR '"      - record: a\n        labels: {n: \"\(input_line_number)\"}\n        expr: \(tojson)"'
} >"$work/queries.yaml"
grep -q 'expr:' "$work/queries.yaml" || problem 'no runbook has a query for Prometheus'
promtool check rules "$work/queries.yaml" >"$work/log" 2>&1 || problem "queries of the runbooks: $(<"$work/log")"
# Metrics, in the runbooks and in the alerts: what a run pushes, what the exporter queries give.
{
  grep -oE '\| `lockkeeper_[a-z_]+' "$repo/docs/metrics.md" | tr -d '|` '
  awk -F '[ :]+' '/^[a-z_]+:$/ {query = $1} /^    - [a-z_]+:$/ {print query "_" $3}' \
    "$repo/deploy/helm/lockkeeper/files/queries.yaml"
} | sort -u >"$work/known"
grep -ohE '\blockkeeper_[a-z_]+' "$runbooks"/*.md "$rules" | sort -u | comm -23 - "$work/known" >"$work/unknown"
[[ ! -s $work/unknown ]] || problem "neither in docs/metrics.md nor in queries.yaml: $(tr '\n' ' ' <"$work/unknown")"

((failures == 0)) || {
  echo "$failures failures" >&2
  exit 1
}
echo "${#alerts[@]} alerts"
