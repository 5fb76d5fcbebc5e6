#!/usr/bin/env bash
# lint.sh dockerfile|workflows: the Dockerfile by dockerfilelint, the workflows by actionlint, yamllint and rules of
# ours.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$(scripts/fetch-deploy-tools.sh)

dockerfile() {
  local program=$tools/node_modules/dockerfilelint/bin/dockerfilelint
  # It must be able to find some.
  printf 'FROM debian\nRUN apt-get install x\n' >"$work/bad"
  if node "$program" "$work/bad" >"$work/report"; then
    echo "dockerfilelint finds nothing in a bad file: $(cat "$work/report")"
    return 1
  fi
  # It takes the option of FROM for the name of the image, and finds no tag.
  sed 's/^FROM --platform=[^ ]* /FROM /' Dockerfile >"$work/Dockerfile"
  node "$program" "$work/Dockerfile" || return 1 # its exit code is the number of issues
}

workflows() {
  yamllint --strict -d '{extends: default, rules: {line-length: {max: 120}, document-start: disable,
    truthy: {check-keys: false}, comments: {min-spaces-from-content: 1}}}' .github/workflows
  node --input-type=module - "$tools" .github/workflows/*.yaml <<'JS'
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
const [tools, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(tools + '/')('actionlint');
const lint = await createLinter();
const bad = 'on: push\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n      - run: echo ${{ nothing.x }}\n';
if (lint(bad, 'bad.yaml').length === 0) throw new Error('actionlint finds nothing in a bad workflow');
// Newer than this actionlint.
const known = /^label "ubuntu-24[.]04" is unknown|^unknown permission scope "attestations"/;
let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(readFileSync(file, 'utf8'), file)) {
    if (known.test(message)) continue;
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    found++;
  }
}
process.exit(found === 0 ? 0 : 1);
JS
  local file problems=0
  for file in .github/workflows/*.yaml; do
    # An action is what its commit is; a tag can be moved.
    if grep -nE '^ *(- )?uses:' "$file" | grep -vE '@[0-9a-f]{40} # v[0-9]+(\.[0-9]+)*$'; then
      echo "$file: an action that is not pinned by commit, with its version as a comment"
      problems=1
    fi
    grep -qE '^permissions: *(\{\}|$)' "$file" || {
      echo "$file: no permissions at the top"
      problems=1
    }
    [[ $(grep -c '^    timeout-minutes:' "$file") == $(grep -c '^    runs-on:' "$file") ]] || {
      echo "$file: a job without timeout-minutes"
      problems=1
    }
    grep -q '^concurrency:' "$file" || {
      echo "$file: no concurrency"
      problems=1
    }
  done
  ((problems == 0))
  echo 'workflows: no issue'
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case ${1:-} in
  dockerfile | workflows) "$1" ;;
  *)
    echo "usage: lint.sh dockerfile|workflows" >&2
    exit 2
    ;;
esac
