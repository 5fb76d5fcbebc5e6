# DATABASE_URL_FILE through a Kubernetes volume: links to ..data; mounted late; rotated while we wait; role and database made late.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
good=$URL
# mount NUMBER TEXT: as the kubelet swaps a secret volume
mount_secret() {
  mkdir -p "secret/..$1"
  printf '%s' "$2" >"secret/..$1/uri"
  chmod 440 "secret/..$1/uri"
  ln -sfn "..$1" secret/..data.tmp
  mv -T secret/..data.tmp secret/..data
  ln -sf ..data/uri secret/uri
}
late() { # NAME REASON: waits until that run says that it waits for REASON
  for _ in {1..200}; do
    ! grep -sqE "connect_retry.*$2" "$1.err" || return 0
    sleep 0.05
  done
  fail "no connect_retry with $2: $(cat "$1.err")"
}
ENV=(DATABASE_URL_FILE="$PWD/secret/uri")
mount_secret 1 "$good"$'\n'
URL=
run up
expect_code 0

mv secret gone # appears late
start late up
late late 'does not exist'
mv gone secret
finish late
expect_code 0

new_role_late=${DB}_app
mount_secret 2 "${good/postgres:*@/$new_role_late:old@}"
start rotated up # the role is made late, with the password that the file has only later
late rotated 'password authentication failed'
URL=$good
sql "CREATE ROLE $new_role_late LOGIN SUPERUSER PASSWORD 'new'"
mount_secret 3 "${good/postgres:*@/$new_role_late:new@}"
finish rotated
expect_code 0
URL=

mount_secret 4 "${good}_late" # the database is made late
start created up
late created 'database .* does not exist'
URL=$good
sql "CREATE DATABASE ${DB}_late"
finish created
expect_code 0

URL=
for text in '' $'\n' 'no url' "$good"$'\n'"$good"; do
  mount_secret 5 "$text"
  run up --auth-wait 0
  expect_code 10
  expect_err 'secret/uri .environment variable DATABASE_URL_FILE'
done
ENV=(DATABASE_URL_FILE="$PWD/secret")
run up --auth-wait 0
expect_code 10
expect_err 'is a directory'
ENV=(DATABASE_URL_FILE="$good") # the URL where the path belongs
run up --auth-wait 0
expect_code 10
expect_no "${good#*//}"

# Group-readable, as fsGroup makes it: read as a member of the group, refused with what to do as anybody else.
if [[ $(id -u) == 0 ]]; then
  install -m 755 "$LOCKKEEPER" lockkeeper
  mount_secret 6 "$good"
  chown 0:12345 secret/..6/uri
  for group in 12345 12346; do
    ENV=(DATABASE_URL_FILE="$PWD/secret/uri")
    command_line up --auth-wait 0
    code=0 last_run="up, as group $group"
    setpriv --reuid=12345 --regid="$group" --clear-groups "${command[@]/#$LOCKKEEPER/$PWD/lockkeeper}" >run.out 2>run.err || code=$?
    after_run run
    if ((group == 12345)); then
      expect_code 0
    else
      expect_code 10
      expect_err 'secret/uri .* cannot be read: Permission denied.*hint.*fsGroup and defaultMode: 0440'
    fi
  done
fi
