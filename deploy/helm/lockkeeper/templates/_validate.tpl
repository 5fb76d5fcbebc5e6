{{/* What values.schema.json cannot say. All problems at once, each with what to change. */}}
{{- define "lockkeeper.validate" -}}
{{- $problems := include "lockkeeper.problems" . | fromJsonArray }}
{{- if $problems }}
{{- fail (printf "\n  %s" (join "\n  " $problems)) }}
{{- end }}
{{- end }}

{{- define "lockkeeper.problems" -}}
{{- $v := .Values }}
{{- $db := $v.database }}
{{- $m := $v.migrations }}
{{- $p := list }}

{{- /* the image */}}
{{- if not $v.image.repository }}
{{- $p = append $p "image.repository is not set: the image with lockkeeper in it; yours, if it also holds /migrations" }}
{{- else if regexMatch "(@|:[^/]+$)" $v.image.repository }}
{{- $p = append $p (printf "image.repository holds a tag or digest (%s): set image.tag or image.digest" $v.image.repository) }}
{{- else if and (eq $m.source "image") (not $v.image.tag) (not $v.image.digest) }}
{{- $p = append $p "image.tag is not set: with migrations.source image the image is yours, so there is no default; set image.tag or image.digest" }}
{{- end }}

{{- /* the budgets */}}
{{- $deadline := include "lockkeeper.seconds" $v.deadline | int }}
{{- $active := int $v.job.activeDeadlineSeconds }}
{{- $grace := int $v.terminationGracePeriodSeconds }}
{{- if not $deadline }}
{{- $p = append $p (printf "deadline is %v, no limit: set one below job.activeDeadlineSeconds (%d), so that a run ends by itself and says why" $v.deadline $active) }}
{{- else if ge $deadline $active }}
{{- $p = append $p (printf "deadline (%v, %d s) is not less than job.activeDeadlineSeconds (%d), so Kubernetes would end the run before it could say why: lower deadline, or raise job.activeDeadlineSeconds to %d and pass --timeout %dm to helm" $v.deadline $deadline $active (add $deadline 30) (add 1 (div (add $deadline 30 $grace) 60))) }}
{{- end }}
{{- if and (ne $v.mode "helm") (not (kindIs "invalid" $v.job.ttlSecondsAfterFinished)) }}
{{- $p = append $p (printf "job.ttlSecondsAfterFinished is set, with mode %s: a Job that is deleted is created again and runs again; leave it out" $v.mode) }}
{{- end }}

{{- if and (ne $v.mode "argocd") (ne $v.argocd.hook "PreSync") }}
{{- $p = append $p (printf "argocd.hook is set, with mode %s: set mode: argocd" $v.mode) }}
{{- end }}

{{- /* settings that are values of their own */}}
{{- $own := dict "migrations" "migrations.path" "deadline" "deadline" "log_format" "logFormat" "database_url_env" "database" "database_url_file" "database" "metrics_url" "metrics.url" "metrics_required" "metrics.required" "metrics_username" "metrics.basicAuth" "metrics_password_file" "metrics.basicAuth" "metrics_bearer_token_file" "metrics.bearerToken" "metrics_ca_file" "metrics.ca" "metrics_client_certificate" "metrics.clientCertificate" "metrics_client_key" "metrics.clientCertificate" }}
{{- range $key, $_ := $v.settings }}
{{- if hasKey $own $key }}
{{- $p = append $p (printf "settings.%s is set: it has a value of its own, %s" $key (get $own $key)) }}
{{- else if eq $key "yes" }}
{{- $p = append $p "settings.yes is set: a Job has no terminal, so nothing is asked; leave it out" }}
{{- end }}
{{- end }}
{{- if and (has "post" $v.phases) (hasKey $v.settings "phase") }}
{{- $p = append $p "settings.phase is set, with phases [pre, post]: each Job has its own phase; leave one of them out" }}
{{- end }}

{{- /* the database */}}
{{- $generic := eq $db.preset "generic" }}
{{- $split := or (eq $db.preset "zalando") (and $generic (or $db.host $db.keys.host)) }}
{{- $direct := or $db.direct.existingSecret $db.direct.key }}
{{- if $db.path }}
{{- if or $db.existingSecret $db.cluster $direct (not $generic) $split }}
{{- $p = append $p "database.path is set, and other values that say where the URL comes from: set only one of path, existingSecret, cluster, direct, host" }}
{{- end }}
{{- else if not (or (include "lockkeeper.databaseSecret" .) $db.direct.existingSecret) }}
{{- if $generic }}
{{- $p = append $p "database.existingSecret is not set: the name of a secret that holds the database's URL and is there before the release" }}
{{- else if not $db.cluster }}
{{- $p = append $p (printf "database.cluster is not set: with preset %s the secret is named after the operator's cluster; or name it in database.existingSecret" $db.preset) }}
{{- else }}
{{- $p = append $p (printf "database.user is not set: with preset %s the secret is named after the role; or name it in database.existingSecret" $db.preset) }}
{{- end }}
{{- end }}
{{- if and $db.cluster (or $generic (and $db.existingSecret (or (ne $db.preset "zalando") $db.host $db.keys.host))) }}
{{- $p = append $p "database.cluster is set and has no use: it stands for the secret's name, which preset generic does not know and existingSecret says" }}
{{- end }}
{{- if and $db.user (or (eq $db.preset "cnpg") (and $db.existingSecret (not $generic))) }}
{{- $p = append $p "database.user is set and has no use: the secret says who it is; leave it out" }}
{{- end }}
{{- if $split }}
{{- if $direct }}
{{- $p = append $p "database.direct is set, with split fields: Lockkeeper connects to one address; leave database.host (preset zalando) or database.direct out" }}
{{- end }}
{{- if not (or $db.host $db.keys.host (and (eq $db.preset "zalando") $db.cluster)) }}
{{- $p = append $p "database.host is not set: preset zalando needs it, or database.cluster" }}
{{- end }}
{{- if not (or $db.name $db.keys.name) }}
{{- $p = append $p "database.name is not set: split fields need the database's name" }}
{{- end }}
{{- if eq $db.as "file" }}
{{- $p = append $p "database.as is file, with split fields: user and password are two keys, of which no file with a URL can be made; use as: env" }}
{{- end }}
{{- if $db.key }}
{{- $p = append $p "database.key is set, with split fields: there is no URL; set database.keys, or leave database.host out" }}
{{- end }}
{{- else if or $db.host $db.port $db.name $db.keys.host $db.keys.port $db.keys.name (and $generic $db.user) }}
{{- if $generic }}
{{- $p = append $p "database.port, name or user is set without database.host: with a URL they have no use; for split fields set database.host" }}
{{- else }}
{{- $p = append $p (printf "database.host, port or name is set: with preset %s the secret holds the whole URL; use preset generic for split fields" $db.preset) }}
{{- end }}
{{- end }}
{{- range list "host" "port" "name" }}
{{- if and (get $db .) (get $db.keys .) }}
{{- $p = append $p (printf "database.%s and database.keys.%s are both set: leave one out" . .) }}
{{- end }}
{{- end }}
{{- with $db.tls }}
{{- if and .caSecret .caConfigMap }}
{{- $p = append $p "database.tls.caSecret and caConfigMap are both set: leave one out" }}
{{- end }}
{{- if and (or .caSecret .caConfigMap) (not (has .mode (list "verify-ca" "verify-full"))) }}
{{- $p = append $p "database.tls has an authority, and mode is not verify-full or verify-ca: without that nothing is checked against it" }}
{{- end }}
{{- if and (eq .mode "verify-ca") (not .caSecret) (not .caConfigMap) }}
{{- $p = append $p "database.tls.mode is verify-ca without caSecret or caConfigMap: only verify-full works with the public authorities" }}
{{- end }}
{{- end }}

{{- /* mounted secrets are readable by the group */}}
{{- $psc := default dict $v.podSecurityContext }}
{{- if and (include "lockkeeper.credentials" (dict "root" . "wait" false) | trim) (kindIs "invalid" $psc.fsGroup) (not (kindIs "invalid" $psc.runAsUser)) }}
{{- $p = append $p "podSecurityContext.fsGroup is not set: mounted secrets would not be readable; set it, or on OpenShift set runAsUser to null too" }}
{{- end }}

{{- /* the migrations */}}
{{- if eq $m.source "imageVolume" }}
{{- if not $m.imageVolume.reference }}
{{- $p = append $p "migrations.imageVolume.reference is not set: the image that holds the migrations" }}
{{- end }}
{{- if semverCompare "<1.33-0" .Capabilities.KubeVersion.Version }}
{{- $p = append $p (printf "migrations.source imageVolume needs Kubernetes 1.35, or 1.33 with the feature gate ImageVolume; this is %s: use initCopy (helm template does not ask the cluster: pass --kube-version)" .Capabilities.KubeVersion.Version) }}
{{- end }}
{{- else if eq $m.source "configMap" }}
{{- if and $m.configMap.name $m.configMap.inline }}
{{- $p = append $p "migrations.configMap.name and inline are both set: leave one out" }}
{{- else if and (not $m.configMap.name) (not $m.configMap.inline) }}
{{- $p = append $p "migrations.configMap.name is not set: a ConfigMap with the migrations; or put them into migrations.configMap.inline" }}
{{- else if and $m.configMap.name (not $m.configMap.items) }}
{{- $p = append $p "migrations.configMap.items is empty: keys have no directories, so say which is which file: [{key: up, path: 20250520000000_visits/up.sql}]" }}
{{- end }}
{{- else if eq $m.source "existingVolume" }}
{{- if and $m.existingVolume.claimName $m.existingVolume.source }}
{{- $p = append $p "migrations.existingVolume.claimName and source are both set: leave one out" }}
{{- else if not (or $m.existingVolume.claimName $m.existingVolume.source) }}
{{- $p = append $p "migrations.existingVolume.claimName is not set: a claim with the migrations; or another volume in source" }}
{{- end }}
{{- else if eq $m.source "initCopy" }}
{{- if not $m.initCopy.image }}
{{- $p = append $p "migrations.initCopy.image is not set: the application's image, which holds the migrations" }}
{{- end }}
{{- if not $m.initCopy.path }}
{{- $p = append $p "migrations.initCopy.path is not set: the migrations' directory in that image" }}
{{- end }}
{{- end }}
{{- range list "imageVolume.reference" "imageVolume.subPath" "configMap.name" "configMap.inline" "existingVolume.claimName" "existingVolume.source" "existingVolume.subPath" "initCopy.image" "initCopy.path" }}
{{- $parts := splitList "." . }}
{{- if and (ne (first $parts) $m.source) (get (get $m (first $parts)) (last $parts)) }}
{{- $p = append $p (printf "migrations.%s is set, with migrations.source %s: set migrations.source to %s" . $m.source (first $parts)) }}
{{- end }}
{{- end }}

{{- /* the metrics */}}
{{- with $v.metrics }}
{{- if and (not .url) (or .required .basicAuth.existingSecret .basicAuth.username .bearerToken.existingSecret .ca.secret .ca.configMap .clientCertificate.existingSecret) }}
{{- $p = append $p "metrics.url is not set, and other metrics values are: there is nothing to push to" }}
{{- end }}
{{- if contains "@" .url }}
{{- $p = append $p "metrics.url holds a user or password, which everybody who may read the release would see: use metrics.basicAuth" }}
{{- end }}
{{- if and .basicAuth.existingSecret .bearerToken.existingSecret }}
{{- $p = append $p "metrics.basicAuth and metrics.bearerToken are both set: leave one out" }}
{{- end }}
{{- if ne (empty .basicAuth.username) (empty .basicAuth.existingSecret) }}
{{- $p = append $p "metrics.basicAuth needs both username and existingSecret" }}
{{- end }}
{{- if and .ca.secret .ca.configMap }}
{{- $p = append $p "metrics.ca.secret and metrics.ca.configMap are both set: leave one out" }}
{{- end }}
{{- end }}

{{- /* variables that are set twice: which one counts would be chance */}}
{{- $seen := dict }}
{{- range include "lockkeeper.jobEnv" . | fromYamlArray }}
{{- if and (hasKey $seen .name) (not (hasPrefix "LOCKKEEPER_" .name)) }}
{{- $p = append $p (printf "extraEnv sets %s, which is set already: use the chart's own value for it" .name) }}
{{- end }}
{{- $_ := set $seen .name true }}
{{- end }}
{{- range $v.extraEnv }}
{{- if hasPrefix "LOCKKEEPER_" .name }}
{{- $p = append $p (printf "extraEnv sets %s: an option of Lockkeeper belongs into settings, or has a value of its own" .name) }}
{{- end }}
{{- end }}

{{- /* labels and annotations of ours */}}
{{- $ours := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "app.kubernetes.io/component" "helm.sh/chart" }}
{{- range $where, $labels := dict "podLabels" $v.podLabels "job.labels" $v.job.labels "prometheusRule.labels" $v.prometheusRule.labels "dashboard.labels" $v.dashboard.labels "exporterQueries.labels" $v.exporterQueries.labels }}
{{- range $key, $_ := $labels }}
{{- if has $key $ours }}
{{- $p = append $p (printf "%s sets %s, which the chart sets" $where $key) }}
{{- else if and (eq $where "podLabels") (hasPrefix "istio" $v.mesh) (has $key (list "sidecar.istio.io/inject" "istio.io/dataplane-mode")) }}
{{- $p = append $p (printf "podLabels sets %s, which mesh: %s sets" $key $v.mesh) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $v.serviceAccount.annotations (not $v.serviceAccount.create) }}
{{- $p = append $p "serviceAccount.annotations is set, and create is not: the chart annotates only a ServiceAccount of its own" }}
{{- end }}
{{- range $key, $_ := $v.serviceAccount.annotations }}
{{- if or (hasPrefix "helm.sh/" $key) (hasPrefix "argocd.argoproj.io/" $key) }}
{{- $p = append $p (printf "serviceAccount.annotations sets %s: the chart says when the ServiceAccount is created" $key) }}
{{- end }}
{{- end }}
{{- range $key, $_ := $v.job.annotations }}
{{- if and (hasPrefix "helm.sh/" $key) (ne $v.mode "job") }}
{{- $p = append $p (printf "job.annotations sets %s: the annotations of a mode belong together; use the values helm.*, or another mode" $key) }}
{{- else if and (eq $key "argocd.argoproj.io/sync-wave") (eq $v.mode "argocd") }}
{{- $p = append $p "job.annotations sets argocd.argoproj.io/sync-wave: use argocd.syncWave" }}
{{- else if and (hasPrefix "argocd.argoproj.io/hook" $key) (ne $v.mode "job") }}
{{- $p = append $p (printf "job.annotations sets %s: the annotations of a mode belong together; set mode: argocd" $key) }}
{{- end }}
{{- end }}
{{- $p | toJson }}
{{- end }}
