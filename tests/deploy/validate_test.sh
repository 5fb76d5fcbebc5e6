#!/usr/bin/env bash
# validate.mjs accepts what is right, and finds each thing that is wrong: once, at its place, and nothing else.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
LOCKKEEPER_DEPLOY_TOOLS=$("$here/../../scripts/fetch-deploy-tools.sh")
export LOCKKEEPER_DEPLOY_TOOLS
work=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-validate.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  printf 'validate_test.sh: %s\n' "$*" >&2
  exit 1
}

cp "$here/data/good.yaml" good.yaml
node "$here/validate.mjs" good.yaml >out 2>&1 || fail "good.yaml is refused: $(<out)"
node "$here/validate.mjs" - <good.yaml >out 2>&1 || fail "good.yaml on standard input is refused: $(<out)"
[[ ! -s out ]] || fail "good.yaml: $(<out)"
documents=$(grep -c '^kind: ' good.yaml)
cp good.yaml again.yaml
node "$here/validate.mjs" --json good.yaml again.yaml >objects.json
[[ $(jq -sc 'map(length)' objects.json) == "[$documents,$documents]" ]] || fail "--json has not all objects"
[[ $(jq -sc '.[0][] | select(.kind == "Job").spec.template.spec
  | [.volumes[1].secret.defaultMode, .containers[0].env[1:][].value]' objects.json) == '[288,"2026-09-01","10:30"]' ]] ||
  fail "octal numbers, dates and times are not read as Kubernetes reads them"

# Each file is good.yaml with one line spoilt: a sed program, and what must be said of it. All in one run: validate.mjs
# takes a second to start.
names=() expected=()
spoil() {
  local name=bad$((${#names[@]} + 1)).yaml
  sed -E "$1" good.yaml >"$name"
  ! cmp -s good.yaml "$name" || fail "this changes nothing: $1"
  names+=("$name") expected+=("$name: document $2")
}
# --- wrong types
spoil 's/backoffLimit: 3/backoffLimit: "3"/' '1: Job/job: .spec.backoffLimit: must be integer'
spoil 's/status: "True"/status: True/' \
  '1: Job/job: .spec.podFailurePolicy.rules[0].onPodConditions[0].status: must be string'
spoil 's/values: \[2, 10\]/values: [2, ten]/' \
  '1: Job/job: .spec.podFailurePolicy.rules[1].onExitCodes.values[1]: must be integer'
spoil 's/value: 2026-09-01/value: 2026/' '1: Job/job: .spec.template.spec.containers[0].env[1].value: must be string'
spoil 's/value: 10:30/value: on/' '1: Job/job: .spec.template.spec.containers[0].env[2].value: must be string'
spoil 's/reference: .*/reference: 1/' '1: Job/job: .spec.template.spec.volumes[0].image.reference: must be string'
spoil 's/fsGroup: 65532/fsGroup: nobody/' '1: Job/job: .spec.template.spec.securityContext.fsGroup: must be integer'
spoil 's/(name: job)$/\1s/; s/(app.kubernetes.io.name): .*/\1: 1/' \
  '1: Job/jobs: .metadata.labels["app.kubernetes.io/name"]: must be string'
spoil 's/key: value/key: 1/' '3: ConfigMap/config: .data.key: must be string'
spoil 's/automountServiceAccountToken: .*/automountServiceAccountToken: "no"/' \
  '5: ServiceAccount/account: .automountServiceAccountToken: must be boolean'
spoil 's/prune: true/prune: "true"/' '9: Kustomization/flux: .spec.prune: must be boolean'
spoil 's/instances: 3/instances: three/' '12: Cluster/cluster: .spec.instances: must be integer'
# --- missing fields
spoil 's/^( *)key: uri$/\1optional: true/' \
  '1: Job/job: .spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef: must have required property key'
spoil 's/^  name: app$/  labels: {}/' '2: Deployment/undefined: .metadata.name: is missing'
# --- misspelt fields
spoil '1,6 s/^metadata:$/&\n  lables: {}/' '1: Job/job: .metadata.lables: unknown field'
spoil 's/^  backoffLimit: 3/  backofLimit: 3/' '1: Job/job: .spec.backofLimit: unknown field'
spoil 's/onExitCodes:/onExitCode:/' '1: Job/job: .spec.podFailurePolicy.rules[1].onExitCode: unknown field'
spoil 's/containerName:/container:/' '1: Job/job: .spec.podFailurePolicy.rules[1].onExitCodes.container: unknown field'
spoil 's/imagePullPolicy:/imagePulPolicy:/' \
  '1: Job/job: .spec.template.spec.containers[0].imagePulPolicy: unknown field'
spoil 's/image: example.com\/proxy:1/&\n          comand: [a]/' \
  '1: Job/job: .spec.template.spec.initContainers[0].comand: unknown field'
spoil 's/pullPolicy: Always/pullpolicy: Always/' \
  '1: Job/job: .spec.template.spec.volumes[0].image.pullpolicy: unknown field: it is spelt pullPolicy'
spoil 's/subPath:/subpath:/' \
  '1: Job/job: .spec.template.spec.containers[0].volumeMounts[0].subpath: unknown field: it is spelt subPath'
spoil 's/limits:/limit:/' '1: Job/job: .spec.template.spec.containers[0].resources.limit: unknown field'
spoil 's/maxSurge:/maxsurge:/' \
  '2: Deployment/app: .spec.strategy.rollingUpdate.maxsurge: unknown field: it is spelt maxSurge'
spoil 's/targetRevision:/targetRevison:/' '7: Application/application: .spec.source.targetRevison: unknown field'
spoil 's/backoffLimit: 1/backoflimit: 1/' \
  '8: AnalysisTemplate/analysis: .spec.metrics[0].provider.job.spec.backoflimit: unknown field'
spoil 's/dependsOn:/dependOn:/' '9: Kustomization/flux: .spec.dependOn: unknown field'
spoil 's/property:/propery:/' '10: ExternalSecret/external: .spec.data[0].remoteRef.propery: unknown field'
spoil 's/for: 5m/fore: 5m/' '11: PrometheusRule/rules: .spec.groups[0].rules[0].fore: unknown field'
# --- values that are none of the enumeration
spoil '1,40 s/restartPolicy: Never/restartPolicy: never/' \
  '1: Job/job: .spec.template.spec.restartPolicy: must be one of Always, Never, OnFailure'
spoil 's/restartPolicy: Always/restartPolicy: always/' \
  '1: Job/job: .spec.template.spec.initContainers[0].restartPolicy: must be one of Always, OnFailure, Never'
spoil 's/action: FailJob/action: Failjob/' \
  '1: Job/job: .spec.podFailurePolicy.rules[1].action: must be one of Count, FailIndex, FailJob, Ignore'
spoil 's/operator: In/operator: in/' \
  '1: Job/job: .spec.podFailurePolicy.rules[1].onExitCodes.operator: must be one of In, NotIn'
spoil 's/status: "True"/status: "true"/' \
  '1: Job/job: .spec.podFailurePolicy.rules[0].onPodConditions[0].status: must be one of True, False, Unknown'
spoil 's/pullPolicy: Always/pullPolicy: Sometimes/' \
  '1: Job/job: .spec.template.spec.volumes[0].image.pullPolicy: must be one of Always, IfNotPresent, Never'
in_pod=.spec.template.spec
spoil 's/type: RuntimeDefault/type: Runtime/' \
  "1: Job/job: $in_pod.securityContext.seccompProfile.type: must be one of Localhost, RuntimeDefault, Unconfined"
spoil 's/protocol: TCP/protocol: tcp/' \
  '6: NetworkPolicy/policy: .spec.egress[0].ports[0].protocol: must be one of SCTP, TCP, UDP'
in_analysis='.spec.metrics[0].provider.job.spec.template.spec'
spoil '100,$ s/restartPolicy: Never/restartPolicy: never/' \
  "8: AnalysisTemplate/analysis: $in_analysis.restartPolicy: must be one of Always, Never, OnFailure"
spoil 's/kind: ClusterSecretStore/kind: Store/' \
  '10: ExternalSecret/external: .spec.secretStoreRef.kind: must be one of SecretStore, ClusterSecretStore'
spoil 's/: unsupervised/: none/' \
  '12: Cluster/cluster: .spec.primaryUpdateStrategy: must be one of unsupervised, supervised'
# --- kinds
unknown='is not known (packages with types are listed in validate.mjs)'
spoil 's/^kind: Job$/kind: Jobs/' "1: Jobs/job: batch/v1 Jobs $unknown"
spoil 's/^kind: Job$/kind: JobSpec/' \
  "1: JobSpec/job: batch/v1 JobSpec $unknown"
spoil 's|^apiVersion: apps/v1|apiVersion: apps/v2|' \
  "2: Deployment/app: apps/v2 Deployment $unknown"
spoil 's/^kind: ConfigMap$/kind: 1/' '3: apiVersion and kind must be text'
# --- YAML
spoil 's/^  key: value/&\n  key: other/' '3: Map keys must be unique at line 94, column 3:'
spoil 's/^  key: value/&\n key: other/' '3: All mapping items must start at the same column at line 94, column 1:'

plain() { # NAME TEXT ABOUT
  printf '%b' "$2" >"$1"
  names+=("$1") expected+=("$1: $3")
}
plain empty.yaml '' 'no object in it'
plain comment.yaml '# nothing\n---\n# here\n' 'no object in it'
plain text.yaml 'just text\n' 'document 1: not an object'
plain list.yaml '- a\n- b\n' 'document 1: not an object'
plain open.yaml 'kind: {a\n' \
  'document 1: Flow map in block collection must be sufficiently indented and end with a } at line 2, column 1:'

code=0
node "$here/validate.mjs" "${names[@]}" >out 2>err || code=$?
[[ $code == 1 ]] || fail "exit code $code: $(<err)"
printf '%s\n' "${expected[@]}" | sort >expected
sort err | diff expected - >difference || fail "expected (<) and found (>):
$(<difference)"

# --- what it cannot read or was not told to
for arguments in '' missing.yaml --bogus; do
  code=0
  # shellcheck disable=SC2086 # none is none
  node "$here/validate.mjs" $arguments >out 2>&1 || code=$?
  [[ $code == 2 ]] || fail "'$arguments': exit code $code: $(<out)"
done
echo "${#names[@]} faults found"
