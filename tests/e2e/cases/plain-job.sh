# `helm template --set mode=job | kubectl apply`: a Job without hooks. The same again changes nothing; another migration
# is a Job of another name, which may be applied beside the old one.
apply() {
  values '.mode = "job"'
  "$HELM" template shop "$CHART" --namespace "$NS" --values "$DIR/values.json" >"$DIR/rendered.yaml" \
    2>"$DIR/helm.out" || fail "helm template: $(shorten "$(<"$DIR/helm.out")")"
  k apply -f "$DIR/rendered.yaml" >"$DIR/apply.out" 2>&1 || fail "kubectl apply: $(shorten "$(<"$DIR/apply.out")")"
  cat "$DIR/apply.out"
}
apply
first=$(job_name)
job_ends "$first" Complete
expect 'history' 20250520000000 "$(applied)"
expect_match 'the same again' "job.batch/$first unchanged" "$(apply)"
expect 'Jobs after the same again' "$first" "$(jobs_of_case)"
visits
apply
second=$(jobs_of_case | grep -vx "$first") || fail "Jobs after a new migration: expected two, saw $first"
job_ends "$second" Complete
expect 'history' 20250520000000,20250601000000 "$(applied)"
