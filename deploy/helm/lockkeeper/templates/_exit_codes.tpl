{{/*
The exit codes that no retry cures, for podFailurePolicy. Those of class fatal in src/util/error.cpp:
tests/cli/explain_and_the_documentation_agree.sh compares, and with LOCKKEEPER_UPDATE_DOCS=1 writes them.
*/}}
{{- define "lockkeeper.failJobExitCodes" -}}
[2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22]
{{- end }}
