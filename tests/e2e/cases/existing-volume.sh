# migrations.source existingVolume, the migrations in a directory of it: any volume of a pod will do, here one that
# Kubernetes lays out with links.
items=$(migrations_config_map shop-migrations)
values ".migrations = {source: \"existingVolume\", existingVolume: {subPath: \"some/where\", source:
  {configMap: {name: \"shop-migrations\", items: ($items | map(.path |= \"some/where/\" + .))}}}}"
release_ok 'install'
expect 'history' 20250520000000 "$(applied)"
