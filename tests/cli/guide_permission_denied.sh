# The guide's second trouble: permission denied. Exit code 17 with a GRANT that, run as it stands, helps; until `up` passes.
source "$SUPPORT/lib.sh"
new_db
calendly_base
cp -r "$REPO/migrations" migrations
mig 10_notes <<<'CREATE TABLE "Note" (id int);'
new_role migrator
sql 'REVOKE CREATE ON SCHEMA public FROM PUBLIC' # as PostgreSQL 15 has it from the start
admin=$URL

# denied REGEX: as the new role, `up` is refused; runs the GRANT of the hint.
denied() {
  URL=$ROLE_URL
  run up
  URL=$admin
  expect_code 17
  expect_err "$1"
  expect_sql "SELECT count(*) FROM information_schema.columns WHERE column_name LIKE 'calendly%'" 0
  grant=$(tail -n 1 <<<"$err" | jq -r .error.hint | grep -oE '(GRANT|CREATE SCHEMA) [^;]*;' | head -n 1)
  [[ -n $grant ]] || fail "the hint has no GRANT"
  echo "running: $grant"
  sql "$grant"
}
denied 'cannot create the history lockkeeper.history: permission denied for database'
denied '10_notes/up.sql:1:14.*permission denied for schema public.*42501'
denied 'must be owner of table .*SessionType'
URL=$ROLE_URL
run up --role postgres # what the hint says about --role; the GRANT was of the owner
URL=$admin
expect_code 0
expect_sql "SELECT count(*) FROM information_schema.columns WHERE column_name LIKE 'calendly%'" 5

# The history belongs to somebody else: another role may not read it, and is told what to ask for.
new_role reader
URL=$ROLE_URL
for command in check status wait plan; do
  run "$command"
  expect_code 17
  expect_err 'cannot read the history lockkeeper.history: permission denied for schema'
done
grant=$(tail -n 1 <<<"$err" | jq -r .error.hint)
URL=$admin
sql "$grant"
URL=$ROLE_URL
run check
expect_code 0

# A wrong password, a role that may not log in, no CONNECT.
URL=postgresql://$ROLE:wrong@${admin#*@}
run up --auth-wait 0
expect_code 17
expect_err '28P01'
URL=$admin
sql "REVOKE CONNECT ON DATABASE $DB FROM PUBLIC"
URL=$ROLE_URL
run up --auth-wait 0
expect_code 17
expect_err '42501.*has CONNECT on the database'
