#!/usr/bin/env bash
# The test support can be trusted: a failing script fails the run, no script at all does, and nothing stays behind, not
# even when a test is killed.
set -euo pipefail
support=$(cd "$(dirname "$0")" && pwd)
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/lk-support.XXXXXX")
export TMPDIR
chmod 711 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT
unset LOCKKEEPER_TEST_CLUSTER

fail() {
  printf 'support_test.sh: %s\n%s\n' "$1" "$(cat "$TMPDIR/output" 2>/dev/null)" >&2
  exit 1
}
# The servers run in TMPDIR, and their command lines name it.
nothing_left() {
  for _ in {1..100}; do
    if [[ -z $(compgen -G "$TMPDIR/lockkeeper-test.*") ]] && ! pgrep -f -- "postgres -D $TMPDIR/" >/dev/null; then
      return
    fi
    sleep 0.1
  done
  fail "left behind after $1: $(ls -d "$TMPDIR"/lockkeeper-test.*; pgrep -af -- "$TMPDIR/")"
}

mkdir "$TMPDIR/cli" "$TMPDIR/none"
# shellcheck disable=SC2016 # for the scripts
{
  printf 'source "$SUPPORT/lib.sh"\nnew_db\nrun up\nexpect_code 0\nexpect_out "^up$"\nexpect_sql "SELECT 1" 1\n' >"$TMPDIR/cli/good.sh"
  printf 'source "$SUPPORT/lib.sh"\nrun up\nexpect_code 12\n' >"$TMPDIR/cli/bad_code.sh"
  printf 'source "$SUPPORT/lib.sh"\nnew_db\nsql "SELECT nothing"\necho not reached\n' >"$TMPDIR/cli/bad_sql.sh"
  printf 'source "$SUPPORT/lib.sh"\nsleep 60\n' >"$TMPDIR/cli/hangs.sh"
}
run=("$support/run_cli_tests.sh" --dir "$TMPDIR/cli" /bin/echo)

"${run[@]}" good >"$TMPDIR/output" 2>&1 || fail "a good script failed"
grep -q '^1 passed, 0 failed$' "$TMPDIR/output" || fail "no closing line"
nothing_left "success"

! LOCKKEEPER_TEST_TIMEOUT=3 "${run[@]}" >"$TMPDIR/output" 2>&1 || fail "bad scripts passed"
grep -q '^1 passed, 3 failed$' "$TMPDIR/output" || fail "wrong count"
grep -q 'bad_code.sh:3: exit code 0, expected 12' "$TMPDIR/output" || fail "does not say which line"
grep -q 'bad_sql.sh:3: this command failed' "$TMPDIR/output" || fail "does not say which command"
! grep -q 'not reached' "$TMPDIR/output" || fail "went on after a failed command"
nothing_left "failure"

! "${run[@]}" no_such_script >"$TMPDIR/output" 2>&1 || fail "no script at all passed"
! "$support/run_cli_tests.sh" --dir "$TMPDIR/none" /bin/echo >"$TMPDIR/output" 2>&1 || fail "an empty directory passed"

for signal in KILL TERM INT; do
  env --default-signal=INT "$support/with_cluster.sh" sleep 60 >"$TMPDIR/output" 2>&1 &
  victim=$!
  until pgrep -P "$victim" -x sleep >/dev/null; do sleep 0.1; done
  kill "-$signal" "$victim"
  ! wait "$victim" 2>/dev/null || fail "killed by $signal, and exit code 0"
  nothing_left "SIG$signal"
done
echo "the test support holds"
