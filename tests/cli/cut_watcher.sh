# The second connection, which watches a statement that takes a while, breaks at any message: the migration does not
# notice.
source "$SUPPORT/lib.sh"
source "$SUPPORT/cut_loop.sh"
new_db
password=${URL#*://*:}
password=${password%%@*}
start_proxy
declare -A count=([0]=0)
mig 1_slow <<<'CREATE TABLE a (id int); SELECT pg_sleep(0.6);'
ask_proxy arm
run_through_proxy
expect_code 0
ask_proxy verdict
ask_places 2
((${#all_places[@]} > 10)) || fail "there was no second connection: ${all_places[*]}"
choose '' 13 3
# How many looks a statement gets depends on the machine's mood: a longer one reaches all that were counted.
mig 1_slow <<<'CREATE TABLE a (id int); SELECT pg_sleep(1);'
for i in "${!places[@]}"; do
  sql 'SET client_min_messages = error; DROP SCHEMA lockkeeper CASCADE; DROP TABLE a'
  how=(fin rst)
  ask_proxy "arm ${places[i]} ${how[i % 2]}"
  run_through_proxy
  expect_code 0
  expect_no 'connecting again'
  expect_sql "SELECT outcome, (SELECT count(*) FROM a) FROM lockkeeper.history" 'applied|0'
  count[0]=$((count[0] + 1))
  ask_proxy verdict
  count[$answer]=$((${count[$answer]:-0} + 1))
done
tell 'cuts of the watcher'
