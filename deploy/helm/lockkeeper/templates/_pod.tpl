{{/* The pod: image, variables, volumes. Shared by the Job and by the application's init container that waits. */}}

{{- define "lockkeeper.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- /* A number comes as float64, which prints 20250520 as 2.025052e+07. */}}
{{- $tag := kindIs "string" $image.tag | ternary $image.tag (int64 $image.tag | toString) }}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $tag) }}
{{- end }}
{{- end }}

{{/*
(dict "root" . "wait" false): where the address of the database comes from, as JSON: secret and key, or split fields, or
a file that something else mounts. Lockkeeper reads one: the Job takes the direct URL if there is one, and the
application's init container the other one, because it only reads.
*/}}
{{- define "lockkeeper.database" -}}
{{- $v := .root.Values }}
{{- $db := $v.database }}
{{- $secret := include "lockkeeper.databaseSecret" .root }}
{{- $key := default (has $db.preset (list "cnpg" "crunchy") | ternary "uri" "DATABASE_URL") $db.key }}
{{- $split := or (eq $db.preset "zalando") (and (eq $db.preset "generic") (or $db.host $db.keys.host)) }}
{{- $other := false }}
{{- if and .wait $v.wait.existingSecret }}
{{- $secret = $v.wait.existingSecret }}
{{- $key = $v.wait.key }}
{{- $split = false }}
{{- $other = true }}
{{- else if or $db.direct.existingSecret $db.direct.key }}
{{- if and .wait $secret }}
{{- $other = true }}
{{- else }}
{{- $secret = default $secret $db.direct.existingSecret }}
{{- $key = default "DIRECT_URL" $db.direct.key }}
{{- end }}
{{- end }}
{{- $path := and (not $other) $db.path }}
{{- $mounted := and (eq $db.as "file") (not $split) (not $path) }}
{{- dict "secret" $secret "key" $key "split" (not (empty $split)) "path" (default "" $path) "mounted" (not (empty $mounted)) "other" $other | toJson }}
{{- end }}

{{/* The secret that is named, or the one that the operator makes; empty when there is none. */}}
{{- define "lockkeeper.databaseSecret" -}}
{{- $db := .Values.database }}
{{- if $db.existingSecret }}
{{- $db.existingSecret }}
{{- else if and $db.cluster (eq $db.preset "cnpg") }}
{{- printf "%s-app" $db.cluster }}
{{- else if and $db.cluster $db.user (eq $db.preset "crunchy") }}
{{- printf "%s-pguser-%s" $db.cluster $db.user }}
{{- else if and $db.cluster $db.user (eq $db.preset "zalando") }}
{{- printf "%s.%s.credentials.postgresql.acid.zalan.do" (replace "_" "-" $db.user) $db.cluster }}
{{- end }}
{{- end }}

{{/* (dict "name" "PGUSER" "value" "x") or with "secret" and "key": one variable. */}}
{{- define "lockkeeper.variable" -}}
- name: {{ .name }}
{{- if .secret }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret | quote }}
      key: {{ .key | quote }}
{{- else }}
  value: {{ kindIs "float64" .value | ternary (int64 .value) .value | toString | quote }}
{{- end }}
{{- end }}

{{/*
The variables of the connection. LOCKKEEPER_DATABASE_URL comes before DIRECT_URL, DATABASE_URL and the rest, so nothing
in the image or in extraEnvFrom can point to another database; with split fields it is a URL without parts, which libpq
takes from PG*. Arguments as lockkeeper.database.
*/}}
{{- define "lockkeeper.databaseEnv" -}}
{{- $v := .root.Values }}
{{- $db := $v.database }}
{{- $of := include "lockkeeper.database" . | fromJson }}
{{- if $of.split }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_DATABASE_URL" "value" "postgresql://") }}
{{- range list (list "PGHOST" "host") (list "PGPORT" "port") (list "PGDATABASE" "name") (list "PGUSER" "username") (list "PGPASSWORD" "password") }}
{{- $field := index . 1 }}
{{- $value := get $db $field }}
{{- if and (eq $field "host") (eq $db.preset "zalando") }}
{{- $value = default $db.cluster $db.host }}
{{- else if and (eq $field "username") (eq $db.preset "generic") }}
{{- $value = $db.user }}
{{- end }}
{{- if $value }}
{{ include "lockkeeper.variable" (dict "name" (first .) "value" $value) }}
{{- else if get $db.keys $field }}
{{ include "lockkeeper.variable" (dict "name" (first .) "secret" $of.secret "key" (get $db.keys $field)) }}
{{- else if eq $field "port" }}
{{ include "lockkeeper.variable" (dict "name" "PGPORT" "value" "5432") }}
{{- end }}
{{- end }}
{{- /* Empty is as if it were not set: nothing in the image or in extraEnvFrom leads elsewhere. */}}
{{ include "lockkeeper.variable" (dict "name" "PGHOSTADDR" "value" "") }}
{{- else if or $of.path $of.mounted }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_DATABASE_URL" "value" "") }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_DATABASE_URL_FILE" "value" (default "/run/lockkeeper/database-url" $of.path)) }}
{{- else }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_DATABASE_URL" "secret" $of.secret "key" $of.key) }}
{{- end }}
{{- with $db.tls.mode }}
{{ include "lockkeeper.variable" (dict "name" "PGSSLMODE" "value" .) }}
{{- end }}
{{- if or $db.tls.caSecret $db.tls.caConfigMap }}
{{ include "lockkeeper.variable" (dict "name" "PGSSLROOTCERT" "value" "/run/lockkeeper/database-ca.crt") }}
{{- else if eq $db.tls.mode "verify-full" }}
{{ include "lockkeeper.variable" (dict "name" "PGSSLROOTCERT" "value" "system") }}
{{- end }}
{{- if $db.tls.clientSecret }}
{{ include "lockkeeper.variable" (dict "name" "PGSSLCERT" "value" "/run/lockkeeper/database-client.crt") }}
{{ include "lockkeeper.variable" (dict "name" "PGSSLKEY" "value" "/run/lockkeeper/database-client.key") }}
{{- end }}
{{- end }}

{{/* settings, and the directory of the migrations. */}}
{{- define "lockkeeper.settingsEnv" -}}
{{- $v := .root.Values }}
{{- with include "lockkeeper.migrationsPath" .root }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_MIGRATIONS" "value" .) }}
{{- end }}
{{- $of := include "lockkeeper.database" . | fromJson }}
{{- range $key, $value := $v.settings }}
{{- /* Another user than the Job's may not be a member of its role. */}}
{{- if not (and $of.other (eq $key "role")) }}
{{- $text := kindIs "slice" $value | ternary (join "," $value) (toString $value) }}
{{ include "lockkeeper.variable" (dict "name" (printf "LOCKKEEPER_%s" (upper $key)) "value" $text) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The directory of the migrations. In an image volume it may be below the mount: subPath of the mount itself is ignored by
containerd before 2.2, which mounts the whole image.
*/}}
{{- define "lockkeeper.migrationsPath" -}}
{{- $m := .Values.migrations }}
{{- $path := include "lockkeeper.migrationsMount" . }}
{{- if and (eq $m.source "imageVolume") $m.imageVolume.subPath }}
{{- $path = printf "%s/%s" (trimSuffix "/" $path) $m.imageVolume.subPath }}
{{- end }}
{{- print $path }}
{{- end }}

{{- define "lockkeeper.migrationsMount" -}}
{{- if .Values.migrations.path }}
{{- .Values.migrations.path }}
{{- else if ne .Values.migrations.source "image" }}
{{- print "/migrations" }}
{{- end }}
{{- end }}

{{- define "lockkeeper.metricsEnv" -}}
{{- $m := .Values.metrics }}
{{- if $m.url }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_URL" "value" $m.url) }}
{{- if $m.required }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_REQUIRED" "value" "true") }}
{{- end }}
{{- if $m.basicAuth.existingSecret }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_USERNAME" "value" $m.basicAuth.username) }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_PASSWORD_FILE" "value" "/run/lockkeeper/metrics-password") }}
{{- end }}
{{- if $m.bearerToken.existingSecret }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_BEARER_TOKEN_FILE" "value" "/run/lockkeeper/metrics-token") }}
{{- end }}
{{- if or $m.ca.secret $m.ca.configMap }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_CA_FILE" "value" "/run/lockkeeper/metrics-ca.crt") }}
{{- end }}
{{- if $m.clientCertificate.existingSecret }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_CLIENT_CERTIFICATE" "value" "/run/lockkeeper/metrics-client.crt") }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_METRICS_CLIENT_KEY" "value" "/run/lockkeeper/metrics-client.key") }}
{{- end }}
{{- end }}
{{- end }}

{{/* Helm prints the log of a hook that failed, for somebody to read; elsewhere programs collect it. */}}
{{- define "lockkeeper.logFormat" -}}
{{- default (eq .Values.mode "helm" | ternary "text" "json") .Values.logFormat }}
{{- end }}

{{/* All variables of the Job's container. */}}
{{- define "lockkeeper.jobEnv" -}}
{{- include "lockkeeper.databaseEnv" (dict "root" . "wait" false) }}
{{- include "lockkeeper.settingsEnv" (dict "root" . "wait" false) }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_DEADLINE" "value" .Values.deadline) }}
{{ include "lockkeeper.variable" (dict "name" "LOCKKEEPER_LOG_FORMAT" "value" (include "lockkeeper.logFormat" .)) }}
{{- include "lockkeeper.metricsEnv" . }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* (dict "kind" "secret" "name" "x" "key" "k" "path" "p"): one file of the credentials. */}}
{{- define "lockkeeper.credential" -}}
- {{ .kind }}:
    name: {{ .name | quote }}
    items:
      - key: {{ .key | quote }}
        path: {{ .path }}
        {{- with .mode }}
        mode: {{ . }}
        {{- end }}
{{- end }}

{{/* What is mounted at /run/lockkeeper; empty when nothing is. */}}
{{- define "lockkeeper.credentials" -}}
{{- $v := .root.Values }}
{{- $tls := $v.database.tls }}
{{- $of := include "lockkeeper.database" . | fromJson }}
{{- if $of.mounted }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" $of.secret "key" $of.key "path" "database-url") }}
{{- end }}
{{- if $tls.caSecret }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" $tls.caSecret "key" $tls.caKey "path" "database-ca.crt") }}
{{- else if $tls.caConfigMap }}
{{ include "lockkeeper.credential" (dict "kind" "configMap" "name" $tls.caConfigMap "key" $tls.caKey "path" "database-ca.crt") }}
{{- end }}
{{- if $tls.clientSecret }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" $tls.clientSecret "key" $tls.clientCertKey "path" "database-client.crt") }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" $tls.clientSecret "key" $tls.clientKeyKey "path" "database-client.key" "mode" "288 # 0440: libpq refuses a key that others may read") }}
{{- end }}
{{- if and $v.metrics.url (not .wait) }}
{{- with $v.metrics.basicAuth }}
{{- if .existingSecret }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" .existingSecret "key" .key "path" "metrics-password") }}
{{- end }}
{{- end }}
{{- with $v.metrics.bearerToken }}
{{- if .existingSecret }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" .existingSecret "key" .key "path" "metrics-token") }}
{{- end }}
{{- end }}
{{- with $v.metrics.ca }}
{{- if .secret }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" .secret "key" .key "path" "metrics-ca.crt") }}
{{- else if .configMap }}
{{ include "lockkeeper.credential" (dict "kind" "configMap" "name" .configMap "key" .key "path" "metrics-ca.crt") }}
{{- end }}
{{- end }}
{{- with $v.metrics.clientCertificate }}
{{- if .existingSecret }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" .existingSecret "key" .certKey "path" "metrics-client.crt") }}
{{ include "lockkeeper.credential" (dict "kind" "secret" "name" .existingSecret "key" .keyKey "path" "metrics-client.key") }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* (dict "root" . "wait" false "prefix" "lockkeeper"): the volumes of the credentials and of the migrations. */}}
{{- define "lockkeeper.volumes" -}}
{{- $m := .root.Values.migrations }}
{{- with include "lockkeeper.credentials" . | trim }}
- name: {{ $.prefix }}-credentials
  projected:
    {{- if $.wait }}
    defaultMode: 292 # 0444: the application's pod may have another group
    {{- else }}
    defaultMode: 288 # 0440, and the group is fsGroup
    {{- end }}
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- if eq $m.source "imageVolume" }}
- name: {{ .prefix }}-migrations
  image:
    reference: {{ $m.imageVolume.reference | quote }}
    {{- with $m.imageVolume.pullPolicy }}
    pullPolicy: {{ . }}
    {{- end }}
{{- else if eq $m.source "configMap" }}
- name: {{ .prefix }}-migrations
  configMap:
    {{- if $m.configMap.inline }}
    name: {{ include "lockkeeper.migrationsName" .root }}
    items:
      {{- range $path, $_ := $m.configMap.inline }}
      - key: {{ replace "/" ".." $path | quote }}
        path: {{ $path | quote }}
      {{- end }}
    {{- else }}
    name: {{ $m.configMap.name | quote }}
    items:
      {{- range $m.configMap.items }}
      - key: {{ .key | quote }}
        path: {{ .path | quote }}
      {{- end }}
    {{- end }}
{{- else if eq $m.source "existingVolume" }}
- name: {{ .prefix }}-migrations
  {{- if $m.existingVolume.claimName }}
  persistentVolumeClaim:
    claimName: {{ $m.existingVolume.claimName | quote }}
    readOnly: true
  {{- else }}
  {{- toYaml $m.existingVolume.source | nindent 2 }}
  {{- end }}
{{- else if eq $m.source "initCopy" }}
- name: {{ .prefix }}-migrations
  emptyDir:
    sizeLimit: {{ $m.initCopy.sizeLimit }}
{{- end }}
{{- end }}

{{/* As lockkeeper.volumes: the mounts of the container. */}}
{{- define "lockkeeper.volumeMounts" -}}
{{- $m := .root.Values.migrations }}
{{- if include "lockkeeper.credentials" . | trim }}
- name: {{ .prefix }}-credentials
  mountPath: /run/lockkeeper
  readOnly: true
{{- end }}
{{- if ne $m.source "image" }}
- name: {{ .prefix }}-migrations
  mountPath: {{ include "lockkeeper.migrationsMount" .root | quote }}
  readOnly: true
  {{- if and (eq $m.source "existingVolume") $m.existingVolume.subPath }}
  subPath: {{ $m.existingVolume.subPath | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "lockkeeper.migrationsName" -}}
{{- include "lockkeeper.nameWith" (dict "root" . "suffix" "-migrations" "max" 63) }}
{{- end }}

{{/* (dict "root" . "prefix" "lockkeeper" "securityContext" (dict)): the init container of migrations.source initCopy. */}}
{{- define "lockkeeper.copyContainer" -}}
{{- $copy := .root.Values.migrations.initCopy -}}
- name: {{ .prefix }}-copy-migrations
  image: {{ $copy.image | quote }}
  {{- with $copy.pullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  command:
    - sh
    - -c
    - cp -RL "$1/." /copy-of-migrations/
    - sh
    - {{ $copy.path | quote }}
  volumeMounts:
    - name: {{ .prefix }}-migrations
      mountPath: /copy-of-migrations
  {{- with $copy.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  securityContext:
    {{- toYaml .securityContext | nindent 4 }}
{{- end }}
