#!/usr/bin/env bash
# chart_umbrella.sh: the chart as a dependency, three times in one release (plain and with two aliases): nothing collides,
# each can be switched off, and the application's pod waits for each of them.
# shellcheck disable=SC2016 # jq's variables
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

# umbrella HELM RELEASE FILE ARGUMENTS...: renders it to FILE and FILE.json.
umbrella() {
  local helm=$1 release=$2 file=$3
  shift 3
  "$tools/$helm" template "$release" "$work/$helm" --namespace shop --kube-version 1.35.0 "$@" >"$file" &&
    to_json "$file" >"$file.json"
}

for helm in helm3 helm4; do
  cp -r "$here/umbrella" "$work/$helm"
  sed -i "s|file://.*|file://$chart|" "$work/$helm/Chart.yaml"
  "$tools/$helm" dependency build "$work/$helm" >"$work/log" 2>&1 || problem "$helm dependency build: $(cat "$work/log")"

  for mode in helm argocd job; do
    out=$work/$helm-$mode.yaml
    umbrella "$helm" shop "$out" --set "lockkeeper.mode=$mode,orders-db.mode=$mode,billing_db.mode=$mode" ||
      problem "$helm, mode $mode"
    expect "$helm $mode: four Jobs" "$out.json" '[.[] | select(.kind == "Job")] | length == 4'
    expect "$helm $mode: names are unique" "$out.json" '[.[] | "\(.kind)/\(.metadata.name)"] | length == (unique | length)'
    # A Job or policy of one database does not match the pods of another, nor those of the application.
    expect "$helm $mode: selectors match their own pods" "$out.json" '
      [.[] | select(.kind == "NetworkPolicy") | .spec.podSelector.matchLabels] as $policies
      | [.[] | select(.spec.template) | .spec.template.metadata.labels] as $pods
      | ($policies | length) == 2 and ($pods | length) == 5
        and all($policies[]; . as $want | [$pods[] | select(contains($want))] | length | IN(1, 2))
        and all($pods[]; . as $labels | [$policies[] | select(. as $want | $labels | contains($want))] | length <= 1)'
    expect "$helm $mode: the application waits for each database" "$out.json" '
      .[] | select(.kind == "Deployment").spec.template.spec
      | ([.initContainers[].name] == ["wait-for-schema", "orders-db-copy-migrations", "wait-for-schema-orders-db",
                                      "wait-for-schema-billing-db"])
        and all(.initContainers[] | select(.name | startswith("wait")); .args == ["wait"])
        and ([.volumes[].name] == ["orders-db-credentials", "orders-db-migrations", "billing-db-migrations"])
        and (([.initContainers[].volumeMounts[]?.name] | unique) - [.volumes[].name] == [])'
    expect "$helm $mode: the containers that wait are hardened" "$out.json" '
      all(.[] | select(.kind == "Deployment").spec.template.spec.initContainers[].securityContext;
          .runAsNonRoot and .readOnlyRootFilesystem and .capabilities.drop == ["ALL"] and .runAsUser == 65532
          and .allowPrivilegeEscalation == false and .seccompProfile.type == "RuntimeDefault")'
    expect "$helm $mode: the one with a direct URL waits with the other" "$out.json" '
      [.[] | select(.kind == "Job" or .kind == "Deployment").spec.template.spec | (.containers + (.initContainers // []))[]
       | select(any(.env[]?; .valueFrom.secretKeyRef.name == "billing-db"))
       | {name, key: .env[0].valueFrom.secretKeyRef.key, role: any(.env[]; .name == "LOCKKEEPER_ROLE")}] | sort_by(.name)
      == [{name: "migrate", key: "DIRECT_URL", role: true}, {name: "wait-for-schema-billing-db", key: "DATABASE_URL", role: false}]'
    expect "$helm $mode: waiting has its own limit, not that of the Job" "$out.json" '
      .[] | select(.kind == "Deployment").spec.template.spec.initContainers[] | select(.name == "wait-for-schema-orders-db").env
      | any(.name == "LOCKKEEPER_TIMEOUT" and .value == "5m") and all(.name != "LOCKKEEPER_DEADLINE")'
    expect "$helm $mode: null takes an annotation away" "$out.json" '
      .[] | select(.kind == "Job" and (.metadata.name | test("^shop-lockkeeper(-[0-9a-f]{8})?$"))).spec.template.metadata.annotations
      | keys == ["cluster-autoscaler.kubernetes.io/safe-to-evict"]'
    jq -r -f "$here/pod_security.jq" --argjson openshift false --argjson automount false "$out.json" >"$work/wrong"
    [[ ! -s $work/wrong ]] || problem "$helm $mode: $(cat "$work/wrong")"
  done
  node "$root/tests/deploy/validate.mjs" "$work/$helm"-*.yaml || problem "$helm: objects that Kubernetes does not know"

  # Switched off: by the condition, all and one by one; and by `enabled` alone.
  off=lockkeeper.enabled=false,orders-db.enabled=false,billing_db.enabled=false
  umbrella "$helm" shop "$work/off.yaml" --set "$off" || problem "$helm: all switched off"
  expect "$helm: all switched off" "$work/off.yaml.json" \
    'length == 1 and (.[0].spec.template.spec | .initContainers == null and .volumes == null)'
  umbrella "$helm" shop "$work/off.yaml" --set orders-db.enabled=false || problem "$helm: one switched off"
  expect "$helm: one switched off" "$work/off.yaml.json" \
    '[.[] | select(.kind == "Deployment").spec.template.spec.initContainers[].name] == ["wait-for-schema", "wait-for-schema-billing-db"]'
  cp -r "$work/$helm" "$work/$helm-plain"
  sed -i '/condition:/d' "$work/$helm-plain/Chart.yaml"
  "$tools/$helm" template shop "$work/$helm-plain" --set "$off" >"$work/off.yaml" || problem "$helm: switched off without a condition"
  ! grep -q 'kind: Job\|wait-for' "$work/off.yaml" || problem "$helm: switched off without a condition, and something is there"

  # Without `with`, a dependency that is switched off says so.
  sed -i 's/{{- with .Subcharts.lockkeeper }}/{{- with $ }}/; s/waitInitContainer" \. | nindent 8/waitInitContainer" .Subcharts.nothing | nindent 8/' \
    "$work/$helm-plain/templates/deployment.yaml"
  if "$tools/$helm" template shop "$work/$helm-plain" >/dev/null 2>"$work/log"; then
    problem "$helm: an init container without a subchart"
  fi
  grep -qF 'lockkeeper.waitInitContainer: there is no such subchart' "$work/log" || problem "$helm: $(cat "$work/log")"

  # Values are checked under each name.
  if umbrella "$helm" shop "$work/bad.yaml" --set orders-db.databse.key=x 2>"$work/log"; then
    problem "$helm: a key that does not exist"
  fi
  grep -q "orders-db" "$work/log" || problem "$helm: $(cat "$work/log")"
  grep -q "databse" "$work/log" || problem "$helm: $(cat "$work/log")"

  # The longest release name: cut names stay valid and different.
  long="release-with-a-name-as-long-as-helm-lets-it-be-123456"
  for mode in helm job; do
    umbrella "$helm" "$long" "$work/long.yaml" --set "lockkeeper.mode=$mode,orders-db.mode=$mode,billing_db.mode=$mode" ||
      problem "$helm: $long"
    expect "$helm $mode: long names" "$work/long.yaml.json" '
      ([.[].metadata.name] | all(length <= 63 and test("^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")))
      and ([.[] | "\(.kind)/\(.metadata.name)"] | length == (unique | length))
      and ([.. | objects | .labels?, .matchLabels? | values | .[] | strings] | all(length <= 63))'
  done
done
finish
