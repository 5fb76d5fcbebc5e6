# Exit codes 2, 10 and 11: what is wrong with command line, configuration and files is said without a connection.
source "$SUPPORT/lib.sh"
URL=postgresql://app@127.0.0.1:9/nowhere
mig 1_a <<<'CREATE TABLE a (id int);'

for line in '' upp 'up --no-such-flag' 'up --lock-wait' 'up --lock-wait soon' 'up more' 'explain 99' 'explain ten' \
  'status --format markdown' 'down --strict' 'repair 1' 'wait --timeout 0' 'up --on-ahead maybe'; do
  read -ra words <<<"$line"
  run ${words[@]+"${words[@]}"}
  expect_code 2
  expect_err '^error: '
  [[ -z $out ]] || fail "a wrong command line writes to stdout"
done
run upp
expect_err 'hint: Did you mean lockkeeper up\?'

refused() { # CODE REGEX ARGUMENT...: refused at once, although the server could be waited for
  local want=$1 regex=$2 begin=$SECONDS
  shift 2
  run "$@"
  expect_code "$want"
  expect_err "$regex"
  ((SECONDS - begin < 10)) || fail "waited for a server"
}
ENV=(LOCKKEEPER_LOCK_WAIT=soon)
refused 10 'LOCKKEEPER_LOCK_WAIT.*a duration such as' up
ENV=()
printf 'lock_wait: 1s\nlock_wiat: 1s\non_ahead: maybe\n' >lockkeeper.yaml
refused 10 'lockkeeper.yaml:2:1: .*lock_wiat.*Did you mean lock_wait.*lockkeeper.yaml:3:11: on_ahead' up
rm lockkeeper.yaml
refused 10 'file /nowhere/url .*does not exist' up --auth-wait 0 --database-url-file /nowhere/url
refused 10 'file .* does not exist' up --config no.yaml
refused 10 'file .* does not exist' up --env-file no.env
refused 10 'NO_SUCH_VARIABLE.* is not set or empty' up --database-url-env NO_SUCH_VARIABLE
URL='postgresql://app@127.0.0.1:9/nowhere?sslmode=on'
refused 10 'has a bad value for sslmode: expected disable, allow, prefer, require, verify-ca, verify-full' up
URL=postgresql://app@127.0.0.1:9/nowhere

refused 11 'nowhere.*(does not exist|no such)' up --migrations nowhere
mig 1_b <<<'SELECT 1;'
mig c <<<'SELECT 1;'
mkdir migrations/3_d
refused 11 '1_a.*1_b' up # duplicates, a directory without a version and one without up.sql: all at once
expect_err 'migrations/c'
expect_err 'migrations/3_d.*up.sql'
