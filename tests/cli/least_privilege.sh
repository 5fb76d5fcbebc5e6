# A role with what `lockkeeper grants` prints, and nothing else, carries calendly from end to end, in `public` and in
# another schema that the URL names; the reader of that script may wait and look, and change nothing.
source "$SUPPORT/lib.sh"
cp -r "$REPO/migrations" migrations

# walk SCHEMA: the tables belong to a role of the application that nobody logs in as.
walk() {
  local schema=$1 admin
  new_db "$schema"
  admin=$URL
  owner=${DB}_${schema}_owner migrator=${DB}_${schema}_migrator reader=${DB}_${schema}_reader
  sql "CREATE ROLE $owner; CREATE ROLE $migrator LOGIN PASSWORD 'secret'; CREATE ROLE $reader LOGIN PASSWORD 'secret'"
  sql "REVOKE ALL ON DATABASE ${DB}_$schema FROM PUBLIC; REVOKE ALL ON SCHEMA public FROM PUBLIC"
  [[ $schema == public ]] || sql "CREATE SCHEMA $schema"
  sql "GRANT ALL ON SCHEMA $schema TO $owner; ALTER DATABASE ${DB}_$schema SET search_path = $schema"
  calendly_base
  sql "ALTER TABLE \"Booking\" OWNER TO $owner; ALTER TABLE \"SessionType\" OWNER TO $owner;
       ALTER DATABASE ${DB}_$schema RESET search_path"

  run grants --role "$owner"
  expect_code 0
  sed -e "s/lockkeeper_migrator/$migrator/g; s/lockkeeper_reader/$reader/g; s/<database>/${DB}_$schema/g" \
    -e "s/<application schema>/$schema/g" <<<"$out" >grants.sql
  ! grep -v '^--' grants.sql | grep -q '[<>]' || fail 'a name to be replaced is left'
  # Those that need the history: after the first `up`.
  grep -v ' ON "lockkeeper"."history"' grants.sql >before.sql
  sql_file before.sql

  URL=postgresql://$migrator:secret@${admin#*@}
  [[ $schema == public ]] || URL+="?schema=$schema"
  ENV=(LOCKKEEPER_ROLE="$owner")
  run doctor
  expect_code 0
  run up
  expect_code 0
  run up
  expect_code 0
  run verify
  expect_code 0
  run check
  expect_code 0
  run down --yes
  expect_code 0
  run up
  expect_code 0
  migrator_url=$URL
  URL=$admin
  expect_sql "SELECT count(*), min(table_schema), max(table_schema) FROM information_schema.columns
              WHERE column_name LIKE 'calendly%'" "5|$schema|$schema"
  expect_sql 'SELECT DISTINCT applied_by FROM lockkeeper.history' "$migrator"
  sql_file grants.sql 2>/dev/null

  ENV=()
  URL=postgresql://$reader:secret@${admin#*@}
  for name in check status 'wait --timeout 5s' up; do
    # shellcheck disable=SC2086 # words
    run $name
    expect_code 0
  done
  mig 99990101000000_more <<<"CREATE TABLE $schema.more (id int);"
  run up
  expect_code 17
  expect_err "permission denied for schema $schema.*GRANT USAGE, CREATE ON SCHEMA"
  rm -r migrations/99990101000000_more
  URL=$migrator_url # without --role: it is a member, so it may, and what it creates is its own
  mig 99990101000000_more <<<'ALTER TABLE "Booking" ADD COLUMN more int; CREATE TABLE more (id int);'
  run up
  expect_code 0
  URL=$admin
  expect_sql "SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'more'" "$schema|$migrator"
  rm -r migrations/99990101000000_more
}
walk public
walk other
