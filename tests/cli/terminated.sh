# SIGTERM at any moment of a run: 143 unless it was done already, and it says so; the next run gets to the same end.
source "$SUPPORT/lib.sh"
source "$SUPPORT/kill_loop.sh"
new_db
write_migrations
one_more() {
  [[ $killed_code == 143 || ($killed_code == 0 && $1 == after) ]] || fail "exit code $killed_code, $1: $killed_err"
  if [[ $killed_code == 143 && $1 == inside ]]; then
    grep -q '"event":"run_finished".*"exit_code":143' <<<"$killed_err" || fail "no last line: $killed_err"
  fi
  count[$1]=$((count[$1] + 1))
}
kill_often TERM 16
