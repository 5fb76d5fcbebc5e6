# With and without pipelining a run leaves the same database and history and tells the same, however it goes: all well,
# SQL that fails, a constraint that fails at COMMIT, an expectation that does not hold, a table that is locked for a
# while or for too long, files that cannot be sent ahead.
source "$SUPPORT/lib.sh"

small() {
  local n
  for n in "$@"; do
    mig "${n}_t$n" <<<"CREATE TABLE t$n (id int); INSERT INTO t$n VALUES ($n);"
    mig "${n}_t$n" migration.yaml <<<"expect: {tables: {t$n: {}}, sql: {one row: SELECT count(*) = 1 FROM t$n}}"
  done
}

# What a run says, without what differs from run to run.
told() {
  jq -c 'del(.ts, .duration_seconds, .waited_seconds, .lock_wait_seconds, .wait_seconds, .target, .version_duration,
             .blockers, .database) | .msg |= (. // "" | gsub("[0-9.]+ (µs|ms|s)\\b"; "N") | gsub("after [0-9a-z.]+"; "after N")
             | gsub("pid [0-9]+"; "pid N") | gsub("127[0-9.:]+/"; "") | gsub("cli_pipeline[a-z_]*"; "DB"))' <<<"$err"
}
left() {
  sql "SELECT version, name, direction, outcome, statements_done, statements_total, checksum, coalesce(error, ''),
         details->>'pending', finished_at >= started_at FROM lockkeeper.history ORDER BY id;
       SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_class c
       JOIN pg_attribute a ON attrelid = c.oid WHERE relnamespace = 'public'::regnamespace AND attnum > 0 ORDER BY 1, 2;
       SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE
         datname = current_database())"
}

# both WHAT CODE [ARGUMENT...]: the migrations that are there, on two new databases. before and after are for the caller.
before() { :; }
after() { :; }
both() {
  local what=$1 wanted=$2 way
  shift 2
  for way in on off; do
    new_db "${what}_$way"
    before
    run up --pipeline "$way" "$@"
    after
    expect_code "$wanted"
    told >"$way.told"
    left >"$way.left"
  done
  diff off.told on.told || fail "$what: the runs tell different stories"
  diff off.left on.left || fail "$what: the databases differ"
  (($(wc -l <on.left) > 3)) || fail "$what: nothing to compare"
  rm -rf migrations
}

small {1..9}
both well 0

small 1 2 4 5
mig 3_bad <<<'CREATE TABLE t3 (id int); INSERT INTO nowhere VALUES (1);'
both sql_fails 12

small 1 2 4 5
mig 3_deferred <<<'CREATE TABLE t3 (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES t3 DEFERRABLE INITIALLY
DEFERRED); INSERT INTO child VALUES (7);'
both commit_fails 12

small 1 2 4 5
mig 3_expects <<<"CREATE TABLE t3 (id int DEFAULT 7 CONSTRAINT few CHECK (id < 9), name varchar(20) NOT NULL);
CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE INDEX t3_name ON t3 (name);"
mig 3_expects migration.yaml <<<'expect:
  columns: {t3: {id: {type: bigint}, name: {type: text, nullable: true}, other: {type: text}}}
  indexes: {t3_id: {table: t3}, t3_name: {table: t1, unique: true}}
  enums: {mood: [good, worse], nothing: [a]}
  constraints: {t3: {few: {validated: false}, many: {}}}
  tables: {t1: {absent: true}, t9: {}}
  sql: {rows: SELECT count(*) > 0 FROM t3, unknown: "SELECT NULL::boolean", two: "VALUES (true), (true)"}'
both broken 16
mig 3_expects <<<'CREATE TABLE t3 (id int);'
mig 3_expects migration.yaml <<<'expect: {sql: {first: SELECT false, divides: SELECT 1 / (SELECT count(*) FROM t3) = 1, last: SELECT false}}'
small 1 2 4 5
both broken_by_error 16

small 1 2 4
mig 3_holds <<<"CREATE TABLE t3 (id int DEFAULT 7 CONSTRAINT few CHECK (id < 9), name varchar(20) NOT NULL);
CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE UNIQUE INDEX t3_name ON t3 (name);"
mig 3_holds migration.yaml <<<'expect:
  columns: {t3: {id: {type: int, nullable: true, default: "7"}, name: {type: varchar(20), default: null}, gone: {absent: true}}}
  indexes: {t3_name: {table: t3, unique: true}}
  enums: {mood: [bad, good]}
  constraints: {t3: {few: {}, many: {absent: true}}}
  tables: {t9: {absent: true}}
  sql: {text: "VALUES (true::text)", comment: "SELECT true -- so"}'
both holds 0

# What only a person, or we, would call the same default is looked at by us: it holds.
small 1 2 4
mig 3_spelling <<<"CREATE TABLE t3 (id int DEFAULT 7 + 1, kind varchar(9) DEFAULT 'a', at date DEFAULT now());"
mig 3_spelling migration.yaml <<'YAML'
expect:
  columns: {t3: {id: {type: int4, default: "( 7 +  1 )"}, kind: {type: varchar(9), default: "'a'"}, at: {default: now( )}}}
YAML
both spelling 0

small 1 2 4 5 7
mig 3_copy <<<'COPY t2 FROM STDIN;
8
\.
INSERT INTO t1 VALUES (2);'
mig 6_none <<<'VACUUM t5; CREATE INDEX CONCURRENTLY t5_id ON t5 (id);'
mig 6_none migration.yaml <<<'transaction: none'
both all_kinds 0

# A lock that is held for a moment, and one that is held for good, in the middle of the pipeline.
small 1 2 4 5
mig 3_waits <<<'ALTER TABLE base ADD COLUMN name text;'
before() {
  sql 'CREATE TABLE base (id int)'
  hold BEGIN 'LOCK TABLE base'
}
after() { release; }
both locked 32 --lock-timeout 100ms --lock-retry-budget 0 --watch off
