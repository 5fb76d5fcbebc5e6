# What a Pushgateway shows (jq -nR, its /metrics), as a file for `promtool test rules`: series stay as they are for 90
# minutes, and every timestamp becomes relative to $now, because promtool's time begins at 0. $db stands in front of the
# names of the databases; $expected has "minutes: alert:severity[,class]:database ..." in each line.
def alerts:
  [splits("\\s+") | select(. != "") | split(":") | (.[1] | split(",")) as $labels
    | {alertname: .[0],
       exp_labels: ({job: "lockkeeper", namespace: "alerts", database: "\($db)\(.[2])", severity: $labels[0]}
         + if $labels[1] then {class: $labels[1]} else {} end)}];

def series:
  capture("^(?<name>[a-z_]+)(?<labels>\\{.*\\}) (?<value>[^ ]+)$")
  | (.value | tonumber) as $value
  | {series: "\(.name)\(.labels | gsub("instance=\"\",?"; ""))",
     values: "\(if .name | test("time(stamp)?_seconds$") then $value - $now else $value end)x90"};

def tests($names):
  $expected | split("\n")[] | capture("^ *(?<time>[0-9ms]+): (?<alerts>.*)$")
  | .time as $time | (.alerts | alerts) as $all
  | $names[] as $name
  | {eval_time: $time, alertname: $name, exp_alerts: [$all[] | select(.alertname == $name) | {exp_labels}]};

[inputs | select(contains("namespace=\"alerts\"") and contains("database=\"\($db)")) | series] as $series
| {rule_files: ["bare_rules.yaml"], evaluation_interval: "15s",
   tests: [{interval: "1m", input_series: $series, alert_rule_test: [tests($names | split(" "))]}]}
