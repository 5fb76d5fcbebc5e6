# --metrics-file: what promtool finds no fault with, replaced whole, readable for the exporter; a file that cannot be
# written is a warning.
source "$SUPPORT/lib.sh"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE TABLE b (id int);'
check() { promtool check metrics <metrics.prom >promtool.out 2>&1 || fail "promtool: $(<promtool.out)"; }

run up --metrics-file metrics.prom
expect_code 0
check
[[ ! -s promtool.out ]] || fail "promtool: $(<promtool.out)"
grep -qx 'lockkeeper_migrations_applied{database="'"$DB"'"} 2' metrics.prom || fail "$(<metrics.prom)"
grep -qx 'lockkeeper_last_run_exit_code{database="'"$DB"'"} 0' metrics.prom || fail "$(<metrics.prom)"
grep -q '^lockkeeper_last_success_timestamp_seconds{database="'"$DB"'"} ' metrics.prom || fail "$(<metrics.prom)"
[[ $(stat -c %a metrics.prom) == 644 ]] || fail "mode $(stat -c %a metrics.prom)"

mig 3_c <<<'SELECT 1 / 0;'
run up --metrics-file metrics.prom
expect_code 12
check
grep -qx 'lockkeeper_last_run_exit_code{database="'"$DB"'"} 12' metrics.prom || fail "$(<metrics.prom)"
grep -qx 'lockkeeper_migrations_pending{database="'"$DB"'"} 1' metrics.prom || fail "$(<metrics.prom)"
! grep -q '^lockkeeper_last_success_timestamp_seconds{database="'"$DB"'"} ' metrics.prom || fail 'a failure has no success'
[[ $(find . -maxdepth 1 -name 'metrics.prom*') == ./metrics.prom ]] || fail "left behind: $(ls)"

rm -r migrations/3_c
run up --metrics-file nowhere/metrics.prom
expect_code 0
expect_err '"level":"warn".*metrics file nowhere/metrics.prom not written'
