#!/usr/bin/env bash
# run_every_cut.sh BINARY: the scripts of tests/cli that cut or kill a run, at every message (the dearer ones at each
# few) instead of at some, and what they counted. With a binary that has no sanitizers it takes a third of the time.
set -euo pipefail
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/support/common.sh
source "$support/common.sh"
(($# == 1)) || die "usage: run_every_cut.sh BINARY"
figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=0:exitcode=99} # looking for leaks is a fifth of a run; `cli` does
export LOCKKEEPER_TEST_JOBS=${LOCKKEEPER_TEST_JOBS:-2} # of which some run in parts, at once
export LOCKKEEPER_TEST_EVERY=1 LOCKKEEPER_TEST_TIMEOUT=1500 LOCKKEEPER_TEST_FIGURES=$figures
code=0
"$support/run_cli_tests.sh" "$1" cut_ killed.sh terminated.sh || code=$?
cat "$figures"
exit "$code"
