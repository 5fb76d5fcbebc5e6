{{/* (dict "root" . "phase" "pre"): the Job of a phase. */}}
{{- define "lockkeeper.job" -}}
{{- $v := .root.Values }}
{{- $post := eq .phase "post" }}
{{- $spec := include "lockkeeper.jobSpec" . | trim }}
{{- $name := include "lockkeeper.nameWith" (dict "root" .root "suffix" ($post | ternary "-post" "") "max" (include "lockkeeper.maxName" .root)) }}
{{- if eq $v.mode "job" }}
{{- $name = printf "%s-%s" $name (sha256sum $spec | trunc 8) }}
{{- end }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "lockkeeper.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ $post | ternary "migrate-post" "migrate" }}
    {{- with $v.job.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $annotations := include "lockkeeper.jobAnnotations" . | trim }}
  {{- if or $annotations $v.job.annotations }}
  annotations:
    {{- with $annotations }}
    {{- . | nindent 4 }}
    {{- end }}
    {{- with $v.job.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  {{- $spec | nindent 2 }}
{{- end }}

{{/* In mode job the name is made of this text, because a Job cannot be changed: nothing in it may differ by accident. */}}
{{- define "lockkeeper.jobSpec" -}}
{{- $root := .root }}
{{- $v := $root.Values }}
{{- $context := dict "root" $root "wait" false "prefix" "lockkeeper" }}
backoffLimit: {{ int $v.job.backoffLimit }}
activeDeadlineSeconds: {{ int $v.job.activeDeadlineSeconds }}
{{- if eq $v.mode "helm" }}
ttlSecondsAfterFinished: {{ default 86400 $v.job.ttlSecondsAfterFinished | int }}
{{- end }}
podFailurePolicy:
  rules:
    # The node was drained or reclaimed: not the migration's fault. First, because the exit code is also there then.
    - action: Ignore
      onPodConditions:
        - type: DisruptionTarget
          status: "True"
    # Nothing gets better by trying again.
    - action: FailJob
      onExitCodes:
        containerName: migrate
        operator: In
        values: {{ include "lockkeeper.failJobExitCodes" $root | trim }}
template:
  metadata:
    labels:
      {{- include "lockkeeper.selectorLabels" $root | nindent 6 }}
      app.kubernetes.io/component: {{ eq .phase "post" | ternary "migrate-post" "migrate" }}
      {{- if $v.networkPolicy.enabled }}
      lockkeeper/network-policy: {{ include "lockkeeper.privateName" $root }}
      {{- end }}
      {{- if eq $v.mesh "istio-native" }}
      sidecar.istio.io/inject: "true"
      {{- else if eq $v.mesh "istio-off" }}
      sidecar.istio.io/inject: "false"
      istio.io/dataplane-mode: none
      {{- end }}
      {{- with $v.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- $annotations := dict }}
    {{- if eq $v.mesh "istio-native" }}
    {{- $_ := set $annotations "sidecar.istio.io/nativeSidecar" "true" }}
    {{- else if eq $v.mesh "linkerd" }}
    {{- $_ := set $annotations "linkerd.io/inject" "enabled" }}
    {{- $_ := set $annotations "config.beta.linkerd.io/proxy-enable-native-sidecar" "true" }}
    {{- end }}
    {{- if and (eq $v.migrations.source "configMap") $v.migrations.configMap.inline }}
    {{- $_ := set $annotations "checksum/migrations" (toJson $v.migrations.configMap.inline | sha256sum) }}
    {{- end }}
    {{- with merge (deepCopy (default dict $v.podAnnotations)) $annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    terminationGracePeriodSeconds: {{ int $v.terminationGracePeriodSeconds }}
    automountServiceAccountToken: {{ $v.automountServiceAccountToken }}
    enableServiceLinks: false
    {{- with include "lockkeeper.serviceAccountName" $root }}
    serviceAccountName: {{ . | quote }}
    {{- end }}
    {{- with $v.imagePullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $v.priorityClassName }}
    priorityClassName: {{ . | quote }}
    {{- end }}
    {{- with $v.runtimeClassName }}
    runtimeClassName: {{ . | quote }}
    {{- end }}
    {{- with $v.podSecurityContext }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- $copies := eq $v.migrations.source "initCopy" }}
    {{- if or $v.sidecars $copies }}
    initContainers:
      {{- range $v.sidecars }}
      {{- $sidecar := set (deepCopy .) "restartPolicy" "Always" }}
      {{- if not (hasKey . "securityContext") }}
      {{- $_ := set $sidecar "securityContext" $v.securityContext }}
      {{- end }}
      - {{ toYaml $sidecar | nindent 8 | trim }}
      {{- end }}
      {{- if $copies }}
      {{- include "lockkeeper.copyContainer" (dict "root" $root "prefix" "lockkeeper" "securityContext" $v.securityContext) | nindent 6 }}
      {{- end }}
    {{- end }}
    containers:
      - name: migrate # podFailurePolicy refers to it
        image: {{ include "lockkeeper.image" $root | quote }}
        {{- with $v.image.pullPolicy }}
        imagePullPolicy: {{ . }}
        {{- end }}
        {{- with $v.command }}
        command:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        args: {{ has "post" $v.phases | ternary (printf "[up, --phase, %s]" .phase) "[up]" }}
        {{- with $v.workingDir }}
        workingDir: {{ . | quote }}
        {{- end }}
        env:
          {{- include "lockkeeper.jobEnv" $root | trim | nindent 10 }}
        {{- with $v.extraEnvFrom }}
        envFrom:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        {{- $mounts := include "lockkeeper.volumeMounts" $context | trim }}
        {{- if or $mounts $v.extraVolumeMounts }}
        volumeMounts:
          {{- with $mounts }}
          {{- . | nindent 10 }}
          {{- end }}
          {{- with $v.extraVolumeMounts }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
        {{- end }}
        terminationMessagePolicy: FallbackToLogsOnError
        {{- with $v.resources }}
        resources:
          {{- toYaml . | nindent 10 }}
        {{- end }}
        {{- with $v.securityContext }}
        securityContext:
          {{- toYaml . | nindent 10 }}
        {{- end }}
    {{- $volumes := include "lockkeeper.volumes" $context | trim }}
    {{- if or $volumes $v.extraVolumes }}
    volumes:
      {{- with $volumes }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with $v.extraVolumes }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- end }}
    {{- with $v.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $v.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $v.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with $v.topologySpreadConstraints }}
    topologySpreadConstraints:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
