# migrations.source imageVolume: Lockkeeper's image as it is, the migrations from another one, mounted as a volume.
[[ -n $MIGRATIONS_IMAGE ]] || not_on_this_server 'MIGRATIONS_IMAGE is not set (README.md says how to make it)'
kept=$(jq -n '{apiVersion: "v1", kind: "Pod", metadata: {name: "probe"}, spec: {
    securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: "RuntimeDefault"}},
    containers: [{name: "probe", image: "probe", volumeMounts: [{name: "v", mountPath: "/v"}],
                  securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: ["ALL"]}}}],
    volumes: [{name: "v", image: {reference: "probe"}}]}}' |
  k create --dry-run=server -o json -f - 2>&1) || not_on_this_server "it refuses an image volume: $(shorten "$kept")"
[[ $(jq -r '.spec.volumes[0].image.reference' <<<"$kept") == probe ]] ||
  not_on_this_server 'it drops image volumes: ImageVolume is off'
values ".migrations = {source: \"imageVolume\", imageVolume: {reference: \"$MIGRATIONS_IMAGE\",
  pullPolicy: \"IfNotPresent\", subPath: \"migrations\"}}"
release_ok 'install'
expect 'history' 20250520000000 "$(applied)"
