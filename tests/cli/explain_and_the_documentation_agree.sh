# `lockkeeper explain`, `explain CODE` and docs/exit-codes.md say the same, and every podFailurePolicy lists the fatal codes.
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

# The list of the fatal codes, wherever a Job's FailJob rule or the chart has it: [2, 10, ...]
# LOCKKEEPER_UPDATE_DOCS=1 writes it there.
list=[${fatal//$'\n'/, }]
mapfile -t places < <(grep -rlE '\[2, 10[, 0-9]*\]' "$REPO/deploy" "$REPO/docs" "$REPO/README.md")
for place in "$doc" "$REPO/deploy/k8s/base/job.yaml" "$REPO/deploy/helm/lockkeeper/templates/_exit_codes.tpl"; do
  [[ " ${places[*]} " == *" $place "* ]] || fail "$place has no list of the fatal codes: $list"
done
for place in "${places[@]}"; do
  if [[ -n ${LOCKKEEPER_UPDATE_DOCS:-} ]]; then
    sed -i -E "s/\[2, 10[, 0-9]*\]/$list/g" "$place"
  fi
  [[ $(grep -oE '\[2, 10[, 0-9]*\]' "$place" | sort -u) == "$list" ]] || fail "FailJob in $place: the fatal codes are $list"
done
# and no Job names exit codes in another way
grep -rnE -A 3 'onExitCodes:' "$REPO/deploy" --include='*.yaml' --include='*.tpl' | grep -E 'values:' |
  grep -vE "values: (\[2, 10|.*lockkeeper[.]failJobExitCodes)" >others && fail "a list of exit codes of another form: $(cat others)"
true
