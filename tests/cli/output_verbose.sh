# --verbose and DEBUG=1, exactly, show each statement; nothing else does.
source "$SUPPORT/lib.sh"
new_db
number=0
up_with() { # ARGUMENT...: one more migration
  number=$((number + 1))
  mig "${number}_v" <<<"CREATE TABLE v$number (id int);"
  run up "$@"
  expect_code 0
}
up_with --verbose
expect_err '"level":"debug","event":"statement_finished".*"kind":"CREATE TABLE","sql":"CREATE TABLE v1 .id int."'
up_with --verbose --log-format text
expect_err 'debug .*CREATE TABLE v2 .id int.'
ENV=(DEBUG=1)
up_with
expect_err '"sql":"CREATE TABLE v3'
ENV=(LOCKKEEPER_VERBOSE=true)
up_with
expect_err '"sql":"CREATE TABLE v4'
for value in 0 true app:\* 11; do
  ENV=(DEBUG="$value")
  up_with
  expect_no 'CREATE TABLE'
done
ENV=(DEBUG=1 NO_COLOR=1)
number=9
mig 9_v <<<'CREATE TABLE v9 (id int);'
run_terminal '' up --yes
expect_code 0
expect_out 'CREATE TABLE v9'
