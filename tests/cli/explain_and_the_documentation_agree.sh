# `lockkeeper explain`, `explain CODE` and docs/exit-codes.md say the same, and its podFailurePolicy lists the fatal codes.
source "$SUPPORT/lib.sh"
URL=
doc=$REPO/docs/exit-codes.md
run explain
expect_code 0
codes=$(awk 'NR > 1 { print $1 }' <<<"$out")
fatal=$(awk 'NR > 1 && $3 == "fatal" { print $1 }' <<<"$out")
list=$out
((${#codes} > 0)) || fail "explain lists nothing"

{
  echo '| code | name | class | meaning | what to do |'
  echo '|--:|--|--|--|--|'
  for code_of in $codes; do
    run explain "$code_of"
    expect_code 0
    [[ $(sed -n '1s/ .*//p' <<<"$out") == "$code_of" ]] || fail "explain $code_of is about another code"
    # what the list says is what the page of its own says
    grep -qF -- "$(sed -n 3p <<<"$out")" <<<"$list" || fail "the list has another meaning for $code_of"
    awk 'NR == 1 { gsub(/[()]/, "", $3); code = $1; name = $2; class = $3 }
         NR == 3 { meaning = $0 }
         sub(/^What to do: /, "") { print "| " code " | `" name "` | " class " | " meaning " | " $0 " |" }' <<<"$out"
  done
} >expected
sed -n '/^| code | name/,/^$/p' "$doc" | sed '/^$/d' >documented
diff expected documented || fail "docs/exit-codes.md is not what the binary says: put 'expected' (<) there"

for code_of in 5 20 23 36 99 128; do
  run explain "$code_of"
  expect_code 2
done

# values: [2, 10, ...] of the FailJob rule
documented=$(sed -n 's/^ *values: \[\(.*\)\].*/\1/p' "$doc" | tr -d ' ' | tr ',' '\n')
[[ $documented == "$fatal" ]] || fail "FailJob lists $documented; the fatal codes are $fatal"
