# A disk that is really full: a small file system of its own (mounting it needs root). The table's disk alone: 34, and
# nothing is changed. The disk of the whole server: it goes down, the run ends with what it knows, and with room again
# the next run goes on where the history says.
source "$SUPPORT/lib.sh"
source "$SUPPORT/common.sh"
root() { if [[ $(id -u) == 0 ]]; then "$@"; else sudo -n "$@"; fi; }
disk() { # DIR SIZE: becomes a file system of that size
  mkdir -p "$1"
  root mount -t tmpfs -o "size=$2,mode=0777" lockkeeper-test "$PWD/$1"
}
clean_up() {
  end_jobs
  "$SUPPORT/cluster.sh" stop "$PWD/own" immediate || true
  root umount -l "$PWD/small" "$PWD/own" || true
}
disk small 12m
disk own 256m
own_cluster
trap clean_up EXIT # after own_cluster, which sets its own

# --- the disk of a tablespace
new_db
mkdir -m 777 small/space
owner=$(server_user)
[[ -z $owner ]] || chown "$owner:" small/space
sql "CREATE TABLESPACE small LOCATION '$PWD/small/space'"
mig 1_room <<<'CREATE TABLE room (id int) TABLESPACE small;'
mig 2_full <<'SQL'
CREATE TABLE other (id int);
CREATE TABLE big TABLESPACE small AS SELECT n, repeat('x', 100) AS x FROM generate_series(1, 200000) n;
SQL
mig 3_after <<<'CREATE TABLE after (id int);'
run up
expect_code 34
expect_err 'No space left on device'
expect_err '53100'
expect_err '2_full'
expect_sql "SELECT to_regclass('room') IS NOT NULL, to_regclass('other') IS NULL, to_regclass('big') IS NULL,
  to_regclass('after') IS NULL" 't|t|t|t'
expect_sql "SELECT version, outcome FROM lockkeeper.history ORDER BY id" $'1|applied\n2|failed'
root mount -o remount,size=128m "$PWD/small"
run up
expect_code 0
expect_sql "SELECT count(*) FROM big" 200000
expect_sql "SELECT string_agg(version::text, ' ' ORDER BY id) FROM lockkeeper.history WHERE outcome = 'applied'" '1 2 3'

# --- the disk of the whole server: no room for its log
mig 4_more <<'SQL'
CREATE TABLE more (n int, x text) TABLESPACE small;
INSERT INTO more SELECT n, repeat('x', 100) FROM (SELECT generate_series(1, 400000) AS n) AS numbers;
SQL
mig 5_last <<<'CREATE TABLE last (id int);'
dd if=/dev/zero of=own/filler bs=1M 2>/dev/null || true
run up --connect-wait 3s
expect_code 33
expect_err 'connection to the server was lost'
grep -q 'PANIC:.*No space left on device' own/log || fail 'the server did not run out of room for its log'
rm own/filler
"$SUPPORT/cluster.sh" restart "$PWD/own" immediate
expect_sql "SELECT to_regclass('more') IS NULL, to_regclass('last') IS NULL" 't|t'
expect_sql "SELECT string_agg(version::text, ' ' ORDER BY id) FROM lockkeeper.history WHERE outcome = 'applied'" '1 2 3'
run up
expect_code 0
expect_sql 'SELECT count(*) FROM more' 400000
expect_sql "SELECT string_agg(version::text, ' ' ORDER BY id) FROM lockkeeper.history WHERE outcome = 'applied'" '1 2 3 4 5'
