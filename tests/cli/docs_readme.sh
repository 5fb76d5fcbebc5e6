# README.md: its first migration works as it stands, its exit codes are the binary's, its error message is one, its way into
# Kubernetes is the chart's.
source "$SUPPORT/lib.sh"
readme=$REPO/README.md
new_db

# --- the first migration, typed as it stands, with the binary on PATH
mkdir bin
ln -s "$LOCKKEEPER" bin/lockkeeper
awk '/^<!-- first migration/ {on = 1} /^<!-- end of first/ {on = 0} /^```/ {code = on && /sh$/; next} code' "$readme" >first.sh
(($(wc -l <first.sh) > 20)) || fail 'README.md has no first migration'
command_line
unset 'command[-1]'
"${command[@]}" PATH="$PWD/bin:$PATH" bash -euo pipefail first.sh >first.out 2>first.err || fail "$(cat first.out first.err)"
[[ $(grep -cE '^✓' first.out) == 2 ]] || fail "verify: $(cat first.out)"
grep -qE '^[0-9]{14} +create_visits +applied' first.out || fail "status: $(cat first.out)"
expect_sql 'SELECT count(*) FROM visits' 0
run down --yes
expect_code 0
expect_sql "SELECT to_regclass('visits') IS NULL" t

# --- exit codes: number, name and class
sed -nE '/^\| code \| name \| class/,/^$/ s/^\| ([0-9]+) \| ([a-z_]+) \| ([a-z]+) \|.*/\1 \2 \3/p' "$readme" >documented
for code in {0..59} 130 143; do
  { "$LOCKKEEPER" explain "$code" 2>/dev/null || true; } | sed -nE '1 s/^([0-9]+) ([a-z_]+) \(([a-z]+)\)$/\1 \2 \3/p'
done >explained
diff documented explained || fail 'the exit codes of README.md are not those of lockkeeper explain'
failures=$(grep -vc '^0 ' explained)
grep -qE "^\| different exit codes for failures \| $failures \|" "$readme" || fail "there are $failures exit codes for failures"

# --- the five minutes in Kubernetes are those of the chart, which tests/deploy/chart_readme.sh follows
five_minutes() { # FILE
  awk '/^<!-- five minutes/ {on = 1} /^<!-- end of five/ {on = 0} on && /^```/ {code = !code; print; next} on && code' "$1"
}
five_minutes "$readme" >five
(($(wc -l <five) > 20)) || fail 'README.md has no five minutes'
diff five <(five_minutes "$REPO/deploy/helm/lockkeeper/README.md") || fail 'README.md and the README.md of the chart differ'

# --- a statement that fails
sql 'CREATE TABLE "Booking" (id int)'
rm -r migrations
mig 20260901090000_add_seats <<'SQL'
ALTER TABLE "Booking" ADD COLUMN "seats" integer NOT NULL DEFAULT 1;

UPDATE "Booking" SET "seats" = "seat" + 1;
SQL
ENV=(NO_COLOR=1)
run_terminal '' up --yes
expect_code 12
sed -n '/^<!-- error output/,/^<!-- end of error output/p' "$readme" | grep -vE '^(<!--|```)' >error
[[ $out == *"$(<error)"* ]] || fail "README.md shows: $(<error)"
