# What is wrong with the objects of a release for $mode (helm, argocd, job), with $jobs Jobs; as lines.
# Argo CD adds its own annotations and those of Helm up; kubectl apply reads neither. So there is one kind.
def wrong(condition; text): if condition then empty else text end;
def notes: .metadata.annotations // {};
def is_job: .kind == "Job";
# What a Job may need: there before it.
def is_support: (.kind | IN("ServiceAccount", "NetworkPolicy")) or (.kind == "ConfigMap" and (.metadata.name | endswith("-migrations")));
[.[] | select(is_job)] as $all
| [.[] | select(is_support)] as $support
| [.. | objects | keys[]] as $keys
| wrong($all | length == $jobs; "the number of Jobs"),
  wrong([.[] | "\(.kind)/\(.metadata.name)"] | length == (unique | length); "kind and name are not unique"),
  wrong(all(.[]; .metadata.namespace == "shop"); "not in the namespace of the release"),
  wrong($mode == "helm" or all($keys[]; (startswith("helm.sh/") | not) or . == "helm.sh/chart"); "annotations of Helm"),
  wrong($mode == "argocd" or all($keys[]; contains("argoproj.io") | not); "annotations of Argo CD"),
  wrong(all($all[]; .spec.ttlSecondsAfterFinished == (if $mode == "helm" then 86400 else null end)); "when it is deleted"),
  wrong($mode != "job" or all($all[]; .metadata.name | test("-[0-9a-f]{8}$")); "a name without a hash"),
  if $mode == "helm" then
    wrong(all($all[], $support[]; notes["helm.sh/hook"] | IN("pre-install,pre-upgrade", "post-install,post-upgrade")); "no hook"),
    wrong(all($support[]; notes["helm.sh/hook-delete-policy"] == "before-hook-creation"); "what the Job needs does not stay"),
    wrong(all($support[] | notes["helm.sh/hook-weight"] // "0" | tonumber; . < ([$all[] | notes["helm.sh/hook-weight"] // "0" | tonumber] | min));
      "what the Job needs does not come before it"),
    wrong(all($all[]; notes["helm.sh/hook-delete-policy"] // "" | split(",") | index("before-hook-creation") != null and index("hook-failed") == null);
      "a failed Job does not stay")
  elif $mode == "argocd" then
    wrong(all($all[]; notes["argocd.argoproj.io/hook"] | IN("PreSync", "Sync", "PostSync")); "no hook"),
    wrong(all($all[]; notes["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"); "a failed Job does not stay"),
    wrong(all($support[] | notes["argocd.argoproj.io/sync-wave"] // "0" | tonumber;
              . < ([$all[] | notes["argocd.argoproj.io/sync-wave"] // "0" | tonumber] | min));
      "what the Job needs does not come before it")
  else empty end
