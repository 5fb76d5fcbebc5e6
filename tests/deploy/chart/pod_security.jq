# What is wrong with the pod of a Job, as lines: restricted Pod Security, and what this project asks of every pod.
# $openshift: user and group are the platform's.
def wrong(condition; text): if condition then empty else text end;
.[] | select(.kind == "Job") | .spec.template as $t | $t.spec as $pod
| ($pod.securityContext // {}) as $psc
| (
    wrong($psc.runAsNonRoot == true; "runAsNonRoot"),
    wrong($openshift or ($psc.runAsUser == 65532 and $psc.runAsGroup == 65532 and $psc.fsGroup == 65532); "65532"),
    wrong($psc.seccompProfile.type == "RuntimeDefault"; "seccompProfile"),
    wrong($pod.restartPolicy == "Never"; "restartPolicy"),
    wrong($pod.enableServiceLinks == false; "enableServiceLinks"),
    wrong($pod.automountServiceAccountToken == $automount; "automountServiceAccountToken"),
    wrong(($pod.hostNetwork or $pod.hostPID or $pod.hostIPC) | not; "host namespaces"),
    wrong([$pod.volumes[]? | keys[] | select(. != "name")] - ["configMap", "csi", "emptyDir", "image",
      "persistentVolumeClaim", "projected"] == []; "kinds of volumes"),
    wrong($pod.containers | length == 1; "one container"),
    wrong($pod.containers[0].name == "migrate"; "its name is an interface"),
    ($pod.containers + ($pod.initContainers // []))[] as $c
    | (
        wrong($c.securityContext.allowPrivilegeEscalation == false; "\($c.name): allowPrivilegeEscalation"),
        wrong($c.securityContext.readOnlyRootFilesystem == true; "\($c.name): readOnlyRootFilesystem"),
        wrong($c.securityContext.capabilities.drop == ["ALL"]; "\($c.name): capabilities"),
        wrong($c.securityContext | has("privileged") or has("procMount") or (.capabilities | has("add")) | not;
          "\($c.name): privileged"),
        wrong($c.resources.requests.memory and $c.resources.requests.cpu; "\($c.name): requests"),
        wrong($c.resources.limits | has("cpu") | not; "\($c.name): a CPU limit")
      )
  )
| "\($t.metadata.labels["app.kubernetes.io/component"]): \(.)"
