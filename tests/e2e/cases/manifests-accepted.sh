# Everything of deploy/k8s that this server knows the kind of, and the chart in all its modes: accepted strictly, and
# without a warning of restricted Pod Security.
check() { # WHAT, documents on stdin
  local said known
  known=$("$KUBECTL" create --dry-run=client --validate=false -o json -f - 2>/dev/null |
    jq -c --arg ns "$NS" 'if .kind == "List" then .items[] else . end
      | select(.apiVersion | test("^(v1|apps/v1|batch/v1|networking.k8s.io/v1)$")) | .metadata.namespace = $ns' || true)
  [[ -n $known ]] || fail "$1: expected objects that this server knows, saw none"
  said=$(k create --dry-run=server --validate=strict -f - <<<"$known" 2>&1) || fail "$1: $(shorten "$said")"
  [[ $said != *Warning* ]] || fail "$1: expected no warning, saw \"$(shorten "$said")\""
}
for overlay in "$REPO"/deploy/k8s/base "$REPO"/deploy/k8s/overlays/*/ "$REPO"/deploy/k8s/overlays/flux/*/; do
  [[ -f $overlay/kustomization.yaml ]] || continue
  name=${overlay#"$REPO"/deploy/k8s/}
  "$KUBECTL" kustomize "$overlay" >"$DIR/overlay.yaml" 2>"$DIR/overlay.err" ||
    fail "$name: $(shorten "$(<"$DIR/overlay.err")")"
  if grep -qE '^kind: (Job|Deployment)$' "$DIR/overlay.yaml"; then check "$name" <"$DIR/overlay.yaml"; fi
done
for mode in helm argocd job; do
  values ".mode = \"$mode\" | .phases = [\"pre\", \"post\"]" '| .serviceAccount.create = true
    | .networkPolicy.enabled = true | .dashboard.enabled = true | .exporterQueries.enabled = true'
  "$HELM" template shop "$CHART" --namespace "$NS" --values "$DIR/values.json" >"$DIR/rendered.yaml" \
    2>"$DIR/helm.out" || fail "chart, mode $mode: $(shorten "$(<"$DIR/helm.out")")"
  check "chart, mode $mode" <"$DIR/rendered.yaml"
done
