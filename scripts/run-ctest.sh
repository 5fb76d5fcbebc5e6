#!/usr/bin/env bash
# run-ctest.sh BUILD_DIR ARGUMENT...: ctest, where a test that did not run (skipped, disabled, not built) is a failure.
set -euo pipefail
build=$1
shift
report=$build/ctest-report.xml
rm -f "$report"
code=0
ctest --test-dir "$build" --output-on-failure --no-tests=error --output-junit "$(realpath "$report")" "$@" || code=$?
[[ -e $report ]] || exit $((code == 0 ? 1 : code))
if grep -qE '<testcase [^>]*status="(notrun|disabled)"' "$report"; then
  echo "tests that did not run:" >&2
  sed -nE 's/.*<testcase name="([^"]*)".* status="(notrun|disabled)".*/  \1 (\2)/p' "$report" >&2
  exit 1
fi
exit "$code"
