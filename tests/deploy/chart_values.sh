#!/usr/bin/env bash
# chart_values.sh: values.yaml, values.schema.json and the table in the chart's README.md know the same keys, and settings
# the options of `lockkeeper up`. LOCKKEEPER_UPDATE_DOCS=1 writes the table.
# shellcheck disable=SC2016 # marks of Markdown
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

python3 "$here/values_doc.py" "$chart" || problem "values"

# It finds what it looks for.
mkdir -p "$work/deploy/helm" "$work/docs"
cp -r "$chart" "$work/deploy/helm/"
cp "$root/docs/configuration.md" "$work/docs/"
copy=$work/deploy/helm/lockkeeper
# finds TEXT SED-SCRIPT FILE
finds() {
  cp "$copy/$3" "$work/saved"
  sed -i "$2" "$copy/$3"
  ! cmp -s "$copy/$3" "$work/saved" || problem "the script changes nothing: $2"
  if env -u LOCKKEEPER_UPDATE_DOCS python3 "$here/values_doc.py" "$copy" 2>"$work/log"; then
    problem "not found: $2"
  fi
  grep -qF -- "$1" "$work/log" || problem "expected '$1' in: $(cat "$work/log")"
  cp "$work/saved" "$copy/$3"
}
finds 'nodeSelector has no description' '/# -- Node labels/d' values.yaml
finds 'table of values is not that of values.yaml' 's/Node labels/Labels/' values.yaml
finds 'enabld is in values.yaml and not in values.schema.json' 's/^enabled:/enabld:/' values.yaml
finds "mode: the default 'flux' is none of" 's/^mode: helm/mode: flux/' values.yaml
finds 'nodeSelektor is in values.schema.json and not in values.yaml' 's/"nodeSelector"/"nodeSelektor"/' values.schema.json
finds 'settings.lock_wait: not in values.schema.json' 's/"lock_wait"/"lock_weight"/' values.schema.json
finds 'lets unknown keys pass' '0,/"additionalProperties": false,/! s/"additionalProperties": false/"additionalProperties": true/' values.schema.json
finds 'table of values is not that of values.yaml' 's/| `mode` |/| `mood` |/' README.md
finish
