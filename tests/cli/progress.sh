# A statement that takes longer than two seconds: the log says how far it is, and whether it is an index, in what phase.
source "$SUPPORT/lib.sh"
source "$SUPPORT/traffic.sh"
new_db
# Slow in each row, and many rows to a block: it takes as long on any machine, and is read block by block.
sql "CREATE TABLE t (id int, filler text);
     INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, 1900) n;
     CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
       'BEGIN PERFORM pg_sleep(0.0015); RETURN \$1; END'; ALTER TABLE t SET (parallel_workers = 0)"

version=0
for kind in 'CREATE INDEX CONCURRENTLY' 'CREATE INDEX'; do
  version=$((version + 1))
  mig "${version}_index" <<<"$kind t_$version ON t (slow(id));"
  run up
  expect_code 0
  expect_log "[.[] | select(.event == \"step_progress\")] | length >= 1 and all(.statement == 1 and .statements == 1 and
    .running_seconds >= 2 and .kind == \"$kind\" and .level == \"info\")" true
  expect_log '[.[] | select(.event == "step_progress")] | first | .phase' 'building index: scanning table'
  expect_log '[.[] | select(.event == "step_progress")] | first | .percent > 0 and .percent < 100' true
  expect_log '[.[] | select(.event == "step_progress")] | first | .left_seconds > 0 and .left_seconds < 60' true
done

# Nothing is told of a statement that is done sooner, nor more than once in ten seconds.
mig 3_short <<<'SELECT pg_sleep(1);'
mig 4_long <<<'SELECT pg_sleep(4);'
run up
expect_code 0
expect_log '[.[] | select(.event == "step_progress") | .version] | join(" ")' 4
