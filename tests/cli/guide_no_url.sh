# The guide's first trouble: DATABASE_URL is not set. Exit code 10, and the hint shows how a Job gets it from a secret.
source "$SUPPORT/lib.sh"
URL=
mig 1_a <<<'CREATE TABLE a (id int);'
for command in up plan status verify check doctor; do
  run "$command"
  expect_code 10
  expect_err 'DATABASE_URL is not set'
  expect_err "hint.*export DATABASE_URL='postgresql://user:password@host:5432/database'"
  expect_err 'hint.*env: .*name: DATABASE_URL, valueFrom: .*secretKeyRef'
done
ENV=(DATABASE_URL=)
run up # empty is not set
expect_code 10
ENV=()
run_terminal '' up
expect_code 10
expect_out 'DATABASE_URL is not set'
