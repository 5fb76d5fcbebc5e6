#!/usr/bin/env bash
# sources.sh CHECK [ROOT]: one rule about the files of this repository, see the functions below. Prints every violation
# as file:line: message. A missing tool is a failure.
set -euo pipefail
checks=$(cd "$(dirname "$0")" && pwd)
cd "${2:-$checks/../..}"

# Every file of ours, without what is built and without test data, which may be wrong on purpose.
files() { find . \( -path ./.git -o -path ./build -o -path ./dist -o -path ./.cache \) -prune -o -type f "$@" -print0 | sort -z; }
nothing() {
  if grep .; then
    return 1
  fi
}

# The sources are formatted as .clang-format says.
check_format() {
  local program=/usr/lib/llvm-19/bin/clang-format # another version formats differently
  find src tests -name '*.[ch]pp' -print0 | xargs -0 "$program" --dry-run -Werror
}

check_shell() {
  files \( -name '*.sh' -o -path ./.ci/run \) | xargs -0 shellcheck -x
}

# Each header says what it is, first thing, and is included once.
check_headers() {
  local header
  find src tests -name '*.hpp' -print0 | sort -z | while IFS= read -r -d '' header; do
    grep -q '^#pragma once$' "$header" || echo "$header:1: no #pragma once"
    [[ $(grep -v '^$' "$header" | head -n 1) == '/// \file'* ]] || printf '%s:1: does not start with /// \\file\n' "$header"
  done | nothing
}

# Nothing here depends on the machine it was written on, nor names a package registry: packages are installed by name,
# from wherever the machine is set up for. Hosts that may be named are in hosts.txt.
check_machine() {
  # The brackets keep this file from finding itself.
  {
    files | xargs -0 grep -nIE '(^|[^[:alnum:]_./$}-])/(wor[k]|roo[t]|far[m])(/|[^[:alnum:]_-]|$)' || true
    files | xargs -0 grep -noIE '[a-z+]+://([^/@[:space:]]*@)?[][[:alnum:]:.-]+\.[a-z]{2,}' |
      grep -vE -f <(sed -E '/^(#|$)/d; s/\./\\./g; s/\*/[a-z0-9.-]*/g; s|^(.*)$|[@/]\1$|' "$checks/hosts.txt") || true
    files | xargs -0 grep -noIwE '(registry|deb|security|proxy|index|files|static|repo1?)(\.[a-z0-9-]+)+\.(org|io|com|dev|net)' |
      grep -vE 'example\.(org|com)$|:security\.kubernetes\.io$' || true # pod-security.kubernetes.io is a label
  } | nothing
}

# Text files end with a line end, have no tab where none belongs, no space at a line's end, no CRLF.
check_text() {
  local file
  files ! -path './tests/data/*' ! -path './tests/fuzz/corpus/*' -size +0 | while IFS= read -r -d '' file; do
    grep -qI . "$file" || continue # binary
    [[ -z $(tail -c 1 "$file") ]] || echo "$file: no line end at the end"
    grep -nHE $'[ \t\r]+$' "$file" || true
    case $file in
      *Makefile | *.go | *.tsv | *LICENSE) ;;
      *) grep -nHP '^ *\t' "$file" || true ;;
    esac
  done | nothing
}

case ${1:-} in
  format | shell | headers | machine | text) "check_$1" ;;
  *)
    echo "usage: sources.sh format|shell|headers|machine|text [ROOT]" >&2
    exit 2
    ;;
esac
