#!/usr/bin/env bash
# chart_render.sh: every ci values in every mode, with both helms: the same text, objects that Kubernetes knows, names that
# are unique, hardened pods, the annotations of one mode and no other; and what was rendered last time.
# LOCKKEEPER_UPDATE_GOLDEN=1 writes tests/deploy/chart/golden anew.
# shellcheck disable=SC2016 # jq's variables
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

# mode-name of what is compared with a file: everything in mode helm, and in the others what differs there.
golden_in_other_modes=(argocd-default argocd-argocd-sync argocd-inline argocd-metrics job-default job-phases job-inline)

mkdir "$work/helm3" "$work/helm4"
wanted=()
for name in $(ci_files); do
  for mode in helm argocd job; do
    # Values that are about a mode belong to it.
    case $name in argocd* | job) [[ $name == "$mode"* ]] || continue ;; esac
    file=$mode-$name.yaml
    render helm3 shop -f "$chart/ci/$name-values.yaml" --set "mode=$mode" >"$work/helm3/$file" &
    render helm4 shop -f "$chart/ci/$name-values.yaml" --set "mode=$mode" >"$work/helm4/$file" || problem "helm4: $file"
    wait $! || problem "helm3: $file"
    cmp -s "$work/helm3/$file" "$work/helm4/$file" ||
      problem "$file: Helm 3 and 4 differ: $(diff "$work/helm3/$file" "$work/helm4/$file" | head -n 20)"
    to_json "$work/helm4/$file" >"$work/$file.json" || problem "$file: not YAML"
    grep -nE '^[[:space:]]+$' "$work/helm4/$file" && problem "$file: lines of spaces"

    jq -r -f "$here/modes.jq" --arg mode "$mode" --argjson jobs "$(grep -q '^phases: .*post' "$chart/ci/$name-values.yaml" && echo 2 || echo 1)" \
      "$work/$file.json" >"$work/wrong"
    jq -r -f "$here/pod_security.jq" --argjson openshift "$([[ $name == openshift ]] && echo true || echo false)" \
      --argjson automount "$([[ $name == everything ]] && echo true || echo false)" "$work/$file.json" >>"$work/wrong"
    [[ ! -s $work/wrong ]] || problem "$file: $(cat "$work/wrong")"

    if [[ $mode == helm || " ${golden_in_other_modes[*]} " == *" $mode-$name "* || $name == argocd* || $name == job ]]; then
      wanted+=("$file")
      if [[ ${LOCKKEEPER_UPDATE_GOLDEN:-} == 1 ]]; then
        cp "$work/helm4/$file" "$golden/$file"
      elif [[ ! -e $golden/$file ]]; then
        problem "$file: there is no $golden/$file; LOCKKEEPER_UPDATE_GOLDEN=1 writes it"
      else
        diff -u "$golden/$file" "$work/helm4/$file" ||
          problem "$file: not as in tests/deploy/chart/golden; LOCKKEEPER_UPDATE_GOLDEN=1 writes it, then read the difference"
      fi
    fi
  done
done

for file in "$golden"/*; do
  [[ " ${wanted[*]} " == *" ${file##*/} "* ]] || problem "$file: nothing renders this"
done

node "$root/tests/deploy/validate.mjs" "$work"/helm4/*.yaml || problem "objects that Kubernetes does not know"
yamllint --strict -c "$here/rendered-yamllint.yaml" "$work/helm4" || problem "yamllint"

# A sidecar is hardened like the rest, unless it says otherwise; it cannot stop being one.
render helm4 shop "${least[@]}" --set-json \
  'sidecars=[{"name":"a","image":"a:1"},{"name":"b","image":"b:1","restartPolicy":"Never","securityContext":{"readOnlyRootFilesystem":false}}]' \
  >"$work/sidecars.yaml"
to_json "$work/sidecars.yaml" >"$work/sidecars.json"
expect "sidecars" "$work/sidecars.json" '.[0].spec.template.spec.initContainers | all(.[]; .restartPolicy == "Always")
  and .[0].securityContext.readOnlyRootFilesystem and .[1].securityContext == {readOnlyRootFilesystem: false}'

# What initCopy runs: everything under the directory, through links, as a volume of Kubernetes lays it out.
mkdir -p "$work/app/..1/1_a" "$work/copy"
echo 'SELECT 1;' >"$work/app/..1/1_a/up.sql"
ln -s ..1 "$work/app/..data"
ln -s ..data/1_a "$work/app/1_a"
ln -s app "$work/linked app"
script=$(jq -r '.[] | select(.kind == "Job").spec.template.spec.initContainers[0].command | .[2]' "$work/helm-init-copy.yaml.json")
sh -c "${script//\/copy-of-migrations/$work/copy}" sh "$work/linked app" || problem "initCopy: $script"
[[ $(cat "$work/copy/1_a/up.sql") == 'SELECT 1;' && ! -L $work/copy/1_a ]] || problem "initCopy copied $(find "$work/copy")"

# The alerts as rendered, on series such as Lockkeeper and kube-state-metrics have them. What each does in time:
# tests/sre. Here: whose series they look at, and that each value of prometheusRule arrives.
render helm4 shop -f "$chart/ci/observability-values.yaml" --set settings.metrics_namespace=databases,settings.metrics_job=ddl \
  >"$work/rule.yaml"
to_json "$work/rule.yaml" | jq '.[] | select(.kind == "PrometheusRule").spec' >"$work/rules.json"
to_json "$chart/files/rules.yaml" | jq '.[0]' >"$work/all-rules.json"
expect "one alert less" "$work/rules.json" '.groups[0].rules | map(.alert) == ($all[0].groups[0].rules | map(.alert) - ["SchemaAhead"])' \
  --slurpfile all "$work/all-rules.json"
expect "labels" "$work/rules.json" '.groups[0].rules | all(.[]; .labels.team == "shop")
  and (map(.labels.severity) | unique) == ["page", "warning"]'
expect "runbooks" "$work/rules.json" '.groups[0].rules | all(.[];
  .annotations.runbook_url == "https://runbooks.example.com/lockkeeper/\(.alert | ascii_downcase).md")'
cat >"$work/rules_test.yaml" <<'RULES'
rule_files: [rules.json]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'lockkeeper_last_run_exit_code{job="ddl", namespace="databases", database="shop"}', values: '0 12 12 0'}
      - {series: 'lockkeeper_last_run_exit_code{namespace="elsewhere", database="shop"}', values: '12x3'}
      - {series: 'kube_job_failed{namespace="shop", job_name="shop-lockkeeper-post-0a1b2c3d", condition="true"}', values: '0 1 1 0'}
      - {series: 'kube_job_failed{namespace="shop", job_name="shop-lockkeeper-archive", condition="true"}', values: '1x3'}
      - {series: 'kube_job_failed{namespace="elsewhere", job_name="shop-lockkeeper", condition="true"}', values: '1x3'}
      - {series: 'lockkeeper_run_started_timestamp_seconds{namespace="databases", database="shop"}', values: '0x70'}
      - {series: 'lockkeeper_run_heartbeat_timestamp_seconds{namespace="databases", database="shop"}', values: '0+60x70'}
      - {series: 'lockkeeper_run_in_progress{namespace="databases", database="shop"}', values: '1x70'}
      - {series: 'lockkeeper_lock_wait_seconds{namespace="databases", database="shop"}', values: '120 121 120x70'}
      - {series: 'lockkeeper_migrations_pending{namespace="databases", database="stuck"}', values: '1x70'}
      - {series: 'push_failure_time_seconds{job="ddl", namespace="databases", database="shop"}', values: '2 2'}
      - {series: 'push_time_seconds{job="ddl", namespace="databases", database="shop"}', values: '1 3'}
      - {series: 'push_failure_time_seconds{job="lockkeeper", namespace="databases", database="shop"}', values: '2 2'}
      - {series: 'push_time_seconds{job="lockkeeper", namespace="databases", database="shop"}', values: '1 1'}
    alert_rule_test:
      - {eval_time: 0m, alertname: MigrationFailed}
      - {eval_time: 0m, alertname: MigrationJobFailed}
      - eval_time: 1m
        alertname: MigrationFailed
        exp_alerts:
          - exp_labels: {severity: page, team: shop, class: fatal, job: ddl, namespace: databases, database: shop}
            exp_annotations: {summary: The migration of the database shop in databases failed with exit code 12.}
      - eval_time: 1m
        alertname: MigrationJobFailed
        exp_alerts:
          - exp_labels: {severity: page, team: shop, namespace: shop, job_name: shop-lockkeeper-post-0a1b2c3d, condition: "true"}
            exp_annotations: {summary: The migration Job shop-lockkeeper-post-0a1b2c3d in shop failed.}
      - {eval_time: 3m, alertname: MigrationFailed}
      - {eval_time: 3m, alertname: MigrationJobFailed}
      - {eval_time: 4m, alertname: MigrationRunningTooLong}
      - eval_time: 5m
        alertname: MigrationRunningTooLong
        exp_alerts:
          - exp_labels: {severity: warning, team: shop, namespace: databases, database: shop}
            exp_annotations: {summary: A migration run on the database shop in databases has been running for 5m 0s.}
      - {eval_time: 0m, alertname: MigrationLockWaitHigh}
      - eval_time: 1m
        alertname: MigrationLockWaitHigh
        exp_alerts:
          - exp_labels: {severity: warning, team: shop, namespace: databases, database: shop}
            exp_annotations: {summary: A migration run on the database shop in databases waited 2m 1s for the migration lock.}
      - {eval_time: 59m, alertname: SchemaPending}
      - eval_time: 60m
        alertname: SchemaPending
        exp_alerts:
          - exp_labels: {severity: warning, team: shop, namespace: databases, database: stuck}
            exp_annotations: {summary: "Pending migrations on the database stuck in databases: 1, and no run is at work."}
      - eval_time: 0m
        alertname: MetricsPushFailing
        exp_alerts:
          - exp_labels: {severity: warning, team: shop, job: ddl, namespace: databases, database: shop}
            exp_annotations: {summary: The Pushgateway refuses the metrics of the database shop in databases.}
      - {eval_time: 1m, alertname: MetricsPushFailing}
RULES
jq 'del(.groups[].rules[].annotations | .description, .runbook_url)' "$work/rules.json" >"$work/rules.new" && mv "$work/rules.new" "$work/rules.json"
promtool test rules "$work/rules_test.yaml" >"$work/log" 2>&1 || problem "alerts: $(cat "$work/log")"

# With no values of one's own they are those of files/rules.yaml, but for whose series they look at.
render helm4 shop "${least[@]}" --set prometheusRule.enabled=true -s templates/prometheusrule.yaml >"$work/rule.yaml"
to_json "$work/rule.yaml" | jq '.[0].spec' >"$work/rules.json"
expect "defaults are those of files/rules.yaml" "$work/rules.json" '
  def anywhere: walk(if type == "object" and has("expr")
    then .expr |= gsub("namespace=~?\"[^\"]*\""; "namespace") | .expr |= gsub("job_name=~\"[^\"]*\""; "job_name") else . end);
  anywhere == ($all[0] | anywhere)' --slurpfile all "$work/all-rules.json"

# A run that gives fewer signs of life is missed later.
for interval in 15s:60 1m:240 500ms:60; do
  render helm4 shop "${least[@]}" --set prometheusRule.enabled=true,settings.metrics_interval=${interval%:*} \
    -s templates/prometheusrule.yaml >"$work/rule.yaml"
  to_json "$work/rule.yaml" >"$work/rule.json"
  expect "metrics_interval ${interval%:*}" "$work/rule.json" '[.[0].spec.groups[0].rules[].expr | scan("heartbeat[^}]*} (?:<|>=) [0-9]+")
    | sub(".* "; "")] | sort == ([$seconds, $seconds, $seconds, "3600"] | sort)' --arg seconds "${interval#*:}"
done

# The port of the policy follows the database's.
for ports in 5432: 5433:database.port=5433 '6543 5432:networkPolicy.database.ports={6543,5432}' '5432 5433:database.port=5432\,5433'; do
  render helm4 shop "${least[@]}" --set networkPolicy.enabled=true,database.host=db,database.name=shop --set "${ports#*:}" \
    -s templates/networkpolicy.yaml >"$work/policy.yaml"
  to_json "$work/policy.yaml" >"$work/policy.json"
  expect "ports ${ports%%:*}" "$work/policy.json" '[.[0].spec.egress[0].ports[].port] | join(" ") == $ports' --arg ports "${ports%%:*}"
done

# Helm takes the annotations as they are meant. Only Helm 4 tries an install without a cluster.
"$tools/helm4" install shop "$chart" --dry-run=client -o json -f "$chart/ci/everything-values.yaml" >"$work/release.json" 2>"$work/log" ||
  problem "helm4 install: $(cat "$work/log")"
expect "what Helm 4 makes of the annotations" "$work/release.json" '[.hooks[] | {name, events, weight, delete_policies, output_log_policies}]
  == [{name: "shop-schema", events: ["pre-install", "pre-upgrade"], weight: -5,
       delete_policies: ["before-hook-creation", "hook-succeeded"], output_log_policies: ["hook-failed", "hook-succeeded"]}]'

# What modes.jq finds: the annotations of another mode, a TTL where none may be, a name without a hash, a wrong order.
for other in helm argocd job; do
  for mode in helm argocd job; do
    jq -r -f "$here/modes.jq" --arg mode "$other" --argjson jobs 1 "$work/$mode-metrics.yaml.json" >"$work/wrong"
    if [[ $mode == "$other" ]]; then
      [[ ! -s $work/wrong ]] || problem "modes.jq, $mode: $(cat "$work/wrong")"
    else
      [[ $(wc -l <"$work/wrong") -ge 2 ]] || problem "modes.jq takes $mode for $other"
    fi
  done
done
jq '.[0].metadata.annotations["helm.sh/hook-weight"] = "0"' "$work/helm-metrics.yaml.json" |
  jq -r -f "$here/modes.jq" --arg mode helm --argjson jobs 1 | grep -q '^what the Job needs' || problem "modes.jq: weights"
jq '.[1].metadata.annotations["helm.sh/hook-delete-policy"] = "hook-failed"' "$work/helm-metrics.yaml.json" |
  jq -r -f "$here/modes.jq" --arg mode helm --argjson jobs 1 | grep -q '^a failed Job' || problem "modes.jq: delete policy"

# Without hooks only mode job has a Job; switched off there is nothing.
for helm in helm3 helm4; do
  render "$helm" shop "${least[@]}" --no-hooks >"$work/nothing" || problem "$helm --no-hooks"
  ! grep -q . "$work/nothing" || problem "$helm --no-hooks: mode helm renders something else than hooks"
  render "$helm" shop "${least[@]}" --set mode=job --no-hooks | to_json >"$work/no-hooks.json"
  expect "$helm --no-hooks in mode job" "$work/no-hooks.json" 'length == 1 and .[0].kind == "Job"'
  render "$helm" shop --set enabled=false >"$work/nothing" || problem "$helm: enabled=false needs values"
  ! grep -q . "$work/nothing" || problem "$helm: enabled=false renders something"
done
finish
