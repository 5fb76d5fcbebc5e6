# The migration that the project exists for: plan, up, up again, verify, status, down refused, down allowed.
source "$SUPPORT/lib.sh"
new_db
calendly_base
cp -r "$REPO/migrations" migrations

run plan
expect_code 0
expect_out 'ALTER TABLE "Booking" ADD COLUMN IF NOT EXISTS "calendlyEventId" TEXT'
run check
expect_code 3

run up
expect_code 0
expect_sql "SELECT string_agg(table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable, ', ' ORDER BY table_name, column_name)
            FROM information_schema.columns WHERE column_name LIKE 'calendly%'" \
  'Booking.calendlyEventId text YES, Booking.calendlyEventUri text YES, Booking.calendlyInviteeUri text YES, '\
'SessionType.calendlyEventTypeId text YES, SessionType.calendlyEventTypeUri text YES'
expect_sql "SELECT version, name, direction, outcome, statements_done, statements_total FROM lockkeeper.history" \
  '20250520000000|calendly_integration|up|applied|2|2'

run up
expect_code 0
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1
run check
expect_code 0
run verify
expect_code 0
expect_out 'column Booking.calendlyInviteeUri +text, nullable +text, nullable'
run status
expect_code 0
expect_out '20250520000000 +calendly_integration +applied'

sql "UPDATE \"Booking\" SET \"calendlyEventId\" = 'ev-1' WHERE id IN ('booking-1', 'booking-2')"
run down
expect_code 22
run down --yes
expect_code 21
expect_err 'Booking.calendlyEventId .values that are not null.: 2'
expect_sql "SELECT count(*) FROM information_schema.columns WHERE column_name LIKE 'calendly%'" 5
run down --yes --allow-data-loss
expect_code 0
expect_sql "SELECT count(*) FROM information_schema.columns WHERE column_name LIKE 'calendly%'" 0
run check
expect_code 3
run up
expect_code 0
