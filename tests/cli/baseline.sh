# `baseline` records what is there already, without running it, once its expectations hold; `up` then goes on after it.
source "$SUPPORT/lib.sh"
new_db
for n in 1 2 3; do
  mig "${n}_t$n" <<<"CREATE TABLE t$n (id int);"
  mig "${n}_t$n" migration.yaml <<<"{expect: {columns: {t$n: {id: {type: integer}}}}}"
done
sql 'CREATE TABLE t1 (id int)'

run baseline --to 2
expect_code 16
expect_err 't2.id: expected integer, found absent'
expect_sql "SELECT to_regclass('lockkeeper.history') IS NULL" t
run baseline --to 9
expect_code 2
sql 'CREATE TABLE t2 (id int)'
run baseline --to 2
expect_code 0
expect_sql 'SELECT version, direction, outcome FROM lockkeeper.history ORDER BY id' $'1|baseline|applied\n2|baseline|applied'
run baseline --to 2
expect_code 0
expect_sql 'SELECT count(*) FROM lockkeeper.history' 2

run up
expect_code 0
expect_sql "SELECT version, direction FROM lockkeeper.history WHERE id > 2" '3|up'
run up
expect_code 0
run verify
expect_code 0
expect_sql 'SELECT count(*) FROM lockkeeper.history' 3
