#include <unistd.h>

#include "app/run.hpp"
#include "libraries.hpp"

#if LOCKKEEPER_STATIC
#include <nss.h>

#include "files/static_openssl.hpp"

namespace {

/// Names of hosts and users come from files and DNS, whatever the machine's nsswitch.conf says.
///
/// nsswitch.conf may name modules, which glibc loads: shared objects made for the machine's glibc. They crash a binary
/// that has its own, in getaddrinfo() and getpwuid(). What is said here is built in, and the file is not asked any
/// more. In an image without nsswitch.conf it changes nothing.
void look_up_names_without_modules() {
  for (const char* database : {"passwd", "group", "services"}) {
    __nss_configure_lookup(database, "files");
  }
  __nss_configure_lookup("hosts", "files dns");
}

}  // namespace
#endif

int main(int argc, char** argv) {
#if LOCKKEEPER_STATIC
  look_up_names_without_modules();
  lockkeeper::files::ignore_openssl_configuration();
#endif
  return lockkeeper::app::run(argc, argv, environ);
}
