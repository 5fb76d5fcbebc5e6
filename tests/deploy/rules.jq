# What holds for every object in deploy/k8s, of builds and of examples. Input: an array of objects. $fatal: the exit
# codes that end a Job. Output: what is wrong, one string for each.
# Pod Security: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted

def seconds: # of 90, "4m", "1m30s"
  if type == "number" then . else
    [scan("([0-9]+)(h|m|s)") | (.[0] | tonumber) * {h: 3600, m: 60, s: 1}[.[1]]] | add
  end;
def variable($name): [.env[]? | select(.name == $name) | .value] | first;
def annotation($name): (.metadata.annotations // {})[$name];

def container_rules:
  .securityContext as $security
  | (select($security.allowPrivilegeEscalation != false) | "allowPrivilegeEscalation is not false"),
    (select($security.capabilities.drop != ["ALL"]) | "capabilities.drop is not [ALL]"),
    (select($security.capabilities | has("add")) | "adds capabilities"),
    (select($security.readOnlyRootFilesystem != true) | "readOnlyRootFilesystem is not true"),
    (select($security.privileged == true) | "is privileged"),
    (select($security.runAsNonRoot == false or $security.runAsUser == 0) | "runs as root"),
    (select($security | has("procMount")) | "has a procMount"),
    (select(any(.ports[]?; .hostPort)) | "uses a port of the host"),
    (select(.resources.requests | (.cpu and .memory) | not) | "requests no processor or no memory"),
    (select(.resources.limits.memory == null) | "has no limit of memory"),
    (select(.resources.limits.cpu) | "has a limit of processor time, which only slows a migration down"),
    (select(.name | IN("migrate", "wait-for-schema")) | select(.terminationMessagePolicy != "FallbackToLogsOnError")
      | "terminationMessagePolicy is not FallbackToLogsOnError"),
    (select(.image | test("^[a-z0-9.]+/[a-z0-9/-]+(:[A-Za-z0-9][A-Za-z0-9._-]*|@sha256:[0-9a-f]{64})$")
        or . == "{{args.image}}" | not) | "image \(.image) has no registry, or neither tag nor digest"),
    (select(.image | test(":latest$")) | "image \(.image): latest is not a version");

def pod_rules:
  .spec as $spec
  | ($spec.securityContext // {}) as $security
  | ([$spec.volumes[]?.name]) as $volumes
  | (select($security.runAsNonRoot != true) | "runAsNonRoot is not true"),
    (select($security.runAsUser | . == null or . == 0) | "runAsUser is not a number above 0"),
    (select($security.seccompProfile.type != "RuntimeDefault") | "seccompProfile is not RuntimeDefault"),
    (select($security | has("sysctls")) | "sets sysctls"),
    (select($spec | .hostNetwork or .hostPID or .hostIPC) | "shares a namespace of the host"),
    (select($spec.automountServiceAccountToken != false) | "automountServiceAccountToken is not false"),
    (select($spec.enableServiceLinks != false) | "enableServiceLinks is not false"),
    (select($spec.serviceAccountName) | "names a ServiceAccount"),
    ($spec.volumes[]? | del(.name) | keys[]
      | select(IN("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim",
          "projected", "secret") | not) | "a volume of the kind \(.)"),
    ($spec.initContainers[]?, $spec.containers[]
      | "container \(.name) \(container_rules)",
        "container \(.name) mounts \(.volumeMounts[]?.name | select(IN($volumes[]) | not)), which is no volume");

def job_rules:
  ([.template.spec.containers[] | select(.name == "migrate")] | first) as $migrate
  | (select($migrate == null) | "no container is called migrate"),
    (select(.template.spec.restartPolicy != "Never") | "restartPolicy is not Never"),
    (select(.podFailurePolicy.rules[0]
        != {action: "Ignore", onPodConditions: [{type: "DisruptionTarget", status: "True"}]})
      | "the first rule of podFailurePolicy does not ignore DisruptionTarget"),
    (select(.podFailurePolicy.rules[1:]
        != [{action: "FailJob", onExitCodes: {containerName: "migrate", operator: "In", values: $fatal}}])
      | "podFailurePolicy does not end the Job at the exit codes \($fatal)"),
    (select(.backoffLimit == null or .backoffLimit > 3) | "backoffLimit is not at most 3"),
    (select(.template.spec.terminationGracePeriodSeconds != 25) | "terminationGracePeriodSeconds is not 25"),
    (($migrate | variable("LOCKKEEPER_DEADLINE") // "" | seconds) as $deadline
      | select($deadline == null or .activeDeadlineSeconds == null or $deadline + 25 > .activeDeadlineSeconds)
      | "activeDeadlineSeconds leaves LOCKKEEPER_DEADLINE less than 25 seconds to end"),
    (($migrate | variable("LOCKKEEPER_DEADLINE") // "" | seconds) as $deadline
      | ($migrate.env[]? | select(.name | test("^LOCKKEEPER_(CONNECT|LOCK)_WAIT$")))
      | select((.value | seconds) >= $deadline) | "\(.name) is not shorter than LOCKKEEPER_DEADLINE");

def annotation_rules:
  (.metadata.annotations // {}) as $annotations
  | [$annotations | keys[] | select(startswith("argocd.argoproj.io/"))] as $argocd
  | (select(($argocd | length > 0) and any($annotations | keys[]; startswith("helm.sh/")))
      | "has annotations of Argo CD and of Helm: Argo CD then obeys both"),
    (select(annotation("argocd.argoproj.io/hook")) |
      (select(annotation("argocd.argoproj.io/hook") | IN("PreSync", "Sync", "PostSync") | not)
        | "is no known hook of Argo CD"),
      (select(annotation("argocd.argoproj.io/hook-delete-policy") != "BeforeHookCreation")
        | "its hook-delete-policy is not BeforeHookCreation"),
      (select(.spec.ttlSecondsAfterFinished) | "is a hook of Argo CD and has a time to live")),
    (annotation("argocd.argoproj.io/sync-wave") | select(. != null and (test("^-?[0-9]+$") | not))
      | "sync-wave is not a number");

.[]
| "\(.kind)/\(.metadata.name): " + (
    (select(.metadata.name | test("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$") | not)
      | "the name is no DNS label of at most 63"),
    annotation_rules,
    (.. | objects | select(.spec.containers? | type == "array") | pod_rules),
    (.. | objects | select(has("backoffLimit") or has("podFailurePolicy")) | job_rules),
    (select(.kind == "Job") | .spec | select(has("backoffLimit") | not) | job_rules),
    (.spec.args?[]? | .value // empty | select(test(":latest$")) | "latest is not a version")
  )
