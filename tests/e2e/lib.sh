# shellcheck shell=bash
# What the scripts in tests/e2e/cases are written with. run.sh sources it, and each case in a subshell of its own, with
#   NS       the namespace of the case, enforcing restricted Pod Security, with the secret `shop-db` (key DATABASE_URL)
#   DB       its database, with the tables of the booking platform; owner: the role `shop`
#   DIR      an empty directory of the case; DIR/migrations holds the migrations of the repository
#   SERVERS  the namespace of PostgreSQL and Pushgateway
# and the variables of run.sh. A case ends with an error at the first `fail`.

# shellcheck disable=SC2034 # for run.sh and the cases
code=0 took=0 out='' # of the last `release`
background=''        # process of the last `release_in_background`

k() { "$KUBECTL" -n "$NS" "$@"; }
servers() { "$KUBECTL" -n "$SERVERS" "$@"; }

# --- failing --------------------------------------------------------------------------------------------------------

# fail MESSAGE: ends the case; run.sh prints MESSAGE on its line, then everything that the namespace has to say.
fail() {
  printf '%s\n' "$*" >"$DIR/message"
  exit 1
}

# not_on_this_server REASON: ends the case without a verdict. Only for what the cluster cannot do or was not given.
not_on_this_server() {
  printf '%s\n' "$*" >"$DIR/not-here"
  exit 75
}

# expect WHAT EXPECTED SEEN
expect() { [[ $2 == "$3" ]] || fail "$1: expected \"$2\", saw \"$(shorten "$3")\""; }

# expect_match WHAT REGULAR-EXPRESSION SEEN
expect_match() { [[ $3 =~ $2 ]] || fail "$1: expected a match of \"$2\", saw \"$(shorten "$3")\""; }

shorten() {
  local text=${1//$'\n'/ / }
  if ((${#text} > 400)); then text=${text:0:200}' ... '${text: -200}; fi
  printf '%s' "$text"
}

# until_true SECONDS WHAT COMMAND...: waits until COMMAND succeeds; fails with WHAT after SECONDS.
until_true() {
  local seconds=$1 what=$2 end=$((SECONDS + $1))
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || fail "$what: not within $seconds s"
    sleep 0.5
  done
}

# --- the database ---------------------------------------------------------------------------------------------------

# sql_in DATABASE SQL: as superuser; unaligned, tuples only. sql SQL: in the database of the case.
sql_in() { servers exec -i deployment/postgres -- psql -XqAt -v ON_ERROR_STOP=1 -U postgres -d "$1" <<<"$2"; }
sql() { sql_in "$DB" "$1"; }

sql_is() { [[ $(sql "$1") == "$2" ]]; }

# The versions that the history says are applied, in order, with commas.
applied() {
  sql "SELECT coalesce(string_agg(version, ',' ORDER BY id), '') FROM lockkeeper.history
       WHERE direction = 'up' AND outcome = 'applied'"
}

calendly_columns() {
  sql "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND column_name LIKE 'calendly%'"
}

# --- migrations -----------------------------------------------------------------------------------------------------

# migration VERSION_NAME SQL [META]: adds one to the case's migrations.
migration() {
  mkdir -p "$DIR/migrations/$1"
  printf '%s\n' "$2" >"$DIR/migrations/$1/up.sql"
  if [[ -n ${3:-} ]]; then printf '%s\n' "$3" >"$DIR/migrations/$1/migration.yaml"; fi
}

visits() { migration 20250601000000_visits 'CREATE TABLE visits (id bigint PRIMARY KEY, path text NOT NULL);'; }

# A migration that runs until `open_gate`. It is in the middle of a transaction all that time.
gate() {
  sql 'CREATE TABLE gate (opened boolean); ALTER TABLE gate OWNER TO shop'
  migration 20250801000000_gate \
    "CREATE TABLE behind_the_gate (id int);
DO \$\$ BEGIN WHILE NOT EXISTS (SELECT FROM gate) LOOP PERFORM pg_sleep(0.2); END LOOP; END \$\$;"
}
at_the_gate() {
  sql_is "SELECT count(*) FROM pg_stat_activity WHERE datname = '$DB' AND usename = 'shop' AND state = 'active'
          AND query LIKE '%FROM gate%'" "${1:-1}"
}
open_gate() { sql 'INSERT INTO gate VALUES (true)'; }

# A migration that fails at its second statement.
broken() {
  migration 20250701000000_broken \
    'ALTER TABLE "Booking" ADD COLUMN "seats" integer;
UPDATE "Booking" SET "seats" = "seat" + 1;'
}

# The migrations of the case as JSON, path to text.
migrations_json() {
  local file json='{}'
  while IFS= read -r file; do
    json=$(jq --arg path "${file#./}" --rawfile text "$DIR/migrations/$file" '.[$path] = $text' <<<"$json")
  done < <(cd "$DIR/migrations" && find . -type f | sort)
  printf '%s\n' "$json"
}

# A ConfigMap NAME that holds the case's migrations. Prints `items` for a volume: keys cannot hold slashes.
migrations_config_map() {
  migrations_json >"$DIR/migrations.json"
  jq --arg name "$1" '{apiVersion: "v1", kind: "ConfigMap", metadata: {name: $name},
    data: with_entries(.key |= gsub("/"; "."))}' "$DIR/migrations.json" | k apply -f - >/dev/null
  jq -c 'keys | map({key: gsub("/"; "."), path: .})' "$DIR/migrations.json"
}

# --- releases -------------------------------------------------------------------------------------------------------

# image_values IMAGE: its parts as the chart takes them, as JSON.
image_values() {
  jq -nc --arg image "$1" '$image
    | capture("^(?<repository>[^@]+?)(:(?<tag>[^:/@]+))?(@(?<digest>.+))?$")
    | {repository, tag: (.tag // ""), digest: (.digest // ""), pullPolicy: "IfNotPresent"}'
}

# values [JQ-FILTER]...: what a person sets in values.yaml, changed by the filter (several are joined).
values() {
  migrations_json >"$DIR/migrations.json"
  jq -n --slurpfile migrations "$DIR/migrations.json" --argjson image "$(image_values "$LOCKKEEPER_IMAGE")" \
    --argjson pull_secrets "$PULL_SECRETS_JSON" '{
      image: $image,
      imagePullSecrets: $pull_secrets,
      database: {existingSecret: "shop-db"},
      migrations: {source: "configMap", configMap: {inline: $migrations[0]}}
    } | '"${*:-.}" >"$DIR/values.json"
}

# helm_ok HELM-ARGUMENT...: in the namespace of the case, and has to go well. What it says stays in DIR/helm.out.
helm_ok() {
  "$HELM" "$@" --namespace "$NS" >"$DIR/helm.out" 2>&1 ||
    fail "helm $*: expected exit code 0, saw $?: $(shorten "$(<"$DIR/helm.out")")"
}

# release [HELM-ARGUMENT]...: installs or upgrades the release `shop`. Sets code, out and took (seconds).
release() {
  local start=$SECONDS
  code=0
  "$HELM" upgrade --install shop "$CHART" --namespace "$NS" --values "$DIR/values.json" "$@" >"$DIR/helm.out" 2>&1 ||
    code=$?
  out=$(<"$DIR/helm.out")
  took=$((SECONDS - start))
}

# release_ok WHAT [HELM-ARGUMENT]...: a release that has to go well.
release_ok() {
  local what=$1
  shift
  release "$@"
  [[ $code == 0 ]] || fail "$what: expected helm to exit with 0, saw $code: $(shorten "$out")"
}

# release_fails SECONDS [HELM-ARGUMENT]...: a release that has to fail, and soon.
release_fails() {
  local seconds=$1
  shift
  release "$@"
  [[ $code != 0 ]] || fail 'helm: expected a failure, saw exit code 0'
  ((took < seconds)) || fail "helm: expected it to fail within $seconds s, saw $took s"
}

release_in_background() {
  release_ok "$@" &
  background=$!
}

# Waits for release_in_background, which ends the case when it failed.
release_finishes() { wait "$background" || exit 1; }

# --- Jobs and pods --------------------------------------------------------------------------------------------------

# The names of all Jobs, oldest first.
jobs_of_case() { k get jobs -o json | jq -r '.items | sort_by(.metadata.creationTimestamp)[].metadata.name'; }

# job_name: the one Job there is.
job_name() {
  local names
  names=$(jobs_of_case)
  [[ -n $names && $names != *$'\n'* ]] || fail "Jobs: expected one, saw \"$(shorten "$names")\""
  printf '%s\n' "$names"
}

# job JOB JQ-FILTER / pods JOB JQ-FILTER (of the list of its pods, oldest first)
job() { k get job "$1" -o json | jq -r "$2"; }
pods() {
  k get pods -l "batch.kubernetes.io/job-name=$1" -o json |
    jq -r ".items | sort_by(.metadata.creationTimestamp) | $2"
}

# condition JOB TYPE FIELD
condition() { job "$1" ".status.conditions[]? | select(.type == \"$2\").$3"; }

# job_ends JOB Complete|Failed [SECONDS]
job_ends() {
  local end=$((SECONDS + ${3:-120})) seen
  while true; do
    seen=$(job "$1" '[.status.conditions[]? | select(.status == "True" and (.type | IN("Complete", "Failed")))][0]')
    if [[ $seen != null ]]; then
      expect "Job $1" "$2" "$(jq -r .type <<<"$seen")"
      return
    fi
    ((SECONDS < end)) || fail "Job $1: expected $2 within ${3:-120} s, saw $(job "$1" '.status | tojson')"
    sleep 0.5
  done
}

# termination_message JOB [JQ-FILTER]: of the newest pod of a Job; it has to be a JSON object.
termination_message() {
  local text
  text=$(pods "$1" 'last.status.containerStatuses[] | select(.name == "migrate").state.terminated.message // ""')
  jq -e 'type == "object"' <<<"$text" >/dev/null 2>&1 ||
    fail "termination message of Job $1: expected JSON, saw \"$(shorten "$text")\""
  jq -r "${2:-.}" <<<"$text"
}

# watch_pods: from now on every change of a pod is kept in DIR/pods.json, so that one that is gone can be looked at.
watch_pods() {
  k get pods --watch -o json >"$DIR/pods.json" 2>"$DIR/pods.err" &
}
# seen POD JQ-FILTER: all different values that this had, with commas.
seen() {
  local try
  for try in 1 2 3 4 5; do # kubectl may be in the middle of a document
    ! jq -rn --arg pod "$1" "[inputs | select(.metadata.name == \$pod) | $2 | select(. != null)] | unique
      | map(tostring) | join(\",\")" <"$DIR/pods.json" 2>"$DIR/seen.err" || return 0
    sleep "0.$try"
  done
  fail "states of pod $1: $(<"$DIR/seen.err")"
}
seen_is() { [[ $(seen "$1" "$2") == "$3" ]]; }
# pod_exits POD CODE
pod_exits() {
  until_true 60 "pod $1 exits with $2" \
    seen_is "$1" '.status.containerStatuses[]?.state.terminated.exitCode' "$2"
}

# sessions [ADDRESS]: how many the role has in the database, optionally only those from an address.
sessions() {
  local from=''
  [[ -z ${1:-} ]] || from=" AND client_addr = '$1'"
  sql "SELECT count(*) FROM pg_stat_activity WHERE datname = '$DB' AND usename = 'shop'$from"
}
