#!/bin/sh
# Runs each fuzz target for a fixed number of inputs, from the seeds in tests/data/fuzz/<name>/ (without "fuzz_").
# Usage: tests/fuzz/run.sh BUILD_DIR [RUNS]        (default 20000; the same inputs every time: -seed=1)
# Fails when a target is missing, has no seeds, crashes, leaks, hangs or uses too much memory. What fails stays in the
# directory that is named.
set -eu

build=${1:?usage: run.sh BUILD_DIR [RUNS]}
runs=${2:-20000}
here=$(cd "$(dirname "$0")" && pwd)
seeds=$here/../data/fuzz
work=$(mktemp -d)
failed=0

run() {  # target, longest input in bytes
  target=$1
  binary=$build/tests/fuzz/$target
  if [ ! -x "$binary" ]; then
    echo "FAIL $target: $binary is missing" >&2
    failed=1
    return
  fi
  if [ -z "$(ls -A "$seeds/${target#fuzz_}" 2>/dev/null)" ]; then
    echo "FAIL $target: no seeds in $seeds/${target#fuzz_}" >&2
    failed=1
    return
  fi
  mkdir -p "$work/$target/corpus"
  cp "$seeds/${target#fuzz_}"/* "$work/$target/corpus/"
  if "$binary" -seed=1 -runs="$runs" -max_len="$2" -timeout=10 -rss_limit_mb=2048 \
      -artifact_prefix="$work/$target/" "$work/$target/corpus" >"$work/$target/log" 2>&1; then
    echo "ok   $target: $runs runs"
  else
    tail -n 40 "$work/$target/log" >&2
    echo "FAIL $target: see $work/$target" >&2
    failed=1
  fi
}

run fuzz_name 256
run fuzz_statements 4096
run fuzz_url 1024
run fuzz_yaml 4096

if [ "$failed" -eq 0 ]; then
  rm -rf "$work"
fi
exit "$failed"
