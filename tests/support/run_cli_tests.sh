#!/usr/bin/env bash
# run_cli_tests.sh [--dir DIR] BINARY [PATTERN...]: runs the scripts of tests/cli (DIR) whose name contains a PATTERN, three
# at a time (LOCKKEEPER_TEST_JOBS), beside one PostgreSQL cluster and one pushgateway. Each runs in an empty directory of its
# own with a database name of its own, no longer than LOCKKEEPER_TEST_TIMEOUT seconds (120); tests/support/lib.sh has
# what they are written with. Prints a line for each, the output of those that fail, and a closing count.
set -euo pipefail
support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/support/common.sh
source "$support/common.sh"

run_one() {
  local script=$1 name work output code=0 begin=$EPOCHREALTIME seconds
  name=$(basename "$script" .sh)
  work=$LOCKKEEPER_TEST_ROOT/cli/$name
  output=$LOCKKEEPER_TEST_ROOT/cli/$name.output
  mkdir "$work"
  export DB=cli_${name//[^a-z0-9_]/_}
  (cd "$work" && run_child timeout --kill-after=10 "${LOCKKEEPER_TEST_TIMEOUT:-120}" bash "$script") \
    </dev/null >"$output" 2>&1 || code=$?
  seconds=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
  printf -v seconds '%d.%03d' $((seconds / 1000)) $((seconds % 1000))
  echo "$code" >"$LOCKKEEPER_TEST_ROOT/cli/$name.code"
  {
    flock 9
    if ((code == 0)); then
      printf 'ok   %8.1fs  %s\n' "$seconds" "$name"
    else
      [[ $code != 124 && $code != 137 ]] || echo "no end after ${LOCKKEEPER_TEST_TIMEOUT:-120} seconds" >>"$output"
      printf 'FAIL %8.1fs  %s (exit code %d)\n' "$seconds" "$name" "$code"
      sed 's/^/    | /' "$output"
    fi
  } 9>"$LOCKKEEPER_TEST_ROOT/cli/lock"
}

if [[ ${1:-} == --one ]]; then
  run_one "$2"
  exit
fi

if [[ -z ${LOCKKEEPER_TEST_CLUSTER:-} ]]; then
  exec "$support/with_cluster.sh" "$0" "$@"
fi

directory=$support/../cli
if [[ ${1:-} == --dir ]]; then
  directory=$2
  shift 2
fi
(($# >= 1)) || die "usage: run_cli_tests.sh [--dir DIR] BINARY [PATTERN...]"
LOCKKEEPER=$(realpath "$1")
binary=$1
shift
patterns=("$@")
((${#patterns[@]} > 0)) || patterns=('')
[[ -x $LOCKKEEPER ]] || die "$binary is not a program"
directory=$(cd "$directory" && pwd)

scripts=()
for script in "$directory"/*.sh; do
  for pattern in "${patterns[@]}"; do
    if [[ -e $script && $(basename "$script") == *"$pattern"* ]]; then
      scripts+=("$script")
      break
    fi
  done
done
((${#scripts[@]} > 0)) || die "no script in $directory matches ${patterns[*]}"

# A sanitizer's verdict has an exit code of its own, so that no test takes it for one of ours.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:exitcode=99} UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export LOCKKEEPER SUPPORT=$support REPO=${support%/tests/support}
unset DATABASE_URL DIRECT_URL DEBUG

rm -rf "$LOCKKEEPER_TEST_ROOT/cli"
mkdir "$LOCKKEEPER_TEST_ROOT/cli"
"$support/pushgateway.sh" start "$LOCKKEEPER_TEST_ROOT/pushgateway"
trap '"$support/pushgateway.sh" stop "$LOCKKEEPER_TEST_ROOT/pushgateway"' EXIT
trap 'trap "" INT TERM HUP; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM HUP
# shellcheck source=/dev/null
source "$LOCKKEEPER_TEST_ROOT/pushgateway/env.sh"

begin=$EPOCHREALTIME
printf '%s\0' "${scripts[@]}" | xargs -0 -n 1 -P "${LOCKKEEPER_TEST_JOBS:-3}" "$0" --one

passed=0
for script in "${scripts[@]}"; do
  if [[ $(cat "$LOCKKEEPER_TEST_ROOT/cli/$(basename "$script" .sh).code" 2>/dev/null) == 0 ]]; then
    passed=$((passed + 1))
  fi
done
failed=$((${#scripts[@]} - passed))
printf '%d scripts in %d seconds\n' "${#scripts[@]}" $(((${EPOCHREALTIME/./} - ${begin/./}) / 1000000))
printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
