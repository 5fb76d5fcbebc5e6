# shellcheck shell=bash disable=SC1091,SC2094
# sslnegotiation=direct saves a round trip where libpq and the server are 17 or newer, and gives up nothing: who is
# trusted is checked, and the channel is bound. An older server hangs up. With the static binary, whose libpq is 17.
source "$SUPPORT/lib.sh"
mkdir tls
for name in server other; do
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 2 -subj "/CN=$name" \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout "tls/$name.key" -out "tls/$name.crt" 2>openssl.log ||
    fail "$(<openssl.log)"
done
chown "root:$(id -g postgres)" tls/server.key # as the server wants it
chmod 640 tls/server.key
LOCKKEEPER_TEST_CONF="
ssl = on
ssl_cert_file = '$PWD/tls/server.crt'
ssl_key_file = '$PWD/tls/server.key'" own_cluster
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
run up
expect_code 0
version=$(sql 'SHOW server_version_num')
plain=$URL
trusted="sslmode=verify-full&sslrootcert=$PWD/tls/server.crt&channel_binding=require"

check() { # PARAMETERS CODE [URL]
  URL="${3:-$plain}?$1"
  run check --connect-wait 1s --auth-wait 0
  URL=$plain
  expect_code "$2"
}
# turns PARAMETERS: how often `check` waited for an answer, from the first packet to the last.
turns() {
  local address=${plain#*@} port
  address=${address%/*}
  rm -f turns port
  mkfifo port
  python3 "$SUPPORT/burst_proxy.py" "${address%:*}" "${address#*:}" turns >port &
  jobs_of_test+=("$!")
  read -r port <port
  check "$1" 0 "${plain%@*}@127.0.0.1:$port/${plain##*/}"
  wait "${jobs_of_test[-1]}"
  read -r turns <turns
}

# A mistake is not waited for.
check 'sslmode=prefer&sslnegotiation=direct' 10
expect_err 'weak sslmode .*prefer.* may not be used with sslnegotiation=direct'

if ((version < 170000)); then # nothing tells it from a server that is going down
  check "$trusted&sslnegotiation=direct" 30
  expect_err 'SSL SYSCALL error: EOF detected'
  exit
fi
turns "$trusted"
asked=$turns
turns "$trusted&sslnegotiation=direct"
((turns == asked - 1)) || fail "$turns turns with sslnegotiation=direct, $asked without"
check "${trusted/server.crt/other.crt}&sslnegotiation=direct" 10
expect_err 'certificate verify failed'
sql "SET password_encryption = 'md5'; CREATE ROLE unbound LOGIN PASSWORD 'secret'"
sed -i '1i host all unbound all md5' own/data/pg_hba.conf
sql 'SELECT pg_reload_conf()' >/dev/null
wait_sql "SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{unbound}'" 1
check "$trusted&sslnegotiation=direct" 10 "postgresql://unbound:secret@${plain#*@}"
expect_err 'channel binding required'
