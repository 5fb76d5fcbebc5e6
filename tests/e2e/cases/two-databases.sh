# An umbrella chart with Lockkeeper twice, under aliases: two databases, two Jobs, and an application that waits for
# both.
sql_in postgres "CREATE DATABASE ${DB}_users OWNER shop"
k create secret generic users-db --from-literal=DATABASE_URL="${URL}_users" >/dev/null
umbrella=$DIR/umbrella
mkdir -p "$umbrella/templates"
{
  printf 'apiVersion: v2\nname: umbrella\nversion: 1.0.0\ndependencies:\n'
  for alias in orders users; do
    printf '  - {name: lockkeeper, version: "%s", repository: "file://%s", alias: %s}\n' \
      "$(sed -n 's/^version: //p' "$CHART/Chart.yaml")" "$CHART" "$alias"
  done
} >"$umbrella/Chart.yaml"
cat >"$umbrella/templates/pod.yaml" <<'YAML'
apiVersion: v1
kind: Pod
metadata:
  name: app
spec:
  automountServiceAccountToken: false
  securityContext: {runAsNonRoot: true, runAsUser: 65534, seccompProfile: {type: RuntimeDefault}}
  {{- with .Values.pullSecrets }}
  imagePullSecrets: {{ toJson . }}
  {{- end }}
  initContainers:
    {{- include "lockkeeper.waitInitContainer" .Subcharts.orders | nindent 4 }}
    {{- include "lockkeeper.waitInitContainer" .Subcharts.users | nindent 4 }}
  containers:
    - name: app
      image: {{ .Values.image }}
      imagePullPolicy: IfNotPresent
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
  volumes:
    {{- include "lockkeeper.waitVolumes" .Subcharts.orders | nindent 4 }}
    {{- include "lockkeeper.waitVolumes" .Subcharts.users | nindent 4 }}
YAML
orders=$(migrations_config_map orders)
rm -r "$DIR"/migrations/*
visits
users=$(migrations_config_map users)
values "def source(name; items): .migrations = {source: \"configMap\", configMap: {name: name, items: items}};
  {orders: source(\"orders\"; $orders), users: (source(\"users\"; $users) | .database.existingSecret = \"users-db\"),
   image: \"$PUSHGATEWAY_IMAGE\", pullSecrets: $PULL_SECRETS_JSON}"
"$HELM" dependency update --skip-refresh "$umbrella" >"$DIR/helm.out" 2>&1 ||
  fail "helm dependency update: $(shorten "$(<"$DIR/helm.out")")"
helm_ok upgrade --install shop "$umbrella" --values "$DIR/values.json" --wait --timeout 3m
expect 'Jobs' 'shop-orders shop-users' "$(jobs_of_case | sort | paste -sd ' ' -)"
expect 'history of orders' 20250520000000 "$(applied)"
expect 'history of users' 20250601000000 "$(sql_in "${DB}_users" 'SELECT version FROM lockkeeper.history')"
waited=$(k get pod app -o json |
  jq -c '.status.initContainerStatuses | map({key: .name, value: .state.terminated.exitCode}) | from_entries')
expect 'what the application waited for' '{"wait-for-schema-orders":0,"wait-for-schema-users":0}' "$waited"
