#!/usr/bin/env bash
# run.sh [full]: checks protocol.pml with spin. First the protocol as it is: no property may fail. Then each planted mistake,
# which has to be found. `full` is the largest case instead: three runners, two crashes (minutes, 1 GB of memory). Prints a
# table; README.md explains it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cases=${1:-quick}
[[ $cases == quick || $cases == full ]] || {
  echo "usage: run.sh [full]" >&2
  exit 2
}
for tool in spin cc; do
  command -v "$tool" >/dev/null || {
    echo "model: $tool is missing: scripts/install-packages.sh test" >&2
    exit 1
  }
done
optimise=-O0 # the small cases take longer to compile than to run
[[ $cases == quick ]] || optimise=-O2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

# check EXPECTED NAME DEFINITION...: holds or fails, with -D of each.
check() {
  local expected=$1 name=$2 begin=$EPOCHREALTIME seconds result what states
  local dir=$work/$name
  shift 2
  mkdir "$dir"
  cp "$here/protocol.pml" "$dir"
  # Spin hands the macros to the C preprocessor.
  (
    cd "$dir"
    spin -a "${@/#/-D}" protocol.pml && cc $optimise -DSAFETY -DCOLLAPSE -o pan pan.c
  ) >"$dir/build" 2>&1 || {
    cat "$dir/build" >&2
    echo "model: $name does not compile" >&2
    exit 1
  }
  (cd "$dir" && ./pan -m100000) >"$dir/out" 2>&1 || true
  seconds=$(((${EPOCHREALTIME/./} - ${begin/./}) / 100000))
  states=$(sed -nE 's/^ *([0-9]+) states, stored.*/\1/p' "$dir/out")
  what=$(sed -nE 's/^pan:1: (.*) \(at depth [0-9]+\)$/\1/p' "$dir/out")
  case $(grep -oE 'errors: [0-9]+' "$dir/out") in
    'errors: 0') result=holds ;;
    'errors: '*) result=fails ;;
    *) result='not run' ;;
  esac
  # A search that was cut short has shown nothing.
  if grep -qE 'Search not completed|max search depth too small|out of memory' "$dir/out" && [[ $result == holds ]]; then
    result=unfinished
  fi
  printf '%-28s %-8s %-10s %10s %5d.%d  %s\n' "$name" "$expected" "$result" "${states:--}" \
    $((seconds / 10)) $((seconds % 10)) "$what"
  if [[ $result != "$expected" ]]; then
    failed=1
    if [[ -e $dir/protocol.pml.trail ]]; then
      echo "  not as expected; the steps that led there, and what was known then:"
      (cd "$dir" && spin -t -p -g "${@/#/-D}" protocol.pml) | tail -n 60
    else
      echo "  not as expected:"
      cat "$dir/out"
    fi
  fi
}

printf '%-28s %-8s %-10s %10s %7s  %s\n' case expected result states seconds 'what failed'
if [[ $cases == full ]]; then
  check holds direct_3_runners_2_crashes RUNNERS=3 FAULTS=2
  check holds pooled_3_runners_2_crashes RUNNERS=3 FAULTS=2 POOLED
  exit $failed
fi

check holds direct_3_runners_1_crash RUNNERS=3 FAULTS=1
check holds direct_2_runners_2_crashes RUNNERS=2 FAULTS=2
check holds pooled_3_runners_1_crash RUNNERS=3 FAULTS=1 POOLED
check holds pooled_2_runners_2_crashes RUNNERS=2 FAULTS=2 POOLED
check holds guard_saves_a_reconnect RUNNERS=2 FAULTS=1 RECONNECT_WITHOUT_LOCK
check holds both_locks_hold_an_unlock RUNNERS=2 FAULTS=1 MIGRATION_UNLOCKS BOTH_LOCKS

# Mistakes. ONLY_ONCE: that a rule was broken is not enough, something has to be done twice or be lost.
mistake() {
  check fails "$@" RUNNERS=2 FAULTS=1 ONLY_ONCE
}
mistake unlock_before_commit UNLOCK_BEFORE_COMMIT
mistake history_read_before_lock HISTORY_READ_BEFORE_LOCK
mistake reconnect_without_lock RECONNECT_WITHOUT_LOCK NO_GUARD
mistake statement_not_looked_up NOT_LOOKED_UP
mistake doubt_forgotten DOUBT_FORGOTTEN
mistake migration_unlocks MIGRATION_UNLOCKS
mistake pooled_not_read_again POOLED HISTORY_READ_BEFORE_LOCK
mistake pooled_session_lock POOLED SESSION_LOCK
mistake pooled_old_snapshot POOLED SNAPSHOT_BEFORE_LOCK
exit $failed
