# An application whose chart has Lockkeeper's as a dependency, and its init container in the Deployment. Without the
# hook, the pods are held back on the old schema and say why; once somebody migrates they start by themselves.
visits
shop=$DIR/shop
mkdir -p "$shop/templates"
cat >"$shop/Chart.yaml" <<YAML
apiVersion: v2
name: shop
version: 1.0.0
dependencies:
  - name: lockkeeper
    version: $(sed -n 's/^version: //p' "$CHART/Chart.yaml")
    repository: file://$CHART
    condition: lockkeeper.enabled
YAML
cat >"$shop/templates/deployment.yaml" <<'YAML'
apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
spec:
  replicas: 2
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65534
        seccompProfile: {type: RuntimeDefault}
      {{- with .Values.global.pullSecrets }}
      imagePullSecrets: {{ toJson . }}
      {{- end }}
      initContainers:
        {{- with .Subcharts.lockkeeper }}
        {{- include "lockkeeper.waitInitContainer" . | nindent 8 }}
        {{- end }}
      containers:
        - name: shop
          image: {{ .Values.image }}
          imagePullPolicy: IfNotPresent
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
      volumes:
        {{- with .Subcharts.lockkeeper }}
        {{- include "lockkeeper.waitVolumes" . | nindent 8 }}
        {{- end }}
YAML
# The migrations in a ConfigMap that stays: the one of `inline` belongs to the hook.
items=$(migrations_config_map shop-migrations)
values ".migrations.configMap = {name: \"shop-migrations\", items: $items}
  | {lockkeeper: ., image: \"$PUSHGATEWAY_IMAGE\", global: {pullSecrets: $PULL_SECRETS_JSON}}"
"$HELM" dependency update --skip-refresh "$shop" >"$DIR/helm.out" 2>&1 ||
  fail "helm dependency update: $(shorten "$(<"$DIR/helm.out")")"
shop_release() { helm_ok upgrade --install shop "$shop" --values "$DIR/values.json" "$@"; }
app_pods() { k get pods -l app=shop -o json | jq -r "[.items[] | $1] | map(tostring) | sort | join(\" \")"; }
app_pods_are() { [[ $(app_pods "$1") == "$2" ]]; }

shop_release --no-hooks
until_true 120 'both pods wait' app_pods_are \
  '.status.initContainerStatuses[0].state | if .running then "waits" else "does not" end' 'waits waits'
sleep 3 # nothing changes by itself
expect 'pods ready on the old schema' 'false false' "$(app_pods '.status.containerStatuses[0].ready')"
pod=$(k get pods -l app=shop -o json | jq -r '.items[0].metadata.name')
expect_match 'log of the init container' '2 .*pending' "$(k logs "$pod" -c wait-for-schema)"

# --wait: helm waits for the pods, the pods for the schema; the hook comes before both.
shop_release --wait --timeout 3m
expect 'history' 20250520000000,20250601000000 "$(applied)"
expect 'pods ready' 'true true' "$(app_pods '.status.containerStatuses[0].ready')"
expect 'restarts of the init containers' '0 0' "$(app_pods '.status.initContainerStatuses[0].restartCount')"
