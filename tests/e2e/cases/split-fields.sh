# The connection from single fields, with a password that would break a URL; `role` owns what is created.
role=${DB}_login password='a@b:c/d?e%41#f&g=h'
sql "CREATE ROLE $role LOGIN IN ROLE shop PASSWORD '$password'"
k create secret generic fields --from-literal=username="$role" --from-literal=password="$password" >/dev/null
values "$(jq -nr --arg host "postgres.$SERVERS.svc" --arg name "$DB" \
  '{existingSecret: "fields", host: $host, name: $name} | ".database = \(.) | .settings.role = \"shop\""')"
release_ok 'install'
expect 'history' 20250520000000 "$(applied)"
expect 'who applied it' "$role" "$(sql 'SELECT DISTINCT applied_by FROM lockkeeper.history')"
expect 'owner of the history' shop "$(sql "SELECT tableowner FROM pg_tables WHERE schemaname = 'lockkeeper'")"
