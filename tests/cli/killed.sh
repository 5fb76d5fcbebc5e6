# kill -9 at any moment of a run: the next run gets to the same end, with nothing done twice and nothing left undone.
source "$SUPPORT/lib.sh"
source "$SUPPORT/kill_loop.sh"
new_db
write_migrations
one_more() {
  [[ $killed_code == 137 || ($killed_code == 0 && $1 == after) ]] || fail "exit code $killed_code of the killed one"
  count[$1]=$((count[$1] + 1))
}
kill_often KILL 32
run verify
expect_code 0
