#!/usr/bin/env bash
# run.sh [--keep] [--strict] [--list] [--only PATTERN]...: releases with the chart and the manifests of deploy/, in the
# cluster of the current kubeconfig, and looks at what became of them. Makes namespaces lockkeeper-e2e-<run>-*, which
# enforce restricted Pod Security, and deletes them at the end, also after a failure or Ctrl-C.
#   --keep    leaves the namespaces, and says how to delete them
#   --strict  a case that this server cannot do is a failure
#   --list    the cases, and what each proves
#   --only    only the cases with PATTERN (a glob) in their name; may be given several times
# A line a case, then "N passed, N failed, N not on this server". Exit code 1: one failed; 2: it could not start.
#
# Environment (README.md says how to make and load the images):
#   LOCKKEEPER_IMAGE   required: the image, without migrations
#   MIGRATIONS_IMAGE   the same with migrations in it, made by tests/e2e/Dockerfile; two cases need it
#   POSTGRES_IMAGE     docker.io/library/postgres:17, or one that takes POSTGRES_PASSWORD and PGDATA and has psql
#   POSTGRES_UID       999: the user that it runs as (70 for the alpine images)
#   POSTGRES_COMMAND, POSTGRES_ARGS        JSON lists, instead of the image's own
#   PUSHGATEWAY_IMAGE  docker.io/prom/pushgateway:latest
#   PUSHGATEWAY_COMMAND, PUSHGATEWAY_ARGS  JSON lists, instead of the image's own
#   PULL_SECRET        a file with a Secret of type kubernetes.io/dockerconfigjson, for images that need a login
#   KUBECTL, HELM      kubectl, helm: 3.17 or later, or 4
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
REPO=$(cd "$here/../.." && pwd -P)
# shellcheck disable=SC2034 # for lib.sh and the cases
CHART=$REPO/deploy/helm/lockkeeper
KUBECTL=${KUBECTL:-kubectl}
HELM=${HELM:-helm}
POSTGRES_IMAGE=${POSTGRES_IMAGE:-docker.io/library/postgres:17}
POSTGRES_UID=${POSTGRES_UID:-999}
PUSHGATEWAY_IMAGE=${PUSHGATEWAY_IMAGE:-docker.io/prom/pushgateway:latest}
MIGRATIONS_IMAGE=${MIGRATIONS_IMAGE:-}

die() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 2
}

keep=false strict=false list=false only=()
while (($# > 0)); do
  case $1 in
    --keep) keep=true ;;
    --strict) strict=true ;;
    --list) list=true ;;
    --only)
      [[ -n ${2:-} ]] || die '--only needs a pattern'
      only+=("$2")
      shift
      ;;
    --help | -h)
      sed -n '2,/^set -e/{/^set -e/d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) die "unknown argument $1; run.sh --help lists them" ;;
  esac
  shift
done

cases=()
for file in "$here"/cases/*.sh; do
  name=$(basename "$file" .sh)
  ((${#only[@]} > 0)) || { cases+=("$name") && continue; }
  for pattern in "${only[@]}"; do
    # shellcheck disable=SC2053 # a pattern
    if [[ $name == *$pattern* ]]; then
      cases+=("$name")
      break
    fi
  done
done
((${#cases[@]} > 0)) || die "no case matches ${only[*]}; run.sh --list names them"
if $list; then
  for name in "${cases[@]}"; do
    printf '%s\n' "$name"
    sed -n '/^#/!q;s/^# /    /p' "$here/cases/$name.sh"
  done
  exit 0
fi

# --- what is needed -------------------------------------------------------------------------------------------------

for tool in jq curl "$KUBECTL" "$HELM"; do
  command -v "$tool" >/dev/null || die "$tool is missing"
done
[[ -n ${LOCKKEEPER_IMAGE:-} ]] || die 'set LOCKKEEPER_IMAGE; tests/e2e/README.md says how to make and load the image'
server=$("$KUBECTL" version -o json 2>/dev/null | jq -r '.serverVersion.gitVersion // empty') || true
[[ -n $server ]] || die "no answer from the cluster: \"$KUBECTL version\" says why"
HELM_VERSION=$("$HELM" version --template '{{.Version}}')

[[ ${LOCKKEEPER_IMAGE##*/} == *[:@]* ]] || die "LOCKKEEPER_IMAGE needs a tag or a digest: $LOCKKEEPER_IMAGE"
PULL_SECRETS_JSON='[]'
[[ -z ${PULL_SECRET:-} ]] || PULL_SECRETS_JSON='[{"name": "e2e-pull"}]'

# --- namespaces -----------------------------------------------------------------------------------------------------

# shellcheck source-path=SCRIPTDIR source=lib.sh
source "$here/lib.sh"
run=$(od -An -N3 -tx1 /dev/urandom | tr -d ' \n')
work=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-e2e.XXXXXX")
SERVERS=lockkeeper-e2e-$run-servers NS=$SERVERS DIR=$work
made_any=false # namespace
group=''       # process group of the case at work

new_namespace() {
  jq -n --arg name "$1" --arg run "$run" '{apiVersion: "v1", kind: "Namespace", metadata: {name: $name, labels: {
    "lockkeeper-e2e": $run, "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted"}}}' | "$KUBECTL" create -f - >/dev/null
  made_any=true
  [[ -z ${PULL_SECRET:-} ]] ||
    "$KUBECTL" create --dry-run=client -o json -f "$PULL_SECRET" |
    jq '.metadata = {name: "e2e-pull"}' | "$KUBECTL" -n "$1" create -f - >/dev/null
}

end_group() {
  [[ -z $group ]] || kill -TERM -- "-$group" 2>/dev/null || true
  group=''
}

finish() {
  local status=$?
  trap - EXIT
  trap '' INT TERM
  end_group
  if $made_any; then
    if $keep; then
      printf 'kept: %s\ndelete with: %s delete namespace -l lockkeeper-e2e=%s\n' "$("$KUBECTL" get namespace -o name \
        -l "lockkeeper-e2e=$run" | sed 's|namespace/||' | paste -sd ' ' -)" "$KUBECTL" "$run"
    else
      "$KUBECTL" delete namespace -l "lockkeeper-e2e=$run" --timeout=180s >/dev/null ||
        echo "run.sh: not all namespaces are gone: $KUBECTL get namespace -l lockkeeper-e2e=$run" >&2
    fi
  fi
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT

# diagnostics NAMESPACE: all that may say why a case failed.
diagnostics() {
  local pod
  {
    printf -- '--- %s: objects\n' "$1"
    "$KUBECTL" -n "$1" get all -o wide
    printf -- '--- %s: events\n' "$1"
    "$KUBECTL" -n "$1" get events --sort-by=.lastTimestamp | tail -n 40
    printf -- '--- %s: Jobs\n' "$1"
    "$KUBECTL" -n "$1" get jobs -o json | jq -r '.items[] | .metadata.name, (.status | tojson)'
    for pod in $("$KUBECTL" -n "$1" get pods -o name); do
      printf -- '--- %s: %s\n' "$1" "$pod"
      "$KUBECTL" -n "$1" describe "$pod" | sed -n '/^Status:/p;/^Init Containers:/,/^Conditions:/p'
      "$KUBECTL" -n "$1" logs "$pod" --all-containers --tail=12
    done
    if [[ -s $DIR/helm.out ]]; then
      printf -- '--- what helm said last\n'
      tail -n 12 "$DIR/helm.out"
    fi
  } 2>&1 | cut -c 1-600 | sed 's/^/    /'
}

interrupted() {
  trap '' INT TERM
  echo "interrupted; what is there:" >&2
  diagnostics "$NS" >&2
  exit 130
}
trap interrupted INT TERM

# --- PostgreSQL and Pushgateway -------------------------------------------------------------------------------------

# server NAME IMAGE UID PORT COMMAND ARGS EXTRA: a Deployment with a Service; EXTRA is merged into the container.
server() {
  jq -n --arg name "$1" --arg image "$2" --argjson uid "$3" --argjson port "$4" --argjson command "${5:-null}" \
    --argjson args "${6:-null}" --argjson extra "$7" --argjson pull_secrets "$PULL_SECRETS_JSON" '
    {app: $name} as $labels
    | ({name: $name, image: $image, imagePullPolicy: "IfNotPresent", ports: [{containerPort: $port}],
        resources: {requests: {cpu: "50m", memory: "64Mi"}, limits: {memory: "512Mi"}},
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: ["ALL"]}},
        volumeMounts: [{name: "data", mountPath: "/data"}]}
       + (if $command then {command: $command} else {} end) + (if $args then {args: $args} else {} end) + $extra
      ) as $container
    | {apiVersion: "v1", kind: "List", items: [
        {apiVersion: "apps/v1", kind: "Deployment", metadata: {name: $name},
         spec: {selector: {matchLabels: $labels}, strategy: {type: "Recreate"}, template: {metadata: {labels: $labels},
           spec: {automountServiceAccountToken: false, imagePullSecrets: $pull_secrets,
             securityContext: {runAsNonRoot: true, runAsUser: $uid, runAsGroup: $uid, fsGroup: $uid,
                               seccompProfile: {type: "RuntimeDefault"}},
             containers: [$container], volumes: [{name: "data", emptyDir: {}}]}}}},
        {apiVersion: "v1", kind: "Service", metadata: {name: $name},
         spec: {selector: $labels, ports: [{port: $port, targetPort: $port}]}}]}' |
    "$KUBECTL" -n "$SERVERS" apply -f - >/dev/null
}

start_servers() {
  new_namespace "$SERVERS"
  server postgres "$POSTGRES_IMAGE" "$POSTGRES_UID" 5432 "${POSTGRES_COMMAND:-}" \
    "${POSTGRES_ARGS:-[\"-c\", \"fsync=off\", \"-c\", \"max_connections=50\"]}" '{
      "env": [{"name": "POSTGRES_PASSWORD", "value": "e2e"}, {"name": "PGDATA", "value": "/data/pgdata"}],
      "readinessProbe": {"exec": {"command": ["pg_isready", "-h", "127.0.0.1", "-U", "postgres"]}, "periodSeconds": 1,
                         "timeoutSeconds": 5}}'
  server pushgateway "$PUSHGATEWAY_IMAGE" 65534 9091 "${PUSHGATEWAY_COMMAND:-}" "${PUSHGATEWAY_ARGS:-}" \
    '{"readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9091}, "periodSeconds": 1, "timeoutSeconds": 5}}'
  local name
  for name in postgres pushgateway; do
    "$KUBECTL" -n "$SERVERS" rollout status "deployment/$name" --timeout=300s >/dev/null || {
      diagnostics "$SERVERS" >&2
      die "$name does not start"
    }
  done
  sql_in postgres "CREATE ROLE shop LOGIN PASSWORD 'e2e-shop'"
}

# The namespace, the database and the secret of a case.
prepare() {
  new_namespace "$NS"
  sql_in postgres "CREATE DATABASE $DB OWNER shop"
  sql 'SET ROLE shop; CREATE TABLE "SessionType" (id int PRIMARY KEY); CREATE TABLE "Booking" (id int PRIMARY KEY)'
  URL=postgresql://shop:e2e-shop@postgres.$SERVERS.svc:5432/$DB
  k create secret generic shop-db --from-literal=DATABASE_URL="$URL" >/dev/null
  mkdir -p "$DIR/migrations"
  cp -R "$REPO"/migrations/*_* "$DIR/migrations/"
}

# A command of a case failed that should not: says where, unless `fail` did already.
command_failed() {
  [[ -s $DIR/message ]] || echo "${BASH_SOURCE[1]##*/}:$1: this command failed: $2" >"$DIR/message"
}

# --- the cases ------------------------------------------------------------------------------------------------------

printf 'Kubernetes %s, helm %s, %s\n' "$server" "$HELM_VERSION" "$LOCKKEEPER_IMAGE"
begin=$SECONDS
start_servers
printf 'servers ready after %d s (%s, %s)\n' $((SECONDS - begin)) "$POSTGRES_IMAGE" "$PUSHGATEWAY_IMAGE"

passed=0 failed=0 not_here=0
for name in "${cases[@]}"; do
  NS=lockkeeper-e2e-$run-$name
  NS=${NS:0:63}
  DB=e2e_${name//-/_}
  DIR=$work/$name
  mkdir "$DIR"
  start=$SECONDS
  # In a process group of its own, so that nothing of a case outlives it: helm, `kubectl get --watch`.
  set -m
  (
    set +m
    trap 'command_failed "$LINENO" "$BASH_COMMAND"' ERR
    set -E
    prepare
    # shellcheck source=/dev/null
    source "$here/cases/$name.sh"
  ) >"$DIR/output" 2>&1 </dev/null &
  group=$!
  set +m
  rc=0
  wait "$group" || rc=$?
  end_group
  took=$((SECONDS - start))
  if [[ $rc == 0 ]]; then
    passed=$((passed + 1))
    printf 'ok      %-32s %3d s\n' "$name" "$took"
  elif [[ -s $DIR/not-here ]]; then
    not_here=$((not_here + 1))
    printf -- '-       %-32s %3d s  not on this server: %s\n' "$name" "$took" "$(<"$DIR/not-here")"
  else
    failed=$((failed + 1))
    reason=$(cat "$DIR/message" 2>/dev/null || true)
    printf 'FAILED  %-32s %3d s  %s\n' "$name" "$took" "${reason:-exit code $rc, see below}"
    sed 's/^/    /' "$DIR/output"
    diagnostics "$NS"
  fi
  $keep || "$KUBECTL" delete namespace "$NS" --wait=false >/dev/null
done

printf '%d passed, %d failed, %d not on this server, %d s\n' "$passed" "$failed" "$not_here" $((SECONDS - begin))
if $strict && ((not_here > 0)); then failed=$((failed + not_here)); fi
((failed == 0)) || exit 1
