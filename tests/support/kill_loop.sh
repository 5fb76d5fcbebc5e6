# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # variables of lib.sh, and for the scripts
# What killed.sh and terminated.sh share. To be sourced after lib.sh.

# Three migrations: transactional; without a transaction; transactional with expectations. Each statement leaves one row
# in "log", so that one that ran twice or never shows.
write_migrations() {
  mig 1_tables <<<"CREATE TABLE log (entry text);
    CREATE TABLE t (id int, name text);
    INSERT INTO t SELECT n, 'name ' || n FROM generate_series(1, 20000) n;
    INSERT INTO log VALUES ('1');"
  mig 2_indexes <<<"INSERT INTO log VALUES ('2 first');
    CREATE INDEX CONCURRENTLY t_name ON t (name);
    INSERT INTO log VALUES ('2 second');
    CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id);
    INSERT INTO log VALUES ('2 third');"
  mig 2_indexes migration.yaml <<<'{transaction: none, expect: {indexes: {t_id: {table: t, unique: true}}}}'
  mig 3_column <<<"ALTER TABLE t ADD COLUMN age int NOT NULL DEFAULT 7; INSERT INTO log VALUES ('3');"
  mig 3_column migration.yaml <<<'{expect: {columns: {t: {age: {type: integer, nullable: false, default: "7"}}}}}'
}

# kill_once SIGNAL EVENT MILLISECONDS: `up` on an empty database, the signal that long after the log told EVENT (run: after
# the start). Sets killed_code, killed_err, and when, to what the history says right then: before, inside, after. Then
# `up` again must lead to the one right end.
kill_once() {
  local signal=$1 event=$2 delay=$3 rows
  sql "SET client_min_messages = error; DROP SCHEMA IF EXISTS lockkeeper CASCADE; DROP SCHEMA public CASCADE;
       CREATE SCHEMA public"
  start killed up
  until [[ $event == run ]] || grep -q "\"event\":\"$event\"" killed.err; do
    kill -0 "$pid_killed" 2>/dev/null || fail "it ended before it told $event"
    sleep 0.02
  done
  sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
  kill "-$signal" "$pid_killed" 2>/dev/null || true
  finish killed 2>/dev/null
  killed_code=$code killed_err=$err
  rows=$(sql "SELECT count(*) FROM lockkeeper.history WHERE outcome = 'applied'" 2>/dev/null) || rows=none
  case $rows in
    none) when=before ;;
    3) when=after ;;
    *) when=inside ;;
  esac

  run up # waits for what the killed one's server process still holds
  expect_code 0
  # Each statement ran once; columns; indexes; the history.
  expect_sql "SELECT string_agg(entry, ', ' ORDER BY entry) FROM log
    UNION ALL
    SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0
    UNION ALL
    SELECT string_agg(indexrelid::regclass::text || ' ' || indisvalid || ' ' || indisunique, ', ' ORDER BY indexrelid::regclass::text)
    FROM pg_index WHERE indrelid = 't'::regclass
    UNION ALL
    SELECT string_agg(version || ' ' || statements_done, ', ' ORDER BY version, id) FROM lockkeeper.history WHERE outcome = 'applied'
    UNION ALL
    SELECT string_agg(outcome, ' ' ORDER BY version) FROM
    (SELECT DISTINCT ON (version) * FROM lockkeeper.history WHERE outcome <> 'failed' ORDER BY version, id DESC) newest" \
    "1, 2 first, 2 second, 2 third, 3
id name age
t_id true true, t_name true false
1 4, 2 5, 3 2
applied applied applied"
}

# kill_often SIGNAL N: kills N runs, a quarter of them at any moment, the others while they work. Counts in count.
kill_often() {
  local signal=$1 n=$2 i whole work
  declare -gA count=([before]=0 [inside]=0 [after]=0)
  run up # as a scale for the delays
  expect_code 0
  whole=$(jq -s 'last.duration_seconds * 1000 | floor' <<<"$err")
  work=$(jq -s '[.[].duration_seconds | numbers] | (.[1:-1] | add) * 1000 | floor' <<<"$err") # without connecting
  for ((i = 0; i < n; i++)); do
    if ((i % 4 == 0)); then
      kill_once "$signal" run $(((whole + 50) * i / n))
    else
      kill_once "$signal" lock_acquired $(((work + 10) * i / n))
    fi
    one_more "$when"
  done
  echo "SIG$signal, $n runs of $whole ms: before the first write ${count[before]}, inside ${count[inside]}, after ${count[after]}"
  ((count[inside] >= n / 8)) || fail 'hardly ever in the middle: the delays are wrong'
}
