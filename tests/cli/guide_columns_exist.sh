# The guide's third trouble: columns that are there already. All or some: no error. With a wrong type: 16, and nothing is changed.
source "$SUPPORT/lib.sh"
columns="SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY table_name, column_name)
         FROM information_schema.columns WHERE column_name LIKE 'calendly%'"
as_expected='calendlyEventId text, calendlyEventUri text, calendlyInviteeUri text, calendlyEventTypeId text, calendlyEventTypeUri text'
cp -r "$REPO/migrations" migrations

new_db some
calendly_base
sql 'ALTER TABLE "Booking" ADD "calendlyEventUri" TEXT; ALTER TABLE "SessionType" ADD "calendlyEventTypeId" TEXT'
run up
expect_code 0
expect_sql "$columns" "$as_expected"
expect_sql 'SELECT outcome FROM lockkeeper.history' applied

new_db all
calendly_base
sql_file "$(echo migrations/*/up.sql)"
run up
expect_code 0
expect_sql "$columns" "$as_expected"
run verify
expect_code 0

new_db wrong
calendly_base
sql 'ALTER TABLE "Booking" ADD "calendlyEventUri" VARCHAR(100)'
run up
expect_code 16
expect_err 'Booking.calendlyEventUri: expected text, nullable, found (character varying|varchar)\(100\), nullable'
expect_err 'The migration was rolled back; nothing was changed'
expect_sql "$columns" 'calendlyEventUri character varying'
expect_sql "SELECT outcome, error LIKE '%calendlyEventUri: expected text%' FROM lockkeeper.history" 'failed|t'
run check
expect_code 3
sql 'ALTER TABLE "Booking" ALTER "calendlyEventUri" TYPE TEXT'
run up
expect_code 0
expect_sql "$columns" "$as_expected"

sql 'ALTER TABLE "Booking" DROP "calendlyEventId"'
run verify # changed by hand afterwards
expect_code 16
expect_out 'column Booking.calendlyEventId +text.* +absent'
