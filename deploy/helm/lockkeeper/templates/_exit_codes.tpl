{{/*
The exit codes that no retry cures, for podFailurePolicy. Generated from src/util/error.cpp; a unit test writes it.
*/}}
{{- define "lockkeeper.failJobExitCodes" -}}
[2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22]
{{- end }}
