# A password is never shown: not in any way a connection or its configuration can fail, any command, format or verbosity, and
# neither in the termination message, the metrics, the history nor the process list.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
good=$URL
address=${good#*@} server=${address%/*}
password='zq!M4rk3r@:/x%ü'
encoded='zq%21M4rk3r%40%3A%2Fx%25%C3%BC'
every='%7A%71%21%4D%34%72%6B%33%72'
URL=

# nothing_shown: after a run, wherever it may have written.
nothing_shown() {
  local file
  for file in run.out run.err message metrics.prom; do
    [[ ! -e $file ]] || ! grep -iqE 'M4rk3r|4D.?34.?72.?6B' "$file" || fail "the password is in $file, ${ENV[*]}: $(cat "$file")"
  done
  rm -f message metrics.prom
}
# leaks_not CODE|any VARIABLE=VALUE...: `up` and the other commands (or one of them in turn); text and json, verbose and not, in
# turn.
calls=0 all_commands=true
leaks_not() {
  local want=$1 command words
  shift
  ENV=("$@")
  calls=$((calls + 1))
  local others=(status doctor 'check --termination-log message')
  $all_commands || others=("${others[calls % 3]}")
  local options=(--connect-wait 0 --auth-wait 0 --connect-timeout 2s --log-format text)
  ((calls % 2 == 0)) || options[-1]=json
  ((calls / 2 % 2 == 0)) || options+=(--verbose)
  for command in 'up --termination-log message --metrics-file metrics.prom' "${others[@]}"; do
    read -ra words <<<"$command"
    run "${words[@]}" "${options[@]}"
    nothing_shown
    [[ $want == any ]] || expect_code "$want"
  done
}

# --- a URL that is understood, and a connection that fails
new_role_name=${DB}_app
URL=$good
sql "CREATE ROLE $new_role_name LOGIN PASSWORD 'other'"
URL=
for given in "$password" "$encoded" "$every"; do
  leaks_not 17 DATABASE_URL="postgresql://$new_role_name:$given@$server/$DB"
done
leaks_not 17 DATABASE_URL="postgresql://$new_role_name@$server/$DB" PGPASSWORD="$password"
leaks_not 17 PGHOST=127.0.0.1 PGPORT="${server#*:}" PGUSER="$new_role_name" PGDATABASE="$DB" PGPASSWORD="$password"
leaks_not 30 DATABASE_URL="postgresql://app:$encoded@127.0.0.1:9/app"
leaks_not 30 DATABASE_URL="postgresql://app:$encoded@127.0.0.1:9,localhost:9/app?target_session_attrs=read-write"
leaks_not 30 DATABASE_URL="postgresql://app:$encoded@no-host.invalid/app"
leaks_not 10 DATABASE_URL="postgresql://app:$encoded@$server/app?sslmode=require"
leaks_not 10 DATABASE_URL="postgresql://app:$encoded@$server/app?sslmode=verify-full&sslrootcert=/nowhere"

# --- URLs and strings that cannot be read, before a command does anything
all_commands=false
while IFS= read -r url; do
  url=${url//PASSWORD/$password}
  leaks_not 10 DATABASE_URL="${url//ENCODED/$encoded}"
done <<'URLS'
postgresql://app:PASSWORD
postgresql://app:ENCODED@host:54x32/app
postgresql://app:ENCODED@host:99999/app
postgresql://app:ENCODED@host/app?sslmode=ENCODED
postgresql://app:ENCODED@host/app?sslmode=on
postgresql://app:ENCODED@host/app?no_such_parameter=ENCODED
postgresql://app:ENCODED@host/app?passwort=ENCODED
postgresql://app:ENCODED@host/app?password=a&ENCODED=b
postgresql://app:ENCODED@host/app?connect_timeout=ENCODED
postgresql://app:ENCODED@host/app?sslidentity=ENCODED
postgresql://app:ENCODED@[::1/app
postgresql://app:ENCODED@ho%zzst/app
postgresql://app:ENCODED@host/a%00b
postgresql://app:q?M4rk3r@host/app
postgresql://app:1?M4rk3r=x@host/app
postgresql://app:1?sslmode=M4rk3r@host/app
postgresql://app:1?password=M4rk3r&x=y@host/app
postgresql:/app:PASSWORD@host/app
postgresql:app:PASSWORD@host/app
postgres//app:PASSWORD@host/app
postgresql+asyncpg://app:PASSWORD@host/app
postgrsql://app:PASSWORD@host/app
mysql://app:PASSWORD@host/app
M4rk3r://app:PASSWORD@host/app
jdbc:postgresql://host/app?user=app&password=PASSWORD
prisma+postgres://accelerate/?api_key=PASSWORD
psql postgresql://app:PASSWORD@host/app
DATABASE_URL=postgresql://app:PASSWORD@host/app
PASSWORD
app:PASSWORD@host/app
host=h user=app password=PASSWORD M4rk3r two words
host=h password='PASSWORD
host=h port=M4rk3r password=PASSWORD
host=h password=PASSWORD sslmode=M4rk3r
host=h password=a M4rk3r=b
URLS
leaks_not 10 DATABASE_URL="postgresql://app:$encoded@host/app"$'\n'"postgresql://app:$encoded@other/app"
leaks_not 10 DATABASE_URL="postgresql://app:$password"$'\t'"@host/app"
# libpq checks these itself, and quotes the value; a '?' in the password makes one of it
for parameter in target_session_attrs channel_binding gssencmode load_balance_hosts require_auth ssl_min_protocol_version keepalives; do
  leaks_not any DATABASE_URL="postgresql://app:12?$parameter=M4rk3r@host/app"
done

# --- files
mkdir -p secret
printf '%s' "postgresql://app:$password@host:x/app" >secret/url
leaks_not 10 DATABASE_URL_FILE=secret/url
leaks_not 10 DATABASE_URL_FILE="postgresql://app:$encoded@host/app"
leaks_not 10 DATABASE_URL_FILE="host=h password=$password"
leaks_not 10 LOCKKEEPER_DATABASE_URL_ENV="postgresql://app:$encoded@host/app"
printf '%s' "$password" >secret/url
leaks_not 10 LOCKKEEPER_DATABASE_URL_FILE=secret/url
for text in "PGPASSWORD=\"$password" "postgresql://app:$password@host/app" "DATABASE_URL='a' $password" "PASSWORD $password" "$password=x"; do
  printf 'A=b\n%s\n' "$text" >bad.env
  leaks_not 10 LOCKKEEPER_ENV_FILE=bad.env
done
for text in "database_url: postgresql://app:$password@host/app" "password: $password" "role: [$password]" "lock_wait: 'M4rk3r password=x" \
  "environments: {dev: {url: 'postgresql://app:M4rk3r@host'}}" "database_url_file: postgresql://app:M4rk3r@host/app" \
  "database_url_env: postgresql://app:M4rk3r@host/app" "lock_wait: postgresql://app:M4rk3r@host/app"; do
  printf '%s\n' "$text" >lockkeeper.yaml
  leaks_not any DATABASE_URL=postgresql://app@127.0.0.1:9/app
  [[ $code != 0 ]] || fail "accepted: $text"
done
rm lockkeeper.yaml
for argument in "postgresql://app:$password@host/app" "--database-url=postgresql://app:$password@host/app" "--password=$password" \
  "--lock-wait=postgresql://app:$password@host/app" "--database-url-file=postgresql://app:$password@host/app"; do
  run up "$argument"
  [[ $code == 2 || $code == 10 ]] || fail "exit code $code"
  nothing_shown
done

# --- a run that works: log, history, metrics, Pushgateway; and what others see of the process
URL=$good
sql "ALTER ROLE $new_role_name SUPERUSER PASSWORD '${password//\'/\'\'}'"
ENV=(LOCKKEEPER_DATABASE_URL="postgresql://$new_role_name:$encoded@$address")
run up --verbose --termination-log message --metrics-file metrics.prom
expect_code 0
nothing_shown
run doctor
nothing_shown
[[ $(sql 'SELECT h::text FROM lockkeeper.history h') != *M4rk3r* ]] || fail "the password is in the history"
printf '%s' "$password" >secret/push
run up --metrics-url "http://user:$encoded@127.0.0.1:9"
expect_code 2
nothing_shown
mig 2_slow <<<'SELECT pg_sleep(1);'
start seen up --metrics-url http://127.0.0.1:9 --metrics-username user --metrics-password-file secret/push --metrics-required
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(1)%' AND datname = current_database()" 1
others_see=$(tr '\0' ' ' <"/proc/$pid_seen/cmdline")
[[ $others_see == *'lockkeeper up --metrics-url'* && $others_see != *M4rk3r* ]] || fail "the process list has: $others_see"
[[ $(sql "SELECT string_agg(a::text, ' ') FROM pg_stat_activity a WHERE query LIKE 'SELECT pg_sleep(1)%'") != *M4rk3r* ]] ||
  fail "the password is in pg_stat_activity"
finish seen
expect_code 35
cp seen.out run.out
cp seen.err run.err
nothing_shown
