#!/usr/bin/env bash
# k8s_manifests.sh: every directory of deploy/k8s builds with the kustomize in kubectl, Kubernetes knows every object of
# every build and example, and rules.jq holds for them; each overlay does what it is for.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$here/../.." && pwd -P)
LOCKKEEPER_DEPLOY_TOOLS=$("$repo/scripts/fetch-deploy-tools.sh")
export LOCKKEEPER_DEPLOY_TOOLS
kubectl=$LOCKKEEPER_DEPLOY_TOOLS/kubectl
work=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-manifests.XXXXXX")
trap 'rm -rf "$work"' EXIT

fail() {
  printf 'k8s_manifests.sh: %s\n' "$*" >&2
  exit 1
}

# --- every directory builds; a component on top of the base
cp -r "$repo/deploy/k8s" "$work/k8s"
mkdir "$work/built"
cd "$work/k8s"
while IFS= read -r directory; do
  name=${directory//\//-}
  if grep -q '^kind: Component$' "$directory/kustomization.yaml"; then
    mkdir -p "with/$name"
    printf 'resources: [../../base]\ncomponents: [../../%s]\n' "$directory" >"with/$name/kustomization.yaml"
    directory=with/$name
  fi
  "$kubectl" kustomize "$directory" >"$work/built/$name.yaml" 2>"$work/err" ||
    fail "$directory does not build: $(<"$work/err")"
  [[ ! -s $work/err ]] || fail "$directory: kustomize warns: $(<"$work/err")"
done < <(find . -name kustomization.yaml -printf '%P\n' | sed 's|/kustomization.yaml$||' | sort)

# The files that a reader may apply as they are.
for file in base/job.yaml examples/*.yaml; do
  [[ $file == */kustomization.yaml ]] || cp "$file" "$work/built/file-${file//\//-}"
done

# --- Kubernetes knows every object
cd "$work/built"
builds=(*.yaml)
((${#builds[@]} >= 20)) || fail "only ${#builds[@]} builds"
node "$here/validate.mjs" --json "${builds[@]}" >"$work/objects" ||
  fail "objects that Kubernetes would refuse, see above"
for file in "${builds[@]}"; do
  IFS= read -r objects
  printf '%s\n' "$objects" >"${file%.yaml}.json"
done <"$work/objects"

# --- rules for all objects; the exit codes are those of the documentation, which tests compare with the binary
fatal=$(sed -nE 's/^\| ([0-9]+) \| [^ ]+ \| fatal \|.*/\1/p' "$repo/docs/exit-codes.md" | jq -sc .)
rules() { jq -r --argjson fatal "$fatal" -f "$here/rules.jq"; }
for file in *.json; do
  found=$(rules <"$file")
  [[ -z $found ]] || fail "${file%.json}:
$found"
done

# --- the rules find what they are about: one fault at a time in the Job and in the Deployment
finds() { # FILE CHANGE MESSAGE
  local found
  found=$(jq "$2" "$1" | rules)
  [[ $found == *"$3"* ]] || fail "after $2: expected '$3', found: ${found:-nothing}"
}
job=base.json app=examples.json analysis=file-examples-analysis-template.json
pod='.[0].spec.template.spec'
finds "$job" "del($pod.containers[0].securityContext)" 'container migrate allowPrivilegeEscalation is not false'
finds "$app" "$pod.initContainers[0].securityContext.allowPrivilegeEscalation = true" \
  'container wait-for-schema allowPrivilegeEscalation is not false'
finds "$job" "$pod.containers[0].securityContext.capabilities.drop = []" 'capabilities.drop is not [ALL]'
finds "$job" "$pod.containers[0].securityContext.capabilities.add = [\"NET_ADMIN\"]" 'adds capabilities'
finds "$app" "del($pod.containers[0].securityContext.readOnlyRootFilesystem)" 'readOnlyRootFilesystem is not true'
finds "$job" "$pod.containers[0].securityContext.privileged = true" 'is privileged'
finds "$job" "$pod.containers[0].securityContext.runAsUser = 0" 'runs as root'
finds "$app" "$pod.containers[0].ports[0].hostPort = 80" 'uses a port of the host'
finds "$job" "del($pod.containers[0].resources.requests.cpu)" 'requests no processor or no memory'
finds "$job" "del($pod.containers[0].resources.limits)" 'has no limit of memory'
finds "$job" "$pod.containers[0].resources.limits.cpu = \"1\"" 'has a limit of processor time'
finds "$app" "del($pod.initContainers[0].terminationMessagePolicy)" 'terminationMessagePolicy is not'
for image in registry.example.com/a registry.example.com/a:latest app:1 registry.example.com/a@sha256:12; do
  finds "$job" "$pod.containers[0].image = \"$image\"" "image $image"
done
finds "$job" "del($pod.securityContext.runAsNonRoot)" 'runAsNonRoot is not true'
finds "$job" "$pod.securityContext.runAsUser = 0" 'runAsUser is not a number above 0'
finds "$app" "del($pod.securityContext.seccompProfile)" 'seccompProfile is not RuntimeDefault'
finds "$job" "$pod.hostNetwork = true" 'shares a namespace of the host'
finds "$job" "del($pod.automountServiceAccountToken)" 'automountServiceAccountToken is not false'
finds "$job" "$pod.enableServiceLinks = true" 'enableServiceLinks is not false'
finds "$job" "$pod.serviceAccountName = \"x\"" 'names a ServiceAccount'
finds "$job" "$pod.volumes = [{name: \"x\", hostPath: {path: \"/\"}}]" 'a volume of the kind hostPath'
finds "$job" "$pod.containers[0].volumeMounts = [{name: \"x\", mountPath: \"/x\"}]" 'mounts x, which is no volume'
finds "$job" "$pod.containers[0].name = \"main\"" 'no container is called migrate'
finds "$job" "$pod.restartPolicy = \"OnFailure\"" 'restartPolicy is not Never'
finds "$job" '.[0].spec.podFailurePolicy.rules |= reverse' 'the first rule of podFailurePolicy'
finds "$job" 'del(.[0].spec.podFailurePolicy)' 'podFailurePolicy does not end the Job'
finds "$job" '.[0].spec.podFailurePolicy.rules[1].onExitCodes.values += [30]' 'podFailurePolicy does not end the Job'
finds "$analysis" '.[0].spec.metrics[0].provider.job.spec.podFailurePolicy.rules[1].onExitCodes.values[0] = 1' \
  'podFailurePolicy does'
finds "$analysis" '.[0].spec.args[0].value = "registry.example.com/a:latest"' 'latest is not a version'
finds "$job" 'del(.[0].spec.backoffLimit)' 'backoffLimit is not at most 3'
finds "$job" "$pod.terminationGracePeriodSeconds = 60" 'terminationGracePeriodSeconds is not 25'
finds "$job" '.[0].spec.activeDeadlineSeconds = 260' 'activeDeadlineSeconds leaves'
finds "$job" "$pod.containers[0].env += [{name: \"LOCKKEEPER_LOCK_WAIT\", value: \"4m30s\"}]" \
  'LOCKKEEPER_LOCK_WAIT is not shorter'
finds "$job" '.[0].metadata.name = "a" * 64' 'the name is no DNS label'
finds "$job" '.[0].metadata.name = "shop-1.4.0"' 'the name is no DNS label'
presync=overlays-argocd-presync.json
finds "$presync" '.[0].metadata.annotations["helm.sh/hook"] = "pre-install"' 'has annotations of Argo CD and of Helm'
finds "$presync" '.[0].metadata.annotations["argocd.argoproj.io/hook"] = "Presync"' 'is no known hook of Argo CD'
finds "$presync" 'del(.[0].metadata.annotations["argocd.argoproj.io/hook-delete-policy"])' \
  'its hook-delete-policy is not'
finds "$presync" '.[0].metadata.annotations["argocd.argoproj.io/sync-wave"] = "first"' 'sync-wave is not a number'
finds "$presync" '.[0].spec.ttlSecondsAfterFinished = 60' 'has a time to live'

# --- every overlay does what it is for. $job: its Job; $annotations, $migrate, $env: that Job's, as objects
holds() { # BUILD CONDITION
  jq -e "(map(select(.kind == \"Job\")) | first) as \$job | (\$job.spec.template.spec.containers[0]) as \$migrate
    | (\$job.metadata.annotations // {}) as \$annotations
    | (\$migrate.env // [] | map({(.name): (.value // .valueFrom)}) | add) as \$env | $2" "$1.json" >/dev/null ||
    fail "$1: not so: $2"
}
declare -A about
# shellcheck disable=SC2016 # for jq
{
  about[base]='length == 1 and $job.metadata.name == "shop-migrate" and $migrate.args == ["up"]'
  about[components-job-name]='$job.metadata.name | test("^shop-migrate-[a-z0-9]{10}$")'
  about[components-private-ca]='$env.PGSSLMODE == "verify-full" and ($migrate.volumeMounts | length) == 1'
  about[components-client-certificate]='$env.PGSSLKEY == "/etc/lockkeeper/client/tls.key"
    and ($job.spec.template.spec | .volumes[0].secret.defaultMode == 288 and .securityContext.fsGroup == 65532)'
  about[components-alerts]='map(select(.kind == "PrometheusRule"))[0] | .metadata.labels.release == "kube-prometheus-stack"
    and (.spec.groups[0].rules | map(.alert) | unique | length) >= 10'
  about[examples]='map(.kind) == ["Deployment"] and .[0].spec.template.spec.initContainers[0].args == ["wait"]'
  about[overlays-dev]='$job.metadata.namespace == "shop-dev" and $env.LOCKKEEPER_VERBOSE == "true"'
  about[overlays-preview]='$job.metadata.namespace == "shop-pr-123" and ($migrate.image | endswith(":pr-123-4f1c2a9"))
    and $env.LOCKKEEPER_ON_AHEAD == "warn"'
  about[overlays-prod]='($migrate.image | test("@sha256:")) and $job.spec.activeDeadlineSeconds < 1800
    and $env.LOCKKEEPER_METRICS_URL != null'
  about[overlays-cnpg]='$env.DATABASE_URL.secretKeyRef == {name: "shop-db-app", key: "uri"}
    and $env.PGSSLMODE == "verify-full" and $job.spec.template.spec.volumes[0].secret.secretName == "shop-db-ca"'
  about[overlays-istio]='$job.spec.template.metadata | .labels["sidecar.istio.io/inject"] == "true"
    and .annotations["sidecar.istio.io/nativeSidecar"] == "true"'
  about[overlays-istio-off]='$job.spec.template.metadata.labels["sidecar.istio.io/inject"] == "false"'
  about[overlays-image-volume]='$job.spec.template.spec.volumes[0].image.reference != null
    and $migrate.volumeMounts == [{name: "migrations", mountPath: "/migrations", readOnly: true}]'
  about[overlays-configmap]='(map(select(.kind == "ConfigMap")) | first) as $map
    | $job.spec.template.spec.volumes[0].configMap as $volume
    | $volume.name == $map.metadata.name and ($volume.items | map(.key) | sort) == ($map.data | keys)
    and all($volume.items[]; .key == (.path | gsub("/"; ".")))'
  about[overlays-argocd-presync]='$annotations["argocd.argoproj.io/hook"] == "PreSync"
    and $job.metadata.name == "shop-migrate"'
  about[overlays-argocd-syncwave]='$annotations["argocd.argoproj.io/hook"] == "Sync"
    and (map({(.kind): .metadata.annotations["argocd.argoproj.io/sync-wave"]}) | add)
      == {ExternalSecret: "-2", Job: "-1", Deployment: "0"}
    and (map(select(.kind == "ExternalSecret"))[0].spec | .target.name == $env.DATABASE_URL.secretKeyRef.name
      and .data[0].secretKey == $env.DATABASE_URL.secretKeyRef.key)'
  about[overlays-flux]='map(.metadata.name) == ["shop-deploy", "shop-post-deploy", "shop-pre-deploy"]
    and all(.[]; .spec.wait and .spec.prune)
    and (map({(.metadata.name): .spec.dependsOn}) | add)
      == {"shop-pre-deploy": null, "shop-deploy": [{name: "shop-pre-deploy"}],
          "shop-post-deploy": [{name: "shop-deploy"}]}
    and all(.[] | select(.metadata.name != "shop-deploy"); .spec.force and .spec.timeout == "5m")'
  about[overlays-flux-pre-deploy]='$job.spec.activeDeadlineSeconds < 300
    and ($job.spec | has("ttlSecondsAfterFinished") | not)'
  about[overlays-flux-deploy]='map(.kind) == ["Deployment"]'
  about[overlays-flux-post-deploy]='$job.metadata.name == "shop-migrate-post"
    and $migrate.args == ["up", "--phase", "post"] and ($job.spec | has("ttlSecondsAfterFinished") | not)'
}
for file in *.json; do
  name=${file%.json}
  [[ $name == file-* ]] || [[ -n ${about[$name]:-} ]] || fail "$name: say in this script what it is for"
done
for name in "${!about[@]}"; do
  holds "$name" "${about[$name]}"
done

# --- Flux builds the directories that its objects name, and they are there
while IFS= read -r path; do
  [[ -f $repo/$path/kustomization.yaml ]] || fail "flux-kustomizations.yaml names $path, which is not there"
done < <(jq -r '.[].spec.path' overlays-flux.json)
[[ -f $repo/$(jq -r '.[0].spec.source.path' file-examples-argocd-application.json)/kustomization.yaml ]] ||
  fail "argocd-application.yaml names a directory that is not there"

# --- each says when to use it and what to replace, and is in the README
cd "$repo/deploy/k8s"
for file in overlays/*/kustomization.yaml components/*/kustomization.yaml; do
  grep -q "]($file)" README.md || fail "README.md does not list $file"
done
for file in overlays/*/kustomization.yaml; do
  sed -n '/^#/!q; p' "$file" | tr '\n' ' ' | grep -q 'Replace: ' ||
    fail "$file: the comment does not say what to replace"
done
echo "${#builds[@]} builds and files"
