# Prisma's URL parameters, which libpq rejects: schema= is the search_path, the others are understood or ignored with a note.
source "$SUPPORT/lib.sh"
new_db
sql 'CREATE SCHEMA app; CREATE SCHEMA "Mixed-Case"'
mig 1_a <<<'CREATE TABLE a (id int);'
mig 1_a migration.yaml <<<'expect: {tables: {a: {}}}'
good=$URL
URL="$good?schema=app&connection_limit=1&pool_timeout=20&pgbouncer=true&socket_timeout=60&statement_cache_size=0&sslaccept=accept_invalid_certs&connect_timeout=5&sslmode=prefer"
run up
expect_code 0
expect_err "Prisma's parameters without a meaning here are ignored: connection_limit, pool_timeout, socket_timeout, statement_cache_size"
URL=$good
expect_sql "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY schemaname) FROM pg_tables WHERE tablename IN ('a', 'history')" 'app.a lockkeeper.history'

mig 2_b <<<'CREATE TABLE b (id int);'
URL="$good?schema=Mixed-Case"
run up --history-table lockkeeper.other --on-out-of-order apply
expect_code 0
URL=$good
expect_sql "SELECT to_regclass('\"Mixed-Case\".b') IS NOT NULL AND to_regclass('\"Mixed-Case\".a') IS NOT NULL" t

URL="$good?schema=public&sslmode=require"
run up --connect-wait 30s
expect_code 10
expect_err 'server does not support SSL.*hint.*sslmode'
URL="$good?connection_limits=1"
run up
expect_code 10
expect_err 'unknown parameter .{1,2}connection_limits'
URL="prisma+postgres://accelerate.prisma-data.net/?api_key=marker"
run up
expect_code 10
expect_err "which only Prisma's own client can use.*DIRECT_URL"
expect_no marker
