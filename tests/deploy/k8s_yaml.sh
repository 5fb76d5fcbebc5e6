#!/usr/bin/env bash
# k8s_yaml.sh: yamllint, as .yamllint says, over the manifests, the workflows and the tests' YAML. The chart is looked at
# by its own tests; templates are no YAML.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v yamllint >/dev/null || {
  echo "yamllint is missing: scripts/install-packages.sh deploy" >&2
  exit 1
}
mapfile -t files < <(find .github deploy/k8s tests -name '*.y*ml' ! -path 'tests/deploy/chart/*' ! -path 'tests/data/*' | sort)
((${#files[@]} >= 20)) || {
  echo "only ${#files[@]} files: ${files[*]}" >&2
  exit 1
}
yamllint --strict -c .yamllint "${files[@]}"

# It finds what is wrong with a file.
work=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-yaml.XXXXXX")
trap 'rm -rf "$work"' EXIT
for fault in 'a: 1\na: 2\n' 'a: yes\n' 'a:\n   b: 1\n   c:\n     d: 1\n' 'a: 1 \n' 'a: {b: [\n' "a: $(printf 'x %.0s' {1..60})\n"; do
  printf '%b' "$fault" >"$work/bad.yaml"
  ! yamllint --strict -c .yamllint "$work/bad.yaml" >/dev/null || {
    echo "yamllint does not mind: $fault" >&2
    exit 1
  }
done
echo "${#files[@]} files"
