# The SQL of the runbooks runs, on a database with a failure, a half-done migration and a lock that is held; and the Job
# that their index makes of another one is that Job, asking `status`.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
mig 2_half migration.yaml <<<'transaction: none'
mig 2_half <<<'CREATE TABLE b (id int); CREATE INDEX CONCURRENTLY b_id ON b (no_such_column);'
run up
expect_code 13
hold "SELECT pg_advisory_lock(hashtextextended(current_database()::text || ':lockkeeper.history', 0))"

# blocks PAGE LANGUAGE: its blocks of code become LANGUAGE.1, LANGUAGE.2 ...
blocks() {
  rm -f "$2".[0-9]*
  awk -v language="$2" '$0 == "```" language {n++; inside = 1; next} /^```$/ {inside = 0}
    inside {print > (language "." n)}' "$REPO/docs/runbooks/$1.md"
}
count=0
for page in "$REPO"/docs/runbooks/*.md; do
  blocks "$(basename "$page" .md)" sql
  for block in sql.[0-9]*; do
    [[ -e $block ]] || continue
    psql -XqAt -v ON_ERROR_STOP=1 -f "$block" "$URL" </dev/null >"$block.out" || fail "$page: $(<"$block")"
    count=$((count + 1))
  done
done
((count >= 8)) || fail "only $count queries in the runbooks"

# They find what they are for.
# finds PAGE REGEX: in what the page's queries gave.
finds() {
  blocks "$1" sql
  for block in sql.[0-9]*; do
    psql -XqAt -v ON_ERROR_STOP=1 -f "$block" "$URL" </dev/null
  done >found
  grep -qE "$2" found || fail "$1: nothing like $2 in: $(<found)"
}
finds migrationfailed '\|2\|half\|1\|2\|.*no_such_column'
finds schemahalfdone '^2\|half\|up\|1\|2\|'
finds migrationlockwaithigh '^[0-9]+\|holder\|postgres\|127.0.0.1\|'
finds schemaahead '^1\|a\|'
finds checksummismatch '^1\|a\|[0-9a-f]{64}\|'
release

mig 3_slow <<<'SELECT pg_sleep(60);'
mig 2_half <<<'CREATE TABLE b (id int); CREATE INDEX CONCURRENTLY b_id ON b (id);'
start slow up
wait_sql "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'" 1
finds migrationrunningtoolong '^[0-9]+\|lockkeeper/[^|]* up\|active\|Timeout\|PgSleep\|.*\|\{\}\|SELECT pg_sleep'
finds migrationrunlost '^[0-9]+\|lockkeeper/[^|]* up\|127.0.0.1\|'
kill -TERM "$pid_slow"
finish slow
expect_code 143

# --- a Job that looks
mkdir bin
cat >bin/kubectl <<'SH'
#!/bin/sh
case "$*" in
  *"get job"*) cat job.json ;;
  *"create -f -"*) cat >created.json ;;
esac
SH
chmod +x bin/kubectl
cat >job.json <<'JSON'
{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "shop-migrate", "namespace": "shop", "uid": "1"},
 "spec": {"backoffLimit": 3, "selector": {"matchLabels": {"controller-uid": "1"}}, "podFailurePolicy": {"rules": []},
          "template": {"metadata": {"labels": {"controller-uid": "1"}},
                       "spec": {"restartPolicy": "Never", "securityContext": {"runAsNonRoot": true},
                                "containers": [{"name": "migrate", "image": "shop:1", "args": ["up"],
                                                "env": [{"name": "DATABASE_URL", "value": "x"}]}]}}},
 "status": {"failed": 1}}
JSON
blocks README sh
block=$(grep -l 'create -f' sh.[0-9]*) || fail 'the index does not create a Job'
PATH=$PWD/bin:$PATH bash -euo pipefail "$block" || fail "the index: $(<"$block")"
jq -e '.metadata == {generateName: "lockkeeper-look-", namespace: "shop"}
  and (tostring | contains("controller-uid") | not)
  and .apiVersion == "batch/v1" and .kind == "Job" and (keys == ["apiVersion", "kind", "metadata", "spec"])
  and .spec.backoffLimit == 0 and .spec.template.spec.restartPolicy == "Never"
  and (.spec.template.spec.containers[0] | .args == ["status"] and .image == "shop:1" and (.env | length) == 1)' \
  created.json >/dev/null || fail "not the Job that looks: $(<created.json)"
