{{/*
For the chart of an application: an init container that waits until nothing is pending. It only reads the history.
  initContainers:
    {{- with .Subcharts.lockkeeper }}
    {{- include "lockkeeper.waitInitContainer" . | nindent 8 }}
    {{- end }}
With an alias: (index .Subcharts "orders-db"). `with` is for a dependency that is switched off: then there is neither
the context nor this define.
*/}}
{{- define "lockkeeper.waitInitContainer" -}}
{{- if not . }}
{{- fail "lockkeeper.waitInitContainer: there is no such subchart: it is switched off or has an alias; write {{- with .Subcharts.<name or alias> }} around it" }}
{{- end }}
{{- if .Values.enabled }}
{{- include "lockkeeper.validate" . }}
{{- $context := include "lockkeeper.waitContext" . | fromJson | merge (dict "root" .) }}
{{- $security := dict "runAsUser" 65532 "runAsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") | merge (deepCopy .Values.securityContext) }}
{{- if kindIs "invalid" .Values.podSecurityContext.runAsUser }}
{{- $security = omit $security "runAsUser" "runAsGroup" }}
{{- end }}
{{- if eq .Values.migrations.source "initCopy" }}
{{- include "lockkeeper.copyContainer" (merge (dict "securityContext" $security) $context) }}
{{ end -}}
- name: {{ $context.name }}
  image: {{ include "lockkeeper.image" . | quote }}
  {{- with .Values.image.pullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  {{- with .Values.command }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  args: [wait]
  {{- with .Values.workingDir }}
  workingDir: {{ . | quote }}
  {{- end }}
  env:
    {{- include "lockkeeper.databaseEnv" $context | trim | nindent 4 }}
    {{- with include "lockkeeper.settingsEnv" $context | trim }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .Values.logFormat }}
    {{- include "lockkeeper.variable" (dict "name" "LOCKKEEPER_LOG_FORMAT" "value" .) | nindent 4 }}
    {{- end }}
    {{- with .Values.wait.timeout }}
    {{- include "lockkeeper.variable" (dict "name" "LOCKKEEPER_TIMEOUT" "value" .) | nindent 4 }}
    {{- end }}
    {{- with .Values.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.extraEnvFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $mounts := include "lockkeeper.volumeMounts" $context | trim }}
  {{- if or $mounts .Values.extraVolumeMounts }}
  volumeMounts:
    {{- with $mounts }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with .Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  terminationMessagePolicy: FallbackToLogsOnError
  {{- with .Values.wait.resources }}
  resources:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $security | nindent 4 }}
{{- end }}
{{- end }}

{{/* The volumes that lockkeeper.waitInitContainer mounts, for `volumes:` of the same pod; often there are none. */}}
{{- define "lockkeeper.waitVolumes" -}}
{{- if and . .Values.enabled }}
{{- include "lockkeeper.volumes" (include "lockkeeper.waitContext" . | fromJson | merge (dict "root" .)) | trim }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Names carry the alias, so that one pod can wait for two databases. */}}
{{- define "lockkeeper.waitContext" -}}
{{- $alias := .Chart.Name | lower | replace "_" "-" }}
{{- $name := eq $alias "lockkeeper" | ternary "wait-for-schema" (printf "wait-for-schema-%s" $alias | trunc 63 | trimSuffix "-") }}
{{- dict "wait" true "prefix" (trunc 45 $alias | trimSuffix "-") "name" $name | toJson }}
{{- end }}
