#!/usr/bin/env bash
# chart_readme.sh: follows the chart's README.md to the letter: five minutes, the application that waits, an alias, and
# every block of values in it.
# shellcheck disable=SC2016 # jq's variables
set -euo pipefail
# shellcheck source=tests/deploy/chart/lib.sh
source "$(dirname "$0")/chart/lib.sh"

# The code blocks of README.md between two marks become $work/blocks/<mark>-<n>.<language>.
python3 - "$chart/README.md" "$work/blocks" <<'PYTHON'
import re
import sys
from pathlib import Path

text = Path(sys.argv[1]).read_text(encoding="utf-8")
out = Path(sys.argv[2])
out.mkdir()
for mark in ("five minutes", "the application waits", "alias"):
    part = re.search(rf"<!-- {mark}:.*?-->(.*?)<!-- end of {mark} -->", text, re.S)
    assert part, f"no mark {mark}"
    for n, (language, block) in enumerate(re.findall(r"```([a-z]+)\n(.*?)```", part.group(1), re.S), 1):
        (out / f"{mark.replace(' ', '-')}-{n}.{language}").write_text(block, encoding="utf-8")
    text = text.replace(part.group(0), "")
for n, block in enumerate(re.findall(r"```yaml\n(.*?)```", text, re.S), 1):
    (out / f"values-{n}.yaml").write_text(block, encoding="utf-8")
PYTHON
blocks=$work/blocks
for block in five-minutes-{1.dockerfile,2.yaml,3.yaml,4.sh,5.yaml} the-application-waits-1.yaml alias-1.yaml values-{1,2}.yaml; do
  [[ -s $blocks/$block ]] || problem "README.md has no block $block"
done
version=$(sed -nE 's/^appVersion: //p' "$chart/Chart.yaml")
grep -qx "FROM registry.example.com/lockkeeper:$version" "$blocks/five-minutes-1.dockerfile" || problem "the image is not of this version"

for helm in helm3 helm4; do
  # Somebody's chart, beside a checkout of this project.
  at=$work/$helm
  mkdir -p "$at/lockkeeper/deploy/helm" "$at/shop/templates" "$at/bin"
  cp -r "$chart" "$at/lockkeeper/deploy/helm/"
  printf 'apiVersion: v2\nname: shop\nversion: 1.0.0\n' | cat - "$blocks/five-minutes-2.yaml" >"$at/shop/Chart.yaml"
  cp "$blocks/five-minutes-3.yaml" "$at/shop/values.yaml"
  {
    printf 'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec:\n  selector: {matchLabels: {app: shop}}\n'
    printf '  template:\n    metadata: {labels: {app: shop}}\n'
    cat "$blocks/the-application-waits-1.yaml"
    printf '      containers:\n        - {name: shop, image: "registry.example.com/shop:1.4.0"}\n'
  } >"$at/shop/templates/deployment.yaml"

  # There is no cluster: what would be installed is printed.
  cat >"$at/bin/helm" <<SHIM
#!/bin/sh
[ "\$1 \$2" = "upgrade --install" ] || exec "$tools/$helm" "\$@"
shift 2
exec "$tools/$helm" template --kube-version 1.35.0 "\$@"
SHIM
  chmod +x "$at/bin/helm"
  (cd "$at" && PATH=$at/bin:$PATH bash -euo pipefail "$blocks/five-minutes-4.sh" >out 2>"$work/log") ||
    problem "$helm: $(cat "$work/log")"
  sed -n '/^---$/,$p' "$at/out" >"$at/rendered.yaml"
  to_json "$at/rendered.yaml" >"$at/rendered.json"
  expect "$helm: the Job" "$at/rendered.json" '
    .[] | select(.kind == "Job") | .metadata.name == "shop-lockkeeper"
      and .metadata.annotations["helm.sh/hook"] == "pre-install,pre-upgrade"
      and .spec.template.spec.containers[0].image == "registry.example.com/shop-migrations:1.4.1"
      and .spec.template.spec.containers[0].env[0].valueFrom.secretKeyRef == {name: "shop-db", key: "DATABASE_URL"}'
  expect "$helm: the application waits" "$at/rendered.json" \
    '.[] | select(.kind == "Deployment").spec.template.spec | .initContainers[0].name == "wait-for-schema" and .volumes == null'

  (cd "$at" && bin/helm template shop shop -f "$blocks/five-minutes-5.yaml" >argocd.yaml) || problem "$helm: Argo CD"
  to_json "$at/argocd.yaml" >"$at/rendered.json"
  expect "$helm: Argo CD" "$at/rendered.json" \
    '.[] | select(.kind == "Job").metadata.annotations | .["argocd.argoproj.io/hook"] == "PreSync" and (keys | any(startswith("helm")) | not)'
  node "$root/tests/deploy/validate.mjs" "$at/rendered.yaml" "$at/argocd.yaml" || problem "$helm: objects that Kubernetes does not know"

  # A second database.
  sed 1d "$blocks/alias-1.yaml" >>"$at/shop/Chart.yaml"
  sed 's/^lockkeeper:/orders-db:/' "$blocks/five-minutes-3.yaml" >>"$at/shop/values.yaml"
  (cd "$at" && bin/helm dependency update shop >"$work/log" 2>&1 && bin/helm template shop shop >alias.yaml) ||
    problem "$helm: alias: $(cat "$work/log")"
  to_json "$at/alias.yaml" >"$at/rendered.json"
  expect "$helm: alias" "$at/rendered.json" \
    '[.[] | select(.kind == "Job").metadata.name] | sort == ["shop-lockkeeper", "shop-orders-db"]'

  for block in "$blocks"/values-*.yaml; do
    render "$helm" shop "${least[@]}" -f "$block" >/dev/null || problem "$helm: $(cat "$block")"
  done
done
finish
