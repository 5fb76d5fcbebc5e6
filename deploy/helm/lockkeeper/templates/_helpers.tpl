{{/* Names, labels and annotations. Every define takes the root context unless it says otherwise. */}}

{{- define "lockkeeper.name" -}}
{{- default .Chart.Name .Values.nameOverride | lower | replace "_" "-" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* A dependency is always <release>-<chart or alias>, so that two of them never have one name. */}}
{{- define "lockkeeper.baseName" -}}
{{- $name := include "lockkeeper.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if and .Chart.IsRoot (contains $name .Release.Name) }}
{{- .Release.Name }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name }}
{{- end }}
{{- end }}

{{/*
(dict "root" . "suffix" "-post" "max" 54): the base name with a suffix. What is too long is cut and gets a hash of the
whole, because two long names may begin alike.
*/}}
{{- define "lockkeeper.nameWith" -}}
{{- $base := include "lockkeeper.baseName" .root }}
{{- if gt (add (len $base) (len .suffix)) (int64 .max) }}
{{- $room := sub (sub (int64 .max) (len .suffix)) 9 | int }}
{{- $base = printf "%s-%s" (trunc $room $base | trimSuffix "-" | trimSuffix ".") (sha256sum $base | trunc 8) }}
{{- end }}
{{- print $base .suffix }}
{{- end }}

{{/* The name of the Job of phase pre, before the hash of mode job. */}}
{{- define "lockkeeper.fullname" -}}
{{- include "lockkeeper.nameWith" (dict "root" . "suffix" "" "max" (include "lockkeeper.maxName" .)) }}
{{- end }}

{{/* 63 is the limit of a Job's name, which is also a label of its pods; mode job needs nine for the hash. */}}
{{- define "lockkeeper.maxName" -}}
{{- eq .Values.mode "job" | ternary 54 63 }}
{{- end }}

{{/* What belongs to the Job alone has a name of its own: hooks are deleted and created again at each upgrade. */}}
{{- define "lockkeeper.privateName" -}}
{{- include "lockkeeper.nameWith" (dict "root" . "suffix" "-migrate" "max" 63) }}
{{- end }}

{{- define "lockkeeper.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "lockkeeper.privateName" .) .Values.serviceAccount.name }}
{{- else }}
{{- .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "lockkeeper.selectorLabels" -}}
app.kubernetes.io/name: {{ include "lockkeeper.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lockkeeper.labels" -}}
{{ include "lockkeeper.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/*
(dict "root" . "phase" "pre"): what makes the Job run before (pre) or after (post) the release. One kind of
annotations a mode: Argo CD reads those of Helm too and adds them up.
*/}}
{{- define "lockkeeper.jobAnnotations" -}}
{{- $v := .root.Values }}
{{- if eq $v.mode "helm" }}
helm.sh/hook: {{ eq .phase "pre" | ternary "pre-install,pre-upgrade" "post-install,post-upgrade" }}
helm.sh/hook-weight: {{ $v.helm.hookWeight | int | quote }}
helm.sh/hook-delete-policy: {{ $v.helm.deletePolicy }}
helm.sh/hook-output-log-policy: {{ $v.helm.outputLogPolicy }}
{{- else if eq $v.mode "argocd" }}
argocd.argoproj.io/hook: {{ eq .phase "pre" | ternary $v.argocd.hook "PostSync" }}
argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
argocd.argoproj.io/sync-wave: {{ $v.argocd.syncWave | int | quote }}
{{- end }}
{{- end }}

{{/*
Of what the Job needs: there before it, also on a first install. With the Argo CD hook Sync an ordinary object of an
earlier wave does that, and is kept up to date like any other.
*/}}
{{- define "lockkeeper.supportAnnotations" -}}
{{- $v := .Values }}
{{- if eq $v.mode "helm" }}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ sub (int $v.helm.hookWeight) 1 | quote }}
helm.sh/hook-delete-policy: before-hook-creation
{{- else if eq $v.mode "argocd" }}
{{- if eq $v.argocd.hook "PreSync" }}
argocd.argoproj.io/hook: PreSync
argocd.argoproj.io/hook-delete-policy: BeforeHookCreation
{{- end }}
argocd.argoproj.io/sync-wave: {{ sub (int $v.argocd.syncWave) 1 | quote }}
{{- end }}
{{- end }}

{{/* Of what the Job needs: labels and, if any, annotations; the caller writes `metadata:`. */}}
{{- define "lockkeeper.supportMetadata" -}}
labels:
  {{- include "lockkeeper.labels" . | nindent 2 }}
  app.kubernetes.io/component: migrate
{{- with include "lockkeeper.supportAnnotations" . | trim }}
annotations:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A duration such as 1m30s in whole seconds, rounded up. Takes the text. */}}
{{- define "lockkeeper.seconds" -}}
{{- $ms := 0 }}
{{- range regexFindAll "[0-9]+(ms|h|m|s)" (toString .) -1 }}
{{- $number := regexFind "^[0-9]+" . | int64 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $ms = add $ms (mul $number (get (dict "h" 3600000 "m" 60000 "s" 1000 "ms" 1) $unit)) }}
{{- end }}
{{- div (add $ms 999) 1000 }}
{{- end }}

{{/* What Helm's --timeout has to be at least, in minutes. It applies to each hook by itself. */}}
{{- define "lockkeeper.timeoutMinutes" -}}
{{- $seconds := add (int .Values.job.activeDeadlineSeconds) (int .Values.terminationGracePeriodSeconds) }}
{{- max 5 (add 1 (div $seconds 60)) }}
{{- end }}
