# deploy/k8s without Helm: the overlay with a ConfigMap, as it stands but for the image. `kubectl apply -k` makes a Job
# named after what it runs; the same again changes nothing, another setting is another Job.
cp -R "$REPO/deploy/k8s" "$DIR/k8s"
mkdir "$DIR/k8s/overlays/e2e"
jq -n --arg ns "$NS" --argjson image "$(image_values "$LOCKKEEPER_IMAGE")" --argjson pull_secrets "$PULL_SECRETS_JSON" '
  {apiVersion: "kustomize.config.k8s.io/v1beta1", kind: "Kustomization", namespace: $ns, resources: ["../configmap"],
   images: [{name: "registry.example.com/lockkeeper", newName: $image.repository}
            + (if $image.digest != "" then {digest: $image.digest} else {newTag: $image.tag} end)],
   patches: [{target: {kind: "Job"}, patch: ([
     {op: "add", path: "/spec/template/spec/containers/0/imagePullPolicy", value: "IfNotPresent"},
     (if $pull_secrets == [] then empty
      else {op: "add", path: "/spec/template/spec/imagePullSecrets", value: $pull_secrets} end)] | tojson)}]}' \
  >"$DIR/k8s/overlays/e2e/kustomization.yaml"
k create secret generic shop-db-app --from-literal=uri="$URL" >/dev/null
apply() { k apply -k "$DIR/k8s/overlays/e2e" 2>&1; }

said=$(apply)
[[ $said != *Warning* ]] || fail "kubectl apply -k: expected no warning, saw \"$(shorten "$said")\""
first=$(job_name)
expect_match 'name of the Job' '^shop-migrate-[a-z0-9]{10}$' "$first"
job_ends "$first" Complete
expect 'history' 20260901090000 "$(applied)"
expect_match 'the same again' "job.batch/$first unchanged" "$(apply)"

sed -i.before 's/^resources:/# another content, so another Job\nresources:/' \
  "$DIR/k8s/overlays/configmap/kustomization.yaml"
apply >/dev/null
second=$(jobs_of_case | grep -vx "$first") || fail "Jobs after a change: expected two, saw $first"
job_ends "$second" Complete
expect 'applied by the second' 0 "$(termination_message "$second" .applied)"
