# The primary is lost in the middle of a run, whose URL has all servers: it connects to the new primary by itself and
# goes on there. Each statement is done once, also the one at work, and the migration whose COMMIT was not answered.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"
source "$SUPPORT/fail_over.sh"
start_primary
new_db
start_standby second
sql 'CREATE TABLE mark (entry text); CREATE TABLE t (id int); INSERT INTO t SELECT generate_series(1, 10)'

marks() { # TEXT: what was done, in this order; twice what was done twice
  expect_sql "SELECT string_agg(entry, ' ' ORDER BY entry) FROM mark" "$1"
}
history() { # TEXT: the last rows
  expect_sql "SELECT version || ' ' || outcome || ' ' || statements_done || '/' || statements_total
              FROM lockkeeper.history WHERE version::int >= ${1%% *} ORDER BY id" "${1//, /$'\n'}"
}
expect_lost_once() {
  expect_log '[.[] | select(.event == "note" and .level == "warn" and (.msg
    | test("connection to the server was lost.*; connecting again to see how far it got")))] | length' 1
  expect_log '[.[] | select(.event == "connected") | .msg | capture(":(?<port>[0-9]+)").port] | join(" ")' \
    "$lost_port $primary_port"
}

# In the middle of a transaction. The standby is met before it is promoted.
mig 1_before <<<"INSERT INTO mark VALUES ('1.1')"
mig 2_slow <<<"INSERT INTO mark VALUES ('2.1'); SELECT $(stand_still); INSERT INTO mark VALUES ('2.3');"
mig 3_after <<<"INSERT INTO mark VALUES ('3.1')"
URL=$(url_of_ports "$primary_port" "$standby_port") start_up
wait_until_it_stands_still
lost_port=$primary_port
stop_primary
wait_log '"event":"connect_retry".*(read-only|hot standby)'
promote
finish up
expect_code 0
expect_lost_once
marks '1.1 2.1 2.3 3.1'
history '1 applied 1/1, 2 applied 3/3, 3 applied 1/1'

# In the middle of a statement outside of a transaction: the INVALID index that it leaves is on the new primary, too.
start_standby third
sql "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
     \$\$ BEGIN PERFORM $(stand_still); RETURN \$1; END \$\$"
mig 4_index <<<"INSERT INTO mark VALUES ('4.1'); CREATE INDEX CONCURRENTLY t_slow ON t (slow(id));
                INSERT INTO mark VALUES ('4.3');"
mig 4_index migration.yaml <<<'{transaction: none, expect: {indexes: {t_slow: {table: t}}}}'
URL=$(url_of_ports "$standby_port" "$primary_port") start_up # the standby first
wait_until_it_stands_still
lost_port=$primary_port
stop_primary
index=$(on_standby "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_slow'::regclass")
[[ $index == f ]] || fail "no INVALID index is on the standby: '$index'"
promote
finish up
expect_code 0
expect_lost_once
marks '1.1 2.1 2.3 3.1 4.1 4.3'
history '4 started 1/3, 4 applied 3/3'
expect_sql "SELECT string_agg(relname || ' ' || indisvalid, ',') FROM pg_index JOIN pg_class c ON c.oid = indexrelid
            WHERE indrelid = 't'::regclass" 't_slow true'

# in_commit: until the COMMIT is done on the primary, and waits there for the standby.
in_commit() {
  wait_sql "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'lockkeeper/% up'
            AND datname = current_database() AND wait_event = 'SyncRep'" 1
}

# The COMMIT was sent, and not answered; the standby has it: it is not done again.
start_standby fourth
on_standby 'SELECT pg_wal_replay_pause()'
mig 5_arrived <<<"INSERT INTO mark VALUES ('5.1'); CREATE TABLE arrived (id int);"
mig 6_after <<<"INSERT INTO mark VALUES ('6.1')"
URL=$(url_of_ports "$primary_port" "$standby_port") start_up
in_commit
lost_port=$primary_port
stop_primary
on_standby 'SELECT pg_wal_replay_resume()'
promote
finish up
expect_code 0
expect_lost_once
expect_err '6_after is applied: its COMMIT had arrived'
expect_log '.[-1].applied' 2
marks '1.1 2.1 2.3 3.1 4.1 4.3 5.1 6.1'
history '5 applied 2/2, 6 applied 1/1'

# The same, and the standby never got it: it was not done at all, and is done now.
start_standby fifth
"$SUPPORT/cluster.sh" stop "$PWD/fifth"
mig 7_lost <<<"INSERT INTO mark VALUES ('7.1'); CREATE TABLE lost (id int);"
URL=$(url_of_ports "$primary_port" "$standby_port") start_up
in_commit
lost_port=$primary_port
stop_primary
"$SUPPORT/cluster.sh" restart "$PWD/fifth"
promote
finish up
expect_code 0
expect_lost_once
expect_no 'its COMMIT had arrived'
marks '1.1 2.1 2.3 3.1 4.1 4.3 5.1 6.1 7.1'
history '7 applied 2/2'
