# Ten thousand migrations: with all of them applied a run is one turn and a few bytes, however long the history is, and
# whatever is wrong with one of them is found as among three.
source "$SUPPORT/lib.sh"
new_db
ENV=(LOCKKEEPER_WATCH=off)
count=10000

mkdir -p migrations proxy
seq -f 'migrations/%05.0f_many' "$count" | xargs mkdir
for ((n = 1; n <= count; n++)); do
  printf -v path 'migrations/%05d_many/up.sql' "$n"
  printf 'SELECT %d;\n' "$n" >"$path"
done
run baseline --to 1
expect_code 0
sql "INSERT INTO lockkeeper.history (version, name, direction, checksum, outcome, runner, finished_at)
     SELECT lpad(n::text, 5, '0'), 'many', 'up', encode(sha256(convert_to(format(E'SELECT %s;\n', n), 'UTF8')), 'hex'),
       'applied', 'test', now() FROM generate_series(2, $count) n"

server=${URL#*@}
python3 "$SUPPORT/turn_proxy.py" "${server%%:*}" "$(sed -E 's|.*:([0-9]+)/.*|\1|' <<<"$server")" proxy \
  >proxy/port 2>proxy/errors &
jobs_of_test+=("$!")
while [[ ! -s proxy/port ]]; do sleep 0.02; done
direct=$URL
proxied="$(sed -E "s|@[^/]*/|@127.0.0.1:$(<proxy/port)/|" <<<"$URL")?sslmode=disable&gssencmode=disable"
last() { cat "$(find proxy -name "*.$1" | sort -V | tail -n 1)"; }

for name in up check; do
  URL=$proxied
  run "$name"
  URL=$direct
  expect_code 0
  expect_err '"known":10000,"already_applied":10000,"pending":0,"ahead":false,"version_from":"10000"'
  echo "$name: $(last turns) turns, $(last received) bytes"
  (($(last turns) == 1)) || fail "$(last turns) turns for $name"
  (($(last received) < 2000)) || fail "$(last received) bytes for $name"
done
expect_sql 'SELECT count(*) FROM lockkeeper.history' "$count"

# One is changed, one is pending behind the others, one is half done, one is gone.
echo 'SELECT 5001;' >migrations/05000_many/up.sql
run check
expect_err '05000_many/up.sql: the file was changed after it was applied'
run up
expect_code 14
echo 'SELECT 5000;' >migrations/05000_many/up.sql
sql "DELETE FROM lockkeeper.history WHERE version = '05000'"
run up
expect_code 15
expect_err '05000_many is pending, but the newer 10000 is applied already'
sql "UPDATE lockkeeper.history SET version = '05000', name = 'many', checksum =
     encode(sha256(convert_to(E'SELECT 5000;\n', 'UTF8')), 'hex') WHERE version = '10000'"
run up
expect_code 0
expect_err '"known":10000,"already_applied":9999,"pending":1'
expect_sql "SELECT direction, outcome FROM lockkeeper.history WHERE version = '10000'" 'up|applied'
rm -r migrations/10000_many
run up
expect_code 0
expect_err '"ahead":true'
rm -r migrations/05000_many
run up
expect_code 15
expect_err '05000_many is applied, but its files are missing'
