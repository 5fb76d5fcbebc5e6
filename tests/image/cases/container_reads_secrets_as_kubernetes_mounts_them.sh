# A Secret volume with fsGroup 65532 and defaultMode 0440: root's files, readable by the group, links through ..data.
# URL, authority, client certificate and key from there.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
require_tls
sql "CREATE ROLE certified LOGIN SUPERUSER PASSWORD 'secret'"
mig 1_a <<<'CREATE TABLE a (id int);'
derive_image shop-migrations
parameters='sslmode=verify-full&sslrootcert=/secrets/ca.crt&sslcert=/secrets/tls.crt&sslkey=/secrets/tls.key'
plain=$URL
mkdir -p secrets/..2026_11_22
url db.internal "$parameters" | sed -E 's,//[^@]*@,//certified:secret@,' >secrets/..2026_11_22/uri
cp "$TLS/ca.crt" secrets/..2026_11_22/ca.crt
cp "$TLS/client.crt" secrets/..2026_11_22/tls.crt
cp "$TLS/client.key" secrets/..2026_11_22/tls.key
chown -R 0:65532 secrets
chmod 440 secrets/..2026_11_22/*
ln -s ..2026_11_22 secrets/..data
for key in uri ca.crt tls.crt tls.key; do
  ln -s "..data/$key" "secrets/$key"
done

container shop-migrations --add-host db.internal:127.0.0.1 --volume "$PWD/secrets:/secrets:ro"
URL=
ENV=(DATABASE_URL_FILE=/secrets/uri)
run up
expect_code 0
expect_no 'secret@|PRIVATE KEY'
URL=$plain
expect_sql 'SELECT applied_by FROM lockkeeper.history' certified

# Without the certificate the server refuses: the test would notice if it were not used.
URL=
chmod 640 secrets/..2026_11_22/uri
sed -i 's,&sslcert=.*,,' secrets/..2026_11_22/uri
run check --connect-wait 0 --auth-wait 0
((code != 0)) || fail 'connected without a certificate'
expect_err 'certificate'

# Readable by nobody but root, as defaultMode 0400 without fsGroup: said, with what to do.
chmod 400 secrets/..2026_11_22/uri
run up --auth-wait 0
expect_code 10
expect_err 'secrets/uri .* cannot be read: Permission denied.*fsGroup'
