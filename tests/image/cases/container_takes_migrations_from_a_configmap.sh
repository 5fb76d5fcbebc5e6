# Migrations in a ConfigMap volume, whose items have paths: links through ..data, which a walk would see twice;
# read-only. Then the next release's ConfigMap.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
# mount_config DIRECTORY: as the kubelet swaps a volume
mount_config() {
  local entry
  mkdir -p "volume/..$1"
  cp -r migrations/. "volume/..$1/"
  ln -sfn "..$1" volume/..data.tmp
  mv -T volume/..data.tmp volume/..data
  for entry in "volume/..$1"/*; do
    ln -sfn "..data/$(basename "$entry")" "volume/$(basename "$entry")"
  done
}
mig 1_a <<<'CREATE TABLE a (id int);'
mig 2_b <<<'CREATE TABLE b (id int);'
mount_config 2026_11_22
container lockkeeper --volume "$PWD/volume:/migrations:ro"
run up
expect_code 0
expect_sql "SELECT string_agg(version || ' ' || outcome, ', ' ORDER BY id) FROM lockkeeper.history" \
  '1 applied, 2 applied'
mig 3_c <<<'CREATE TABLE c (id int);'
mount_config 2026_11_23
run up
expect_code 0
expect_sql "SELECT max(version) FROM lockkeeper.history" 3
run check
expect_code 0

# Elsewhere than /migrations.
container lockkeeper --volume "$PWD/volume:/config/db:ro"
ENV=(LOCKKEEPER_MIGRATIONS=/config/db)
run check
expect_code 0
