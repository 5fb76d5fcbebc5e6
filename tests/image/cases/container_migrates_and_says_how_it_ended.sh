# An image made by the two lines of docs/image.md, restricted as the Job restricts it: the migration that the project
# exists for, the second run, and what Kubernetes sees of failures: exit code and termination message.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
require_tls
calendly_base
cp -r "$REPO/migrations" migrations
derive_image shop-migrations
install -m 666 /dev/null termination
container shop-migrations --volume "$PWD/termination:/dev/termination-log"
plain=$URL

message() { # FILTER RESULT: what jq makes of the termination message of the last run
  local result
  ((code != 0)) || [[ -s termination ]] || fail 'no termination message'
  result=$(jq -r "$1" termination) || fail "the termination message is no JSON: $(cat termination)"
  [[ $result == "$2" ]] || fail "expected '$2', is '$result': $1 of $(cat termination)"
}
ends() { # CODE ARGUMENT...
  local want=$1
  shift
  : >termination
  run "$@"
  expect_code "$want"
}

# --- up is the default, migrations are found, nothing is written
ends 0
message .exit_code 0
message .outcome ok
expect_sql "SELECT count(*) FROM information_schema.columns WHERE column_name LIKE 'calendly%'" 5
expect_sql 'SELECT outcome FROM lockkeeper.history' applied
ends 0
expect_err 'nothing to do'
expect_sql 'SELECT count(*) FROM lockkeeper.history' 1
ends 0 verify
ends 0 check
ends 0 wait

# --- how it ends otherwise
ends 2 --no-such-option
sql 'CREATE SCHEMA other' # the same database with another history: everything is pending
ENV=(LOCKKEEPER_HISTORY_TABLE=other.history)
ends 3 check
ENV=()
URL=
ends 10 up
message .exit_code 10
URL=$plain
ENV=(DATABASE_URL_FILE=/secrets/uri)
URL=
ends 10 up --auth-wait 0
expect_err '/secrets/uri'
ENV=()
URL=$plain
URL=${plain/postgres:*@/nobody:wrong@}
ends 17 up --auth-wait 0
message .exit_code 17
URL=postgresql://app:secret@127.0.0.1:9/app
ends 30 up --connect-wait 0
message .retry retryable
URL=$plain
container lockkeeper --volume "$PWD/termination:/dev/termination-log" # no migrations in it
ends 11 up
expect_err 'migrations: there is no such directory.*check the image or the volume mount'
message .exit_code 11
mkdir empty
container lockkeeper --volume "$PWD/termination:/dev/termination-log" --volume "$PWD/empty:/migrations:ro"
ends 11 up
expect_err 'there are no migrations'

mig 20260901090000_add_seats <<'SQL'
ALTER TABLE "Booking" ADD COLUMN "seats" integer NOT NULL DEFAULT 1;

UPDATE "Booking" SET "seats" = "seat" + 1;
SQL
derive_image shop-migrations
container shop-migrations --volume "$PWD/termination:/dev/termination-log"
ends 12 up
message .outcome sql
expect_err 'column .*seat.* does not exist'
expect_sql "SELECT count(*) FROM information_schema.columns WHERE column_name = 'seats'" 0

hold "SELECT pg_advisory_lock(hashtextextended(current_database()::text || ':lockkeeper.history', 0))"
ends 31 up --lock-wait 1s
release

# Kubernetes without a termination message file, and with `command: [lockkeeper, ...]`: the same exit codes.
container shop-migrations --entrypoint lockkeeper
run check
expect_code 3
