# docs/prisma.md as far as it is about Lockkeeper: the models have the columns of the database, Prisma's URL works, the history
# is in a schema of its own, columns that are there already, baseline, a reset that keeps the history.
source "$SUPPORT/lib.sh"
doc=$REPO/docs/prisma.md
new_db
calendly_base
cp -r "$REPO/migrations" migrations
run up
expect_code 0

# --- the models: each field that is no relation is a column, and the other way round
awk '/^```prisma$/ {on = 1; next} /^```$/ {on = 0} on' "$doc" >schema.prisma
awk '/^model/ {model = $2} /^  [a-z]/ && $2 !~ /^(Booking|SessionType)/ {
       print model "." $1, $2 ~ /\?$/ ? "YES" : "NO" }' schema.prisma | sort >fields
sql "SELECT table_name || '.' || column_name || ' ' || is_nullable FROM information_schema.columns
     WHERE table_schema = 'public'" | sort >columns
diff fields columns || fail 'the models of docs/prisma.md are not the tables'
(($(grep -c '^  calendly.* String?$' schema.prisma) == 5)) || fail 'not five Calendly columns'

# --- whatever Prisma looks at has nothing of ours
expect_sql "SELECT string_agg(tablename, ' ' ORDER BY tablename) FROM pg_tables WHERE schemaname = 'public'" 'Booking SessionType'
expect_sql "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = 'lockkeeper'" lockkeeper.history

# --- Prisma's URL
plain=$URL
URL="$plain?schema=public&connection_limit=1&pool_timeout=10&statement_cache_size=0"
run check
expect_code 0
URL=

# --- columns that are there already, added by hand: recorded; of another type: refused; baseline: not run
URL=$plain
for how in same other baseline; do
  sql 'DROP SCHEMA lockkeeper CASCADE'
  case $how in
    same) run up && expect_code 0 ;;
    other)
      sql 'ALTER TABLE "Booking" ALTER "calendlyEventId" TYPE integer USING NULL'
      run up
      expect_code 16
      expect_err 'column Booking.calendlyEventId: expected text, nullable, found integer'
      expect_sql "SELECT count(*) FROM lockkeeper.history WHERE outcome = 'applied'" 0
      sql 'ALTER TABLE "Booking" ALTER "calendlyEventId" TYPE text'
      ;;
    baseline)
      line=$(sed -nE 's/^lockkeeper (baseline .*)$/\1/p' "$doc")
      # shellcheck disable=SC2086 # its words
      run $line
      expect_code 0
      expect_sql 'SELECT direction, outcome FROM lockkeeper.history' 'baseline|applied'
      ;;
  esac
done

# --- prisma migrate reset empties public and keeps our schema
sql 'DROP SCHEMA public CASCADE; CREATE SCHEMA public'
run verify
expect_code 16
run up
expect_code 0
sql "$(awk '/^```sql$/ {on = 1; next} /^```$/ {on = 0} on' "$doc")"
run up
expect_code 12
expect_err 'SessionType.* does not exist'
