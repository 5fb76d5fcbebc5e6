# --queue-limit: a migration that keeps more sessions waiting than that, behind a lock that it waits for or has, gives way,
# however long --lock-timeout is. 0: never.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"
new_db
calendly_base
mig 1_note <<<'ALTER TABLE "Booking" ADD COLUMN note text;'
landed="SELECT count(*) FROM pg_attribute WHERE attrelid = '\"Booking\"'::regclass AND attname"
queue_reason='sessions waited behind this migration .queue limit 5.'
retries='[.[] | select(.event == "step_retry")]'

# It waits for the lock.
idle_holder reports 'SELECT count(*) FROM "Booking"'
start_traffic 30 'SELECT count(*) FROM "Booking"'
start_up --queue-limit 5 --lock-timeout 30s
wait_log '"event":"step_retry"'
idle_commit
finish up
stop_traffic
expect_code 0
expect_sql "$landed = 'note'" 1
expect_log "$retries | length >= 1 and all((.reason | test(\"$queue_reason\")) and .queued > 5)" true
expect_log "$retries | first | [.blockers[] | select(.pid == $idle_pid)] | length" 1
((peak > 5)) || fail "only $peak readers were seen waiting"
# A second over the limit, and a look every quarter of one; the rest is for a busy machine.
((longest < 6000)) || fail "it gave way, and still a reader was held up for $longest ms"
echo "gave way to 30 readers: the longest read took $longest ms, at most $peak waited, $reads reads"

# No limit: it stays in the queue until it is its turn.
mig 2_other <<<'ALTER TABLE "Booking" ADD COLUMN other text;'
idle_holder reports 'SELECT count(*) FROM "Booking"'
start_traffic 30 'SELECT count(*) FROM "Booking"'
start_up --queue-limit 0 --lock-timeout 30s
wait_log '"event":"step_blocked"'
sleep 2.5
idle_commit
finish up
stop_traffic
expect_code 0
expect_sql "$landed = 'other'" 1
expect_log "$retries | length" 0
((longest > 2000)) || fail "nobody waited behind it: $longest ms"
echo "without a limit: the longest read took $longest ms, at most $peak waited"

# It has the lock, and takes its time.
mig 3_slow <<<'ALTER TABLE "Booking" ADD COLUMN slow text; SELECT pg_sleep(5);'
start_traffic 30 'SELECT count(*) FROM "Booking"'
run up --queue-limit 5 --lock-timeout 30s --lock-retry-budget 2s
stop_traffic
expect_code 32
expect_sql "$landed = 'slow'" 0
expect_log "$retries + [.[] | select(.event == \"step_failed\") | {reason: .error.message, queued: 6}] |
  all((.reason | test(\"$queue_reason\")) and .queued > 5)" true
((longest < 4500)) || fail "it gave way, and still a reader was held up for $longest ms"
echo "slow with the lock: the longest read took $longest ms, at most $peak waited"
