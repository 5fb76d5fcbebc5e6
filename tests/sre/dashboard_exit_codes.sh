# The dashboard has a text for each exit code, wherever it shows one: name and meaning are what `lockkeeper explain`
# says, the colour goes with the class. LOCKKEEPER_UPDATE_DOCS=1 writes them there.
source "$SUPPORT/lib.sh"
URL=
dashboard=$REPO/deploy/helm/lockkeeper/files/dashboard.json
run explain
expect_code 0
# {"name": {"12": {"text": "12 sql", ...}, ...}, "meaning": {"12": {"text": "A migration's SQL failed ...", ...}, ...}}
awk 'NR > 1 { meaning = $0; sub(/^ *[0-9]+ +[a-z_]+ +[a-z]+ +/, "", meaning)
              print $1 "\t" $2 "\t" $3 "\t" meaning }' <<<"$out" |
  jq -Rn '[inputs / "\t"] | to_entries | map({code: .value[0], index: .key, name: .value[1], meaning: .value[3],
      color: {success: "green", answer: "blue", fatal: "red", retryable: "orange"}[.value[2]]})
    | {name: map({(.code): {text: "\(.code) \(.name)", color, index}}) | add,
       meaning: map({(.code): {text: .meaning, color, index}}) | add}' >expected.json
jq -e '(.name | length) > 20 and ([.meaning[] | .text, .color] | all(. != null and . != ""))' expected.json >checked ||
  fail 'explain lists too little'

# A mapping with a text for exit code 12 is one of exit codes; "12 ..." is one of names.
if [[ -n ${LOCKKEEPER_UPDATE_DOCS:-} ]]; then
  jq --slurpfile expected expected.json 'walk(if type == "object" and .type? == "value" and (.options | has("12")) then
      .options = (if .options["12"].text | startswith("12 ") then $expected[0].name else $expected[0].meaning end)
    else . end)' "$dashboard" >new.json
  cat new.json >"$dashboard"
fi
jq --slurpfile expected expected.json '[.. | objects | select(.type? == "value" and (.options | has("12"))) | .options]
  | group_by(.["12"].text | startswith("12 ") | not) | {name: .[0], meaning: .[1]}' \
  "$dashboard" >found.json
for kind in name meaning; do
  [[ $(jq ".$kind | length" found.json) -ge 1 ]] || fail "no panel has the $kind of exit codes"
  jq -e --slurpfile expected expected.json ".$kind | all(. == \$expected[0].$kind)" found.json >/dev/null ||
    fail "the $kind of exit codes is not what \`lockkeeper explain\` says: LOCKKEEPER_UPDATE_DOCS=1 writes it"
done

# Wherever a panel shows exit codes as such, it has that mapping. Result and Meaning are columns of a table.
showing=$(jq -r '[.panels[] | select(.type != "timeseries" and ([.targets[]?.expr | test("last_run_exit_code")] | any))
  | .title] | join(", ")' "$dashboard")
[[ $showing == 'Databases, Result of the last run' ]] || fail "exit codes are shown by $showing: do all have the mapping?"
[[ $(jq -c '[.name, .meaning] | map(length)' found.json) == '[2,1]' ]] || fail 'a mapping is missing, or one too many'
