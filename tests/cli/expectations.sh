# Expectations: a wrong type rolls the migration back (16); `verify` finds what somebody changed by hand; what a later
# migration states about the same object replaces what an earlier one did.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE TABLE t (id int PRIMARY KEY, amount int); CREATE TYPE colour AS ENUM ('"'red', 'green'"')'
mig 1_columns <<<'ALTER TABLE t ADD COLUMN IF NOT EXISTS amount bigint, ADD COLUMN name varchar(20) NOT NULL DEFAULT '"'x'"';
CREATE UNIQUE INDEX t_name ON t (name);
ALTER TABLE t ADD CONSTRAINT positive CHECK (amount > 0);'
mig 1_columns migration.yaml <<'YAML'
expect:
  tables: {t: {}}
  columns:
    t:
      amount: {type: bigint}
      name: {type: varchar(20), nullable: false, default: "'x'"}
  indexes: {t_name: {table: t, unique: true}}
  constraints: {t: {positive: {}, t_pkey: {}}}
  enums: {colour: [red, green]}
  sql: {nobody is there: SELECT count(*) = 0 FROM t}
YAML
run up
expect_code 16
expect_err 'migrations/1_columns/migration.yaml:5:7'
expect_err 't.amount: expected bigint, found integer'
expect_sql "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0" 'id amount'
expect_sql "SELECT count(*) FROM lockkeeper.history WHERE outcome <> 'failed'" 0
sql 'ALTER TABLE t ALTER amount TYPE bigint'
run up
expect_code 0
run verify
expect_code 0

sql "ALTER TABLE t DROP COLUMN name; ALTER TABLE t DROP CONSTRAINT positive; ALTER TABLE t ALTER amount SET DEFAULT 1"
run verify
expect_code 16
expect_out "✗ +column t.name +varchar.20., not null, default 'x' +absent +1"
expect_out '✗ +index t_name +present +absent +1'
expect_out '✗ +constraint positive on t +present +absent|✗ +constraint t.positive +present +absent'
expect_out '✓ +column t.amount'
expect_err 'the database is not as expected in 3 places'
run verify --format json
expect_json '[.expectations[] | select(.holds | not) | .stated_by] | unique | join(" ")' 1
run up
expect_code 0 # nothing is pending, and nothing else was promised

mig 2_gone <<<'ALTER TABLE t DROP COLUMN IF EXISTS name, DROP CONSTRAINT IF EXISTS positive; INSERT INTO t VALUES (1);'
mig 2_gone migration.yaml <<'YAML'
expect:
  columns: {t: {name: {absent: true}}}
  indexes: {t_name: {absent: true}}
  constraints: {t: {positive: {absent: true}}}
  sql: {nobody is there: {absent: true}}
YAML
run up
expect_code 0
run verify
expect_code 0
expect_no 'nobody is there'
sql 'ALTER TABLE t ADD COLUMN name text'
run verify
expect_code 16
expect_out '✗ +column t.name +absent +present +2'

mig 3_drop <<<'DROP TABLE t;'
mig 3_drop migration.yaml <<<'{expect: {tables: {t: {absent: true}}}}'
run up
expect_code 0
run verify
expect_code 0
