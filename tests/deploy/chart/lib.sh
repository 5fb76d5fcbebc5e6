# lib.sh: what the tests of the chart share (source it). Sets chart, tools, work (removed at the end) and the words below.
# Both helms are called with the same Kubernetes version, because each has a default of its own.
# shellcheck shell=bash disable=SC2034,SC2054 # what the tests use; commas are Helm's
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
chart=$root/deploy/helm/lockkeeper
golden=$here/golden
: "${LOCKKEEPER_DEPLOY_TOOLS:=$("$root/scripts/fetch-deploy-tools.sh")}"
export LOCKKEEPER_DEPLOY_TOOLS
tools=$LOCKKEEPER_DEPLOY_TOOLS

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Helm keeps caches and configuration in the home directory otherwise; and nothing here may talk to a cluster.
export HELM_CACHE_HOME=$work/cache HELM_CONFIG_HOME=$work/config HELM_DATA_HOME=$work/data KUBECONFIG=/dev/null

for program in jq promtool python3 yamllint node; do
  command -v "$program" >/dev/null || {
    echo "$program is missing: scripts/install-packages.sh test deploy" >&2
    exit 1
  }
done
python3 -c 'import yaml' || {
  echo "the Python module yaml is missing: scripts/install-packages.sh deploy" >&2
  exit 1
}

failures=0
# problem TEXT...: notes a failure; finish ends the test with it.
problem() {
  printf 'FAIL: %s\n' "$*" >&2
  failures=$((failures + 1))
}
finish() {
  if ((failures > 0)); then
    echo "$failures failures" >&2
    exit 1
  fi
  echo "${0##*/}: ok"
}

# render HELM RELEASE ARGUMENTS...: helm3 or helm4 template, on Kubernetes 1.35, in the namespace shop.
render() {
  local helm=$1 release=$2
  shift 2
  "$tools/$helm" template "$release" "$chart" --namespace shop --kube-version 1.35.0 "$@"
}

# least: the arguments that set what has to be set.
least=(--set image.repository=registry.example.com/shop,image.tag=1.4.0,database.existingSecret=shop-db)

# to_json [FILE]: the YAML documents as one JSON array. Keys that occur twice, which Helm may let pass, are an error.
to_json() {
  python3 "$here/to_json.py" "$@"
}

# expect WHAT FILE FILTER [ARGUMENTS OF jq]...: the filter is true for the JSON in the file.
expect() {
  local what=$1 file=$2 filter=$3
  shift 3
  jq -e "$@" "$filter" "$file" >/dev/null || problem "$what: not true: $filter"
}

# ci_files: names of all ci values, without path and ending.
ci_files() {
  local file
  for file in "$chart"/ci/*-values.yaml; do
    file=${file##*/}
    echo "${file%-values.yaml}"
  done
}
