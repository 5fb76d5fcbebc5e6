#!/usr/bin/env bash
# chart_refusals.sh: values that are wrong or contradict each other, and the sentence that says so. With both helms, whose
# own words about the schema differ: there the key counts.
# shellcheck disable=SC2016 # variables of the template
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

# refused 'PART OF THE MESSAGE' ARGUMENTS...: on top of the values that have to be set.
refused() {
  local expected=$1 helm
  shift
  for helm in helm3 helm4; do
    if render "$helm" shop "${least[@]}" "$@" >/dev/null 2>"$work/log"; then
      problem "$helm renders: $*"
    else
      tr -s '\n ' ' ' <"$work/log" | grep -qF -- "$expected" || problem "$helm: $*: expected '$expected' in: $(cat "$work/log")"
    fi
  done
}
# accepted ARGUMENTS...: nothing is wrong with these, beside the refused ones.
accepted() {
  local helm
  for helm in helm3 helm4; do
    render "$helm" shop "${least[@]}" "$@" >/dev/null 2>"$work/log" || problem "$helm: $*: $(cat "$work/log")"
  done
}

# The schema: keys and types.
refused databse --set databse.existingSecret=x
refused exsitingSecret --set database.exsitingSecret=x
refused lock_timout --set settings.lock_timout=5s
refused lock-timeout --set settings.lock-timeout=5s
refused lock_timeout --set settings.lock_timeout=5
refused verbose --set settings.verbose=1
refused on_ahead --set settings.on_ahead=maybe
refused mode --set mode=flux
refused phases --set 'phases={post}'
refused phases --set 'phases={post,pre}'
# In a file, where 1.10 is a number and the image 1.1 would be pulled.
printf 'image: {repository: registry.example.com/shop, tag: 1.10}\ndatabase: {existingSecret: x}\n' >"$work/number.yaml"
saved=("${least[@]}")
least=(-f "$work/number.yaml")
refused tag
least=("${saved[@]}")
refused digest --set image.digest=sha256:abc
refused preset --set database.preset=rds
refused pullPolicy --set image.pullPolicy=Bogus
refused deadline --set deadline=240
refused ttlSecondsAfterFinished --set job.ttlSecondsAfterFinished=60
refused deletePolicy --set helm.deletePolicy=hook-failed
refused hook --set argocd.hook=PostSync
refused mesh --set mesh=consul
refused terminationGracePeriodSeconds --set terminationGracePeriodSeconds=1
refused up.sql --set 'migrations.configMap.inline.up\.sql=SELECT 1'
refused path --set migrations.source=initCopy,migrations.initCopy.image=x:1,migrations.initCopy.path=app/migrations
refused safe-to-evict --set 'podAnnotations.cluster-autoscaler\.kubernetes\.io/safe-to-evict=false'

# What is missing.
refused 'image.repository is not set: the image with lockkeeper in it' --set image.repository=
refused 'image.tag is not set: with migrations.source image the image is yours' --set image.tag=
refused 'image.repository holds a tag or digest (registry.example.com/shop:1)' --set image.repository=registry.example.com/shop:1
refused 'database.existingSecret is not set: the name of a secret' --set database.existingSecret=
refused 'database.cluster is not set: with preset cnpg' --set database.existingSecret=,database.preset=cnpg
refused 'database.user is not set: with preset crunchy' --set database.existingSecret=,database.preset=crunchy,database.cluster=a
refused 'database.name is not set: split fields need' --set database.host=db
refused 'database.name is not set: split fields need' --set database.preset=zalando,database.host=db
refused 'database.host is not set: preset zalando needs it' --set database.preset=zalando,database.name=shop
refused 'migrations.imageVolume.reference is not set' --set migrations.source=imageVolume
refused 'migrations.configMap.name is not set' --set migrations.source=configMap
refused 'migrations.configMap.items is empty: keys have no directories' --set migrations.source=configMap,migrations.configMap.name=x
refused 'migrations.existingVolume.claimName is not set' --set migrations.source=existingVolume
refused 'migrations.initCopy.image is not set' --set migrations.source=initCopy,migrations.initCopy.path=/app
refused 'migrations.initCopy.path is not set' --set migrations.source=initCopy,migrations.initCopy.image=shop:1
refused 'metrics.url is not set, and other metrics values are' --set metrics.required=true
refused 'metrics.url is not set, and other metrics values are' --set metrics.clientCertificate.existingSecret=x
refused 'settings.metrics_client_key is set: it has a value of its own' --set settings.metrics_client_key=/k
refused 'metrics.basicAuth needs both username and existingSecret' --set metrics.url=http://p,metrics.basicAuth.username=x

# What contradicts itself. Several problems are reported together.
refused 'deadline (5m, 300 s) is not less than job.activeDeadlineSeconds (270)' --set deadline=5m
refused 'raise job.activeDeadlineSeconds to 330 and pass --timeout 6m to helm' --set deadline=5m
refused 'deadline (270000ms, 270 s) is not less than' --set deadline=270000ms
refused 'deadline is 0, no limit: set one below job.activeDeadlineSeconds (270)' --set deadline=0
refused 'deadline (1h1m1s, 3661 s)' --set deadline=1h1m1s
accepted --set deadline=1h1m1s,job.activeDeadlineSeconds=3700
refused 'job.ttlSecondsAfterFinished is set, with mode job: a Job that is deleted is created again' --set mode=job,job.ttlSecondsAfterFinished=900
refused 'job.ttlSecondsAfterFinished is set, with mode argocd' --set mode=argocd,job.ttlSecondsAfterFinished=900
refused 'settings.deadline is set: it has a value of its own, deadline' --set settings.deadline=1m
refused 'settings.log_format is set: it has a value of its own, logFormat' --set settings.log_format=json
refused logFormat --set logFormat=logfmt
refused 'settings.metrics_url is set: it has a value of its own, metrics.url' --set settings.metrics_url=http://p
refused 'settings.yes is set: a Job has no terminal' --set settings.yes=true
refused 'settings.phase is set, with phases [pre, post]' --set 'phases={pre,post},settings.phase=all'
accepted --set settings.phase=all
refused 'database.path is set, and other values that say where the URL comes from' --set database.path=/x
refused 'database.cluster is set and has no use' --set database.cluster=x
refused 'database.user is set and has no use' --set database.preset=cnpg,database.user=x
refused 'database.host, port or name is set: with preset cnpg the secret holds the whole URL' --set database.preset=cnpg,database.host=x
refused 'database.port, name or user is set without database.host' --set database.name=shop
refused 'database.host and database.keys.host are both set' --set database.host=x,database.keys.host=y,database.name=shop
refused 'database.as is file, with split fields' --set database.as=file,database.host=x,database.name=shop
refused 'database.as is file, with split fields' --set database.as=file,database.preset=zalando,database.host=x,database.name=shop
refused 'database.key is set, with split fields' --set database.key=uri,database.host=x,database.name=shop
refused 'database.direct is set, with split fields' --set database.direct.key=x,database.host=x,database.name=shop
refused 'database.tls.caSecret and caConfigMap are both set' --set database.tls.caSecret=a,database.tls.caConfigMap=b,database.tls.mode=verify-full
refused 'database.tls has an authority, and mode is not verify-full or verify-ca' --set database.tls.caSecret=a
refused 'database.tls.mode is verify-ca without caSecret or caConfigMap' --set database.tls.mode=verify-ca
refused 'podSecurityContext.fsGroup is not set: mounted secrets would not be readable' --set database.as=file,podSecurityContext.fsGroup=null
accepted --set database.as=file,podSecurityContext.fsGroup=null,podSecurityContext.runAsUser=null,podSecurityContext.runAsGroup=null
refused 'migrations.configMap.name and inline are both set' --set 'migrations.source=configMap,migrations.configMap.name=x,migrations.configMap.inline.1_a/up\.sql=SELECT'
refused 'migrations.existingVolume.claimName and source are both set' --set migrations.source=existingVolume,migrations.existingVolume.claimName=x,migrations.existingVolume.source.emptyDir.medium=Memory
refused 'migrations.initCopy.image is set, with migrations.source image: set migrations.source to initCopy' --set migrations.initCopy.image=shop:1
refused 'migrations.source imageVolume needs Kubernetes 1.35, or 1.33 with the feature gate ImageVolume; this is v1.32.0' \
  --set migrations.source=imageVolume,migrations.imageVolume.reference=shop:1 --kube-version 1.32.0
refused 'metrics.url holds a user or password, which everybody who may read the release would see' \
  --set metrics.url=http://user:secret@pushgateway:9091
refused 'argocd.hook is set, with mode helm: set mode: argocd' --set argocd.hook=Sync
refused 'serviceAccount.annotations is set, and create is not' --set serviceAccount.annotations.role=x
refused 'serviceAccount.annotations sets helm.sh/hook' --set 'serviceAccount.create=true,serviceAccount.annotations.helm\.sh/hook=x'
refused 'job.annotations sets argocd.argoproj.io/sync-wave: use argocd.syncWave' \
  --set 'mode=argocd' --set-string 'job.annotations.argocd\.argoproj\.io/sync-wave=1'
refused 'migrations.initCopy.path is set, with migrations.source image' --set migrations.initCopy.path=/x
accepted --set podAnnotations=null
refused 'metrics.basicAuth and metrics.bearerToken are both set' \
  --set metrics.url=http://p,metrics.basicAuth.username=x,metrics.basicAuth.existingSecret=y,metrics.bearerToken.existingSecret=z
refused 'metrics.ca.secret and metrics.ca.configMap are both set' --set metrics.url=https://p,metrics.ca.secret=a,metrics.ca.configMap=b
refused 'extraEnv sets LOCKKEEPER_PHASE: an option of Lockkeeper belongs into settings' --set 'extraEnv[0].name=LOCKKEEPER_PHASE'
refused 'extraEnv sets PGHOST, which is set already' --set 'database.host=x,database.name=shop,extraEnv[0].name=PGHOST'
refused 'podLabels sets app.kubernetes.io/name, which the chart sets' --set 'podLabels.app\.kubernetes\.io/name=x'
refused 'job.labels sets helm.sh/chart, which the chart sets' --set 'job.labels.helm\.sh/chart=x'
refused 'podLabels sets sidecar.istio.io/inject, which mesh: istio-off sets' \
  --set 'mesh=istio-off' --set-string 'podLabels.sidecar\.istio\.io/inject=true'
refused 'job.annotations sets helm.sh/hook: the annotations of a mode belong together' --set 'job.annotations.helm\.sh/hook=pre-rollback'
refused 'job.annotations sets argocd.argoproj.io/hook: the annotations of a mode belong together' \
  --set 'job.annotations.argocd\.argoproj\.io/hook=PreSync'
accepted --set 'mode=job' --set-string 'job.annotations.argocd\.argoproj\.io/sync-options=Replace=true'
refused 'image.tag is not set: with migrations.source image the image is yours, so there is no default; set image.tag or image.digest deadline (5m' \
  --set image.tag=,deadline=5m
refused '1.29.0' --kube-version 1.28.0
accepted --kube-version 1.29.0
accepted --kube-version v1.33.4-eks-0a1b2c3 --set migrations.source=imageVolume,migrations.imageVolume.reference=shop:1

# Every sentence of the template has its line above.
grep -oE 'append \$p \(?(printf )?"[^"%:]{12,}' "$chart/templates/_validate.tpl" | sed -E 's/.*"//' | sort -u >"$work/sentences"
[[ $(wc -l <"$work/sentences") -gt 30 ]] || problem "no sentences found in _validate.tpl"
while IFS= read -r sentence; do
  grep -qF -- "$sentence" "$0" || problem "no test for: $sentence"
done <"$work/sentences"
finish
