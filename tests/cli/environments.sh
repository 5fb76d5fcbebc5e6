# lockkeeper.yaml with dev, preview and prod: --env chooses URL and policies, `forbid` refuses, a terminal is asked unless --yes.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
mig 1_a down.sql <<<'DROP TABLE a;'
cat >lockkeeper.yaml <<'YAML'
history_table: ops.history
environments:
  dev: {database_url_env: DEV_URL, yes: true}
  preview: {database_url_file: preview.url, history_table: preview.history}
  prod: {database_url_env: PROD_URL, forbid: [down]}
YAML
good=$URL URL=
ENV=(DEV_URL="$good" PROD_URL="$good" NO_COLOR=1)
printf '%s\n' "$good" >preview.url

run_terminal 'n\n' up --env prod
expect_code 22
expect_out '^1_a +1 statement, one transaction'
expect_out "Apply 1 migration to database $DB .* of environment prod\\? \\[y/N\\]"
expect_out 'the answer was no; nothing was changed'
run_terminal 'y\n' up --env prod
expect_code 0
run_terminal '' up --env prod # nothing to do: nothing to ask
expect_code 0
expect_no '\[y/N\]'
run_terminal '' down --env prod --yes
expect_code 22
expect_out 'the environment prod forbids .down.'
URL=$good
expect_sql "SELECT details->>'environment' FROM ops.history" prod

run_terminal '' down --env dev # yes: true
expect_code 0
run_terminal '' up --env prod --yes
expect_code 0
expect_no '\[y/N\]'
run up --env preview --on-out-of-order apply --role postgres # its own history: the table is there already
expect_code 12
expect_sql "SELECT error LIKE '%already exists%', details->>'environment' FROM preview.history" 't|preview'

run up --env prdo
expect_code 10
expect_err 'lockkeeper.yaml has no environment .{1,2}prdo.*It has: dev, preview, prod'
ENV=()
run up --env dev
expect_code 10
expect_err 'DEV_URL .*is not set or empty'
mv lockkeeper.yaml other.yaml
run up --env dev
expect_code 10
expect_err '--env is given, but there is no lockkeeper.yaml'
ENV=(DEV_URL="$good" LOCKKEEPER_CONFIG=other.yaml LOCKKEEPER_ENV=dev)
run check
expect_code 0
expect_err '"environment":"dev"'
