# Exit code 1: an error that has no better name, such as a standard output that cannot be written. It never is a silent 0.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
for line in plan 'plan --format json' status verify doctor grants explain --help --version; do
  read -ra words <<<"$line"
  command_line "${words[@]}"
  code=0 last_run="$line >/dev/full"
  "${command[@]}" </dev/null >/dev/full 2>run.err || code=$?
  : >run.out
  after_run run
  expect_code 1
  expect_err 'cannot write to standard output'
done
