# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of lib.sh, and for the scripts
# A run that is cut at one protocol message, for each message of it: what then must hold. To be sourced after lib.sh.
# LOCKKEEPER_TEST_EVERY=1: at every message, not only at some (make test-all).

# Six migrations: transactional; CONCURRENTLY; several statements without a transaction; three small ones that are sent
# together. Whether a statement is done shows in "mark" or in the catalogs, and if it ran twice too. reset_database makes
# what they find.
write_migrations() {
  local concurrently=CONCURRENTLY
  (($(sql 'SHOW server_version_num') >= 140000)) || concurrently=
  mig 1_tables <<<"INSERT INTO mark VALUES ('1.1');
    CREATE TABLE item (id int PRIMARY KEY, name varchar(20) NOT NULL);
    INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 10) n;
    ALTER TABLE t ADD COLUMN age int NOT NULL DEFAULT 7;
    INSERT INTO mark VALUES ('1.5');"
  mig 1_tables migration.yaml <<<'{expect: {columns: {t: {age: {type: integer, nullable: false, default: "7"}}}}}'
  mig 2_index <<<'CREATE INDEX CONCURRENTLY t_name ON t (name);'
  mig 3_mixed <<<"INSERT INTO mark VALUES ('3.1');
    VACUUM t;
    CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);
    INSERT INTO mark VALUES ('3.4');
    DROP INDEX CONCURRENTLY t_old;
    REINDEX INDEX CONCURRENTLY t_id;
    COPY mark FROM STDIN;
3.7
\\.
    ALTER TABLE parts DETACH PARTITION part $concurrently;
    INSERT INTO mark VALUES ('3.9');"
  mig 3_mixed migration.yaml <<<'{transaction: none, expect: {indexes: {t_id: {table: t, unique: true}}}}'
  local version
  for version in 4 5 6; do
    mig "${version}_mark" <<<"INSERT INTO mark VALUES ('$version.1');"
  done
  mig 5_mark migration.yaml <<<"expect: {sql: {marked: SELECT count(*) = 1 FROM mark WHERE entry = '5.1'}}"
}

# reset.sql: without TEXT where it does not matter, since each table with it has two more files to create and remove.
write_reset() {
  cat >reset.sql <<'SQL'
SET client_min_messages = error;
BEGIN;
DROP SCHEMA IF EXISTS lockkeeper CASCADE;
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE TABLE mark (entry varchar(10));
CREATE TABLE t (id int, name varchar(20));
INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 200) n;
CREATE INDEX t_old ON t (name, id);
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (100);
COMMIT;
SQL
}
reset_database() { in_session reset.sql; }

# look.sql: what contradicts the history, once the server has ended the session of the run that was cut; a line "==";
# and everything that the runs have left. A statement in a transaction is done exactly when the history says so. Only
# one outside, right behind those that are recorded as done, may be done without being recorded, and then
# details.running says that it was sent.
write_look() {
  cat >look.sql <<'SQL'
DO $$ BEGIN
  WHILE EXISTS (SELECT FROM pg_stat_activity
                WHERE application_name LIKE 'lockkeeper/%' AND datname = current_database())
  LOOP
    COMMIT;
    PERFORM pg_sleep(0.01);
  END LOOP;
END $$;
SET client_min_messages = error;
CREATE TEMP TABLE IF NOT EXISTS newest (version text, outcome text, done int, total int, details jsonb);
DELETE FROM newest;
SELECT to_regclass('lockkeeper.history') IS NOT NULL AS there \gset
\if :there
INSERT INTO newest SELECT DISTINCT ON (version) version, outcome, statements_done, statements_total, details
FROM lockkeeper.history WHERE outcome <> 'failed' ORDER BY version, id DESC;
\endif
WITH statement (version, number, outside, is_done) AS (
  SELECT split_part(e, '.', 1), split_part(e, '.', 2)::int, false, e IN (SELECT entry FROM mark)
  FROM unnest(ARRAY['1.1', '1.5', '3.1', '3.4', '3.7', '3.9', '4.1', '5.1', '6.1']) e
  UNION ALL SELECT '1', 2, false, to_regclass('item') IS NOT NULL
  UNION ALL SELECT '1', 4, false,
    EXISTS (SELECT FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'age')
  UNION ALL SELECT '2', 1, true, EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('t_name') AND indisvalid)
  UNION ALL SELECT '3', 3, true, EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('t_id') AND indisvalid)
  UNION ALL SELECT '3', 5, true, to_regclass('t_old') IS NULL
  UNION ALL SELECT '3', 8, current_setting('server_version_num')::int >= 140000,
    NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = 'part'::regclass)
), known AS (
  SELECT statement.*, coalesce(outcome, 'pending') AS outcome, coalesce(details, '{}') AS details,
    CASE outcome WHEN 'applied' THEN total WHEN 'started' THEN done ELSE 0 END AS recorded
  FROM statement LEFT JOIN newest USING (version)
)
SELECT version || '.' || number || CASE WHEN is_done THEN ' is done' ELSE ' is not done' END
  || ', and the history says ' || outcome || ', ' || recorded || ' ' || details
FROM known
WHERE is_done <> (number <= recorded)
  AND NOT (is_done AND outside AND outcome = 'started' AND number = recorded + 1
           AND details ? 'running' AND details->>'running' IS DISTINCT FROM details->>'prefix')
UNION ALL
SELECT entry || ' is done ' || count(*) || ' times' FROM mark GROUP BY entry HAVING count(*) > 1
UNION ALL
SELECT 'a lock is left' FROM pg_locks
WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
\echo ==
SELECT c.relname || '.' || attname || ' ' || format_type(atttypid, atttypmod) || ' ' || attnotnull || ' '
  || coalesce(pg_get_expr(adbin, adrelid), '')
FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT pg_get_indexdef(indexrelid) || ' ' || indisvalid || ' ' || indisready
FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT inhrelid::regclass || ' is a part of ' || inhparent::regclass FROM pg_inherits
UNION ALL
SELECT entry || ' is done' FROM mark
UNION ALL
SELECT version || ' ' || outcome || ' ' || done || ' of ' || total FROM newest
ORDER BY 1;
SQL
}
look() {
  in_session look.sql
  contradictions=${seen%%==*} state=${seen#*==}
}

# start_session: one session for all that the script asks; in_session FILE: `seen` is what the file gives there.
start_session() {
  mkfifo to_session from_session
  psql -XqAt -v ON_ERROR_STOP=1 "$URL" <to_session >from_session &
  jobs_of_test+=("$!")
  exec {to_session}>to_session {from_session}<from_session
}
in_session() {
  local line
  seen=
  printf '%s\n' "\\i $1" '\echo (end)' >&"$to_session"
  while IFS= read -r line <&"$from_session" || fail "the session has ended at $1"; do
    [[ $line != '(end)' ]] || return 0
    seen+=${seen:+$'\n'}$line
  done
}

start_proxy() {
  local address=${LOCKKEEPER_TEST_URL#*@}
  address=${address%/*}
  mkfifo to_proxy from_proxy
  python3 "$SUPPORT/cut_proxy.py" "${address%:*}" "${address#*:}" <to_proxy >from_proxy &
  jobs_of_test+=("$!")
  exec {to_proxy}>to_proxy {from_proxy}<from_proxy
  read -r proxy_port <&"$from_proxy"
}
ask_proxy() {
  echo "$1" >&"$to_proxy"
  read -r answer <&"$from_proxy" || fail 'the proxy has ended'
}

# shellcheck disable=SC2120 # of its K-th connection: for the scripts
# ask_places [K]: sets all_places, those of the last run (of its K-th connection).
ask_places() {
  places=() all_places=()
  ask_proxy "places $*"
  while [[ $answer != end ]]; do
    all_places+=("$answer")
    read -r answer <&"$from_proxy"
  done
}

# A whole run through the proxy; each wait is long enough to connect again.
run_arguments=(up)
run_through_proxy() {
  local URL=${URL%@*}@127.0.0.1:$proxy_port/${URL##*/}'?sslmode=disable&gssencmode=disable'
  rm -f cut.pid run.err
  start cut "${run_arguments[@]}" --connect-wait 20s --lock-wait 20s
  echo "$pid_cut" >cut.pid
  finish cut 2>/dev/null
  [[ $out$err != *"$password"* ]] || fail 'the password is in the log'
}

# prepare_cuts: the database, the migrations, and one undisturbed run, which gives all_places ("client before 17") and
# right_end.
prepare_cuts() {
  new_db
  password=${URL#*://*:}
  password=${password%%@*}
  write_migrations
  write_reset
  write_look
  start_session
  start_proxy
  reset_database
  ask_proxy arm
  run_through_proxy
  expect_code 0
  ask_proxy verdict
  # shellcheck disable=SC2119
  ask_places
  look
  [[ -z $contradictions ]] || fail "an undisturbed run: $contradictions"
  right_end=$state
  declare -gA count=([0]=0)
}

# in_parts N: for make test-all, the rest of the script runs N times at once, each time with each N-th of the places.
in_parts() {
  local part running=()
  [[ ${LOCKKEEPER_TEST_EVERY:-0} == 1 && -z ${LOCKKEEPER_TEST_PART:-} ]] || return 0
  for ((part = 0; part < $1; part++)); do
    mkdir "$part"
    (cd "$part" && DB=${DB}_$part LOCKKEEPER_TEST_PART="$part $1" exec bash "$0") &
    running+=("$!")
  done
  for part in "${running[@]}"; do
    wait "$part" || code=1
  done
  exit "$code"
}

# choose WHICH STRIDE OFFSET [LONG]: adds to `places` those of all_places that begin with WHICH ("client", "server
# before", ""): each STRIDE-th from OFFSET; for make test-all all of them, or each LONG-th.
choose() {
  local which=$1 stride=$2 offset=$3 place i=0
  local part=0 parts=1
  [[ ${LOCKKEEPER_TEST_EVERY:-0} != 1 ]] || stride=${4:-1}
  [[ -z ${LOCKKEEPER_TEST_PART:-} ]] || read -r part parts <<<"$LOCKKEEPER_TEST_PART"
  for place in "${all_places[@]}"; do
    [[ $place == "$which"* ]] || continue
    ((i++ % (stride * parts) != offset % stride + part * stride)) || places+=("$place")
  done
}

# cut_at PLACE HOW [PLACE HOW]: a run that is cut there (and again there). Its exit code must be one of $allowed; the
# history must tell the truth; and the next run must get to the same end as if nothing had happened. Counts exit codes
# in count, and goes on after a fault: `tell` fails then.
cut_at() {
  local cut="$2, $1${3:+; $4, $3}"
  reset_database
  ask_proxy "arm $1 $2"
  [[ -z ${3:-} ]] || ask_proxy "also $3 $4"
  run_through_proxy
  count[$code]=$((${count[$code]:-0} + 1))
  ask_proxy verdict
  count[$answer]=$((${count[$answer]:-0} + 1))
  look
  if [[ " $allowed " != *" $code "* ]]; then
    wrong "$cut: exit code $code"
  elif [[ -n $contradictions ]]; then
    wrong "$cut: exit code $code, $contradictions"
  elif ((code != 0)); then
    run up
    look
    ((code == 0)) || wrong "the run after $cut: exit code $code"
  fi
  [[ $code != 0 || $state == "$right_end" ]] || wrong "after $cut: $(diff <(echo "$right_end") <(echo "$state"))"
}
wrong() {
  count[wrong]=$((${count[wrong]:-0} + 1))
  printf '%s\n%s\n' "$1" "$(<cut.err)"
  [[ ! -e run.err ]] || printf -- '--- the next run\n%s\n' "$(<run.err)"
  ((count[wrong] < 20)) || tell 'given up'
}

# tell WHAT: the figures, which run_every_cut.sh collects; fails if anything was wrong.
tell() {
  local name figures places_text
  places_text=$(printf '%s\n' "${places[@]}")
  figures="$1, places: ${#places[@]}"
  for name in 'client.* before' 'client.* after' 'server.* before' 'server.* after'; do
    figures+=", ${name/.\*/} $(grep -c "^$name" <<<"$places_text" || true)"
  done
  figures+="; struck ${count[struck]:-0}, missed ${count[missed]:-0}"
  for name in "${!count[@]}"; do
    [[ $name != [0-9]* ]] || figures+=", exit code $name: ${count[$name]}"
  done
  echo "$figures, wrong: ${count[wrong]:-0}; $SECONDS s" | tee -a "${LOCKKEEPER_TEST_FIGURES:-/dev/null}"
  [[ -z ${count[wrong]:-} ]] || fail "${count[wrong]} runs ended wrong"
  ((${count[struck]:-0} >= ${#places[@]} * 9 / 10)) || fail 'the runs differ too much from the one that was counted'
}

# cut_connections WHAT: at all places, with FIN and RST in turn.
cut_connections() {
  local how=(fin rst) i
  allowed='0 33'
  for i in "${!places[@]}"; do
    cut_at "${places[i]}" "${how[i % 2]}"
  done
  tell "$1"
}

# kill_at_places SIGNAL ALLOWED: the runner gets the signal there.
kill_at_places() {
  local place
  allowed=$2
  for place in "${places[@]}"; do
    cut_at "$place" "run until [ -s cut.pid ]; do sleep 0.01; done; kill -$1 \$(cat cut.pid) || true"
  done
  tell "SIG$1"
}
