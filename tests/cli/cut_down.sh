# `down` rolls back the version that it has chosen and no other: when the connection breaks at any message, and when
# another `down` was faster.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
new_db
password=${URL#*://*:}
password=${password%%@*}
for version in 1 2 3; do
  mig "${version}_t" <<<"CREATE TABLE t$version (id int);"
  mig "${version}_t" down.sql <<<"DROP TABLE t$version;"
done
declare -A count=([0]=0)
# The tables, and the versions that the history calls applied: the same, always.
cat >look.sql <<'SQL'
SELECT string_agg(substr(tablename, 2), ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public';
SELECT string_agg(version, ' ' ORDER BY version)
FROM (SELECT DISTINCT ON (version) version, direction FROM lockkeeper.history
      WHERE outcome = 'applied' ORDER BY version, id DESC) newest
WHERE direction = 'up';
SQL
start_session
start_proxy
run up
expect_code 0
run_arguments=(down --yes --allow-data-loss)

ask_proxy arm
run_through_proxy
expect_code 0
ask_proxy verdict
# shellcheck disable=SC2119
ask_places
in_session look.sql
[[ $seen == $'1 2\n1 2' ]] || fail "an undisturbed run leaves $seen"
choose client 11 3
choose server 53 11
for i in "${!places[@]}"; do
  if [[ $seen != $'1 2 3\n1 2 3' ]]; then
    run up
    expect_code 0
  fi
  how=(fin rst)
  ask_proxy "arm ${places[i]} ${how[i % 2]}"
  run_through_proxy
  count[$code]=$((${count[$code]:-0} + 1))
  ask_proxy verdict
  count[$answer]=$((${count[$answer]:-0} + 1))
  in_session look.sql
  case $code:${seen//$'\n'/,} in
    '0:1 2,1 2' | '30:1 2 3,1 2 3' | '33:1 2 3,1 2 3') ;;
    *) wrong "${how[i % 2]}, ${places[i]}: exit code $code, tables and versions: ${seen/$'\n'/, }" ;;
  esac
done
tell 'cuts of down'

# Two at once have chosen the same version: one rolls it back, the other says that it is gone.
run up
expect_code 0
key="hashtextextended(current_database()::text || ':lockkeeper.history', 0)"
hold "SELECT pg_advisory_lock($key)"
for name in one other; do
  start "$name" down --yes --allow-data-loss
done
for name in one other; do
  for _ in {1..100}; do
    ! grep -q '"lock_waiting"' "$name.err" || break
    sleep 0.1
  done
  grep -q '"lock_waiting"' "$name.err" || fail "$(<"$name.err")"
done
release
finish one
codes=$code
finish other
[[ "$codes $code" == '0 15' || "$codes $code" == '15 0' ]] || fail "exit codes $codes and $code"
in_session look.sql
[[ $seen == $'1 2\n1 2' ]] || fail "two at once leave $seen"
