#!/usr/bin/env bash
# Each rule of sources.sh accepts what is right and finds what is wrong.
set -euo pipefail
checks=$(cd "$(dirname "$0")" && pwd)
root=$(mktemp -d "${TMPDIR:-/tmp}/lockkeeper-checks.XXXXXX")
trap 'rm -rf "$root"' EXIT

fresh() {
  rm -rf "${root:?}"/*
  mkdir -p "$root/src" "$root/tests"
  cp "$checks/../../.clang-format" "$root"
  printf '/// \\file\n/// What it is.\n#pragma once\n\nint good();\n' >"$root/src/good.hpp"
  printf '#!/bin/sh\necho good\n' >"$root/good.sh"
}

# finds RULE PATTERN: the file bad.* that was planted, and not what is good.
finds() {
  local output
  if output=$("$checks/sources.sh" "$1" "$root" 2>&1); then
    echo "$1 did not find: $2" >&2
    exit 1
  fi
  if ! grep -qE -- "$2" <<<"$output" || grep -q 'good\.' <<<"$output"; then
    printf '%s: expected %s, got:\n%s\n' "$1" "$2" "$output" >&2
    exit 1
  fi
  fresh
}

fresh
for rule in format shell headers machine text; do
  "$checks/sources.sh" "$rule" "$root"
done

printf 'int   f( );\n' >"$root/src/bad.cpp"
finds format 'bad\.cpp:1:4: error'
printf '#!/bin/sh\necho %s1\n' '$' >"$root/bad.sh"
finds shell 'SC2086'
printf '/// \\file\nint f();\n' >"$root/src/bad.hpp"
finds headers 'bad\.hpp:1: no #pragma once'
printf '#pragma once\n/// \\file\n' >"$root/src/bad.hpp"
finds headers 'bad\.hpp:1: does not start'
printf 'cd /%s/main\n' work >"$root/bad.txt"
finds machine 'bad\.txt:1:'
printf 'curl https://downloads.%s/x\n' somewhere.dev >"$root/bad.txt"
finds machine 'bad\.txt:1:'
printf 'image: registry.%s/x\n' somewhere.io >"$root/bad.txt"
finds machine 'bad\.txt:1:'
printf 'a \n' >"$root/bad.txt"
finds text 'bad\.txt:1:'
printf 'no end' >"$root/bad.txt"
finds text 'bad\.txt: no line end'
printf 'a\r\n' >"$root/bad.txt"
finds text 'bad\.txt:1:'
printf '\ta\n' >"$root/bad.txt"
finds text 'bad\.txt:1:'
