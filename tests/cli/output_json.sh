# JSON: every line of the log parses, the last is run_finished with the process's exit code; status, verify and plan parse.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<"CREATE TABLE \"Täble\" (id int); -- \"quotes\" and \\ and ü"
mig 1_a migration.yaml <<<'{description: "Ä \"b\"", expect: {columns: {Täble: {id: {type: integer}}}}}'
json_log() { # CODE
  expect_code "$1"
  jq -es 'all(has("ts") and has("level") and has("event") and has("msg"))' <<<"$err" >/dev/null || fail "not all lines are records"
  [[ $(tail -n 1 <<<"$err" | jq -r '"\(.event) \(.exit_code)"') == "run_finished $1" ]] || fail "the last line is another"
}
run check
json_log 3
run plan --format json
expect_code 0
expect_json '.pending[0] | "\(.version) \(.name) \(.statements[0].sql)"' '1 a CREATE TABLE "Täble" (id int)'
run plan --format markdown
expect_code 0
expect_out '^### 1 migration pending$'
expect_out '^\*\*1_a\*\*'
expect_out '^CREATE TABLE "Täble" .id int.;$'
run up
json_log 0
[[ -z $out ]] || fail "up writes to stdout"
mig 2_b <<<$'SELECT 1;\nSELECT \'ü\', nothing;'
run up
json_log 12
[[ $(tail -n 1 <<<"$err" | jq -r '.error | "\(.file) \(.line) \(.column) \(.sqlstate)"') == 'migrations/2_b/up.sql 2 13 42703' ]] ||
  fail "wrong place"
run up --log-format text
expect_code 12
expect_err '^[0-9T:.Z-]+ error '
run status --format json
expect_code 0
expect_json '.migrations | map("\(.version) \(.state)") | join(", ")' '1 applied, 2 pending'
run verify --format json
expect_code 0
expect_json '.expectations[] | "\(.what) \(.holds)"' 'column Täble.id true'
run doctor
expect_code 0
run up --migrations nowhere
json_log 11

# What a client's name may hold does not break the lines.
mig 2_b <<<"DO \$\$ BEGIN RAISE WARNING E'two\\nlines \\x1b[31m \"quoted\"'; RAISE EXCEPTION E'bad\\tthing'; END \$\$;"
run up
json_log 12
run up --log-format text
expect_no $'\x1b'
