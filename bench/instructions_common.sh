# shellcheck shell=bash
# What instructions.sh and scale.sh share. To be sourced beside a cluster (tests/support/with_cluster.sh).
shopt -s inherit_errexit

# applied_migrations BINARY DIRECTORY COUNT DATABASE: makes COUNT migrations in DIRECTORY, of some 330 bytes each, and a
# database that has them applied.
applied_migrations() {
  local binary=$1 directory=$2 count=$3 database=$4 n comment
  printf -v comment -- '-- what the column is for, in words that take a line or two (%d)\n' 1 2 3 4
  mkdir -p "$directory"
  seq -f "$directory/%.0f_add_column" 20200101000001 $((20200101000000 + count)) | xargs mkdir
  for ((n = 1; n <= count; n++)); do
    printf 'ALTER TABLE accounts ADD COLUMN column_%d text;\n%s' "$n" "$comment" \
      >"$directory/$((20200101000000 + n))_add_column/up.sql"
  done
  psql -XqAt -v ON_ERROR_STOP=1 -c "CREATE DATABASE $database" "$LOCKKEEPER_TEST_URL"
  run_quietly "${LOCKKEEPER_TEST_URL%/*}/$database" "$binary" baseline --migrations "$directory"
  psql -XqAt -v ON_ERROR_STOP=1 -c 'VACUUM ANALYZE lockkeeper.history' "${LOCKKEEPER_TEST_URL%/*}/$database"
}

# run_clean URL COMMAND...: with these variables and nothing else.
run_clean() {
  env -i PATH="$PATH" HOME="$LOCKKEEPER_TEST_ROOT" LOCKKEEPER_WATCH=off DATABASE_URL="$1" "${@:2}" </dev/null
}

run_quietly() {
  local log
  log=$(run_clean "$@" 2>&1) || { printf '%s\n' "$log" >&2; return 1; }
}

# instructions URL BINARY ARGUMENT...: how many the run takes.
instructions() {
  local log
  log=$(run_clean "$1" valgrind --tool=callgrind --callgrind-out-file=/dev/null "${@:2}" 2>&1 >/dev/null) || {
    printf '%s\n' "$log" >&2
    return 1
  }
  sed -nE 's/^==[0-9]+== Collected : ([0-9]+)$/\1/p' <<<"$log"
}
