#!/usr/bin/env bash
# run_majors.sh BINARY COMMAND...: runs COMMAND once beside a server of each supported PostgreSQL major version, with
# with_cluster.sh's variables and LOCKKEEPER=BINARY, and prints a table of the results. A version whose server cannot be
# had is a failure. LOCKKEEPER_TEST_MAJORS="15 18" picks some.
set -euo pipefail
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/support/common.sh
source "$support/common.sh"
(($# >= 2)) || die "usage: run_majors.sh BINARY COMMAND..."
LOCKKEEPER=$(realpath "$1")
export LOCKKEEPER
shift

table='' failures=0 count=0
for major in ${LOCKKEEPER_TEST_MAJORS:-13 14 15 16 17 18}; do
  count=$((count + 1))
  printf -- '--- PostgreSQL %s\n' "$major"
  begin=$SECONDS code=0
  if ! LOCKKEEPER_TEST_PGBIN=$("$support/../../scripts/fetch-postgres.sh" "$major"); then
    result='no server programs' failures=$((failures + 1))
  else
    export LOCKKEEPER_TEST_PGBIN
    run_child "$support/with_cluster.sh" "$@" || code=$?
    if ((code == 0)); then
      result=ok
    elif ((code == 130 || code == 143)); then
      exit "$code"
    else
      result="FAILED, exit code $code" failures=$((failures + 1))
    fi
  fi
  printf -v line 'PostgreSQL %-3s %4d s  %s\n' "$major" $((SECONDS - begin)) "$result"
  table+=$line
done
printf '\n%s%d passed, %d failed\n' "$table" $((count - failures)) "$failures"
((count > 0 && failures == 0))
