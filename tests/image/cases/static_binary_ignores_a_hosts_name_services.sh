# A host whose nsswitch.conf names a module that is installed there (systemd's, LDAP's): a static binary that loads it
# has two C libraries in one process, and crashes. The module here ends its process when it is loaded; a program of
# that host does load it, and so does a static program that does nothing about it.
source "$LOCKKEEPER_IMAGE_LIB"
new_db
mig 1_a <<<'CREATE TABLE a (id int);'
empty_root amd64
plain=$URL
mount -o remount,bind,rw root

# The host: its C library, getent, and the module for every database.
library() { ldconfig -p | awk -v name="$1" '$1 == name && /x86-64/ {print $NF; exit}'; }
directory=root/$(dirname "$(library libc.so.6)")
mkdir -p "$directory" root/usr/bin root/lib64
cp -L "$(library libc.so.6)" "$directory/"
cp -L /lib64/ld-linux-x86-64.so.2 root/lib64/
cp -L /lib64/ld-linux-x86-64.so.2 "$directory/"
cp -L "$(command -v getent)" root/usr/bin/
cat >module.c <<'C'
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) { _exit(99); }
C
gcc -shared -fPIC -o "$directory/libnss_lktest.so.2" module.c
cat >control.c <<'C'
#include <netdb.h>
int main(void) { struct addrinfo *found; return getaddrinfo("db.internal", "5432", 0, &found) != 0; }
C
gcc -static -o root/usr/bin/control control.c 2>control.log || fail "$(cat control.log)"
for database in passwd group hosts services; do
  echo "$database: lktest files dns"
done >root/etc/nsswitch.conf
chmod -R a+rX "$directory" root/lib64 root/usr/bin root/etc
mount -o remount,bind,ro root

for program in 'getent hosts db.internal' control; do
  code=0
  # shellcheck disable=SC2086 # a program and its arguments
  chroot root /usr/bin/$program >control.log 2>&1 || code=$?
  ((code == 99)) || fail "the host of this test does not make programs load its module: $program ended with $code"
done

URL=$(url db.internal sslmode=require)
run up
expect_code 0
run check
expect_code 0
URL=$plain
expect_sql "SELECT to_regclass('a') IS NOT NULL" t
# No user in the URL: libpq looks for the name of the user who runs it.
URL=$(sed -E 's,//[^@]*@[^:]*,//db.internal,' <<<"$plain")
run check --connect-wait 0 --auth-wait 0
expect_code 17
expect_err 'lockkeeper'
