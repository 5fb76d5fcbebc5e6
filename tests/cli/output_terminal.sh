# On a terminal: colour unless NO_COLOR, and an SQL error as a compiler shows it: place, source line, caret counted in characters.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
escape=$'\x1b\\['
ENV=(TERM=xterm)
run_terminal '' up --yes
expect_code 0
expect_out "$escape"
expect_no '"event"'
run_terminal '' status
expect_out "$escape"
for variable in NO_COLOR=1 TERM=dumb; do
  ENV=("$variable")
  for command in 'up --yes' status plan verify; do
    read -ra words <<<"$command"
    run_terminal '' "${words[@]}"
    expect_code 0
    expect_no "$escape\[[0-9;]*m"
  done
done

ENV=(TERM=xterm NO_COLOR=1)
mig 2_b <<'SQL'
-- Übersicht: größer
CREATE TABLE b (id int);
INSERT INTO b /* äöü 漢字 */ SELECT grösse FROM a;
SQL
run_terminal '' up --yes
expect_code 12
expect_out 'migrations/2_b/up.sql:3:35: .*column "grösse" does not exist.*42703'
expect_out '^ +3 \| INSERT INTO b /\* äöü 漢字 \*/ SELECT grösse FROM a;$'
expect_out 'hint: '
caret=$(grep -E '^ +\| +\^' <<<"$out")
((${#caret} == 8 + 35)) || fail "the caret is not below the 35th character: $caret"

run_terminal '' plan
expect_code 0
expect_out '2_b +2 statements, one transaction'
