# Where the URL comes from: the first source of the contract that is set; the log names it and never shows its value.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
good=$URL
bad=postgresql://marker:marker@127.0.0.1:9/marker
secret=${good#*postgres:} secret=${secret%%@*}
printf '%s\n' "$good" >url
printf 'environments:\n  dev: {database_url_env: DEV_URL}\n  prod: {database_url_file: url}\n' >lockkeeper.yaml
host=${good#*@} host=${host%%:*}
port=${good##*:} port=${port%%/*}
pg=(PGHOST="$host" PGPORT="$port" PGUSER=postgres PGPASSWORD="$secret" PGDATABASE="$DB")
bad_pg=(PGHOST=127.0.0.1 PGPORT=9)

# from SOURCE ENVIRONMENT... [-- ARGUMENT...]: works, from that source, although all later ones are wrong.
from() {
  local source=$1
  shift
  ENV=()
  while (($# > 0)) && [[ $1 != -- ]]; do
    ENV+=("$1")
    shift
  done
  (($# == 0)) || shift
  URL=
  run up --connect-wait 0 --auth-wait 0 "$@"
  expect_code 0
  expect_err "\"event\":\"run_started\".*\"url_source\":\"[^\"]*$source"
  expect_no "$secret|marker"
}
from 'PGHOST' "${pg[@]}"
from 'environment variable DATABASE_URL_FILE' DATABASE_URL_FILE=url "${bad_pg[@]}"
from 'environment variable DATABASE_URL"' DATABASE_URL="$good" DATABASE_URL_FILE=/no "${bad_pg[@]}"
from 'environment variable DIRECT_URL' DIRECT_URL="$good" DATABASE_URL=$bad DATABASE_URL_FILE=/no "${bad_pg[@]}"
from 'LOCKKEEPER_DATABASE_URL_FILE' LOCKKEEPER_DATABASE_URL_FILE=url DIRECT_URL=$bad DATABASE_URL=$bad
from 'environment variable LOCKKEEPER_DATABASE_URL"' LOCKKEEPER_DATABASE_URL="$good" LOCKKEEPER_DATABASE_URL_FILE=/no DIRECT_URL=$bad
from 'environment variable DEV_URL .lockkeeper.yaml:2' DEV_URL="$good" LOCKKEEPER_DATABASE_URL=$bad DATABASE_URL=$bad -- --env dev
from 'file url .lockkeeper.yaml:3' LOCKKEEPER_DATABASE_URL=$bad DATABASE_URL=$bad -- --env prod
from 'environment variable OTHER .flag' OTHER="$good" LOCKKEEPER_DATABASE_URL=$bad -- --env prod --database-url-env OTHER
from 'file url .flag' LOCKKEEPER_DATABASE_URL=$bad -- --env dev --database-url-file url

# A source that is named and not there is an error: no other database is tried.
URL=$good
ENV=()
run up --env dev
expect_code 10
expect_err 'DEV_URL .*is not set or empty'
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1
