# A .env file is read when --env-file names it, and only then; the real environment wins over it.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
good=$URL URL=
cat >.env <<ENV_FILE
# comment
export DATABASE_URL="$good"
LOCKKEEPER_HISTORY_TABLE='ops.history'   # quoted
DEBUG=1
ENV_FILE
run up
expect_code 10
expect_err 'DATABASE_URL is not set'

run up --env-file .env
expect_code 0
expect_err '"url_source":"environment variable DATABASE_URL'
expect_err '"event":"statement_finished"' # DEBUG=1
ENV=(LOCKKEEPER_HISTORY_TABLE=mine.history DEBUG=0)
run check --env-file .env
expect_code 3
expect_no '"level":"debug"'
ENV=()
URL=$good
expect_sql "SELECT string_agg(schemaname, ' ') FROM pg_tables WHERE tablename = 'history'" ops
URL=

printf 'PGHOST=%s\nPGPORT=%s\nPGUSER=postgres\nPGPASSWORD=%s\nPGDATABASE=%s\nLOCKKEEPER_HISTORY_TABLE=ops.history\n' \
  127.0.0.1 "$(sed -E 's/.*:([0-9]+)\/.*/\1/' <<<"$good")" "$(sed -E 's/.*postgres:([^@]*)@.*/\1/' <<<"$good")" "$DB" >pg.env
run check --env-file pg.env # libpq's own variables, too
expect_code 0
for line in 'no equals sign' '1X=y' 'A="open' 'A="x" y'; do
  printf 'B=ok\n%s\n' "$line" >bad.env
  run check --env-file bad.env
  expect_code 10
  expect_err 'bad.env:2'
done
