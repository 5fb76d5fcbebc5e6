#include "files/static_openssl.hpp"

#include <openssl/bio.h>
#include <openssl/comp.h>
#include <openssl/crypto.h>

namespace lockkeeper::files {

void ignore_openssl_configuration() {
  // The configuration is loaded once or not at all; this is the one time.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
}

}  // namespace lockkeeper::files

// No compression: these take the place of the functions in libcrypto.a that bring in zlib and zstd, and say what an
// OpenSSL without them says. The only use of it is that a TLS client offers to take compressed certificates (RFC 8879),
// which PostgreSQL does not send. It saves 0.8 MB. An object file comes before an archive, so the linker does not take
// the members that have these names; if OpenSSL moves one of them, the link fails.
extern "C" {

COMP_METHOD* COMP_zlib() {
  return nullptr;
}
COMP_METHOD* COMP_zlib_oneshot() {
  return nullptr;
}
const BIO_METHOD* BIO_f_zlib() {
  return nullptr;
}
void ossl_comp_zlib_cleanup() {}

COMP_METHOD* COMP_zstd() {
  return nullptr;
}
COMP_METHOD* COMP_zstd_oneshot() {
  return nullptr;
}
const BIO_METHOD* BIO_f_zstd() {
  return nullptr;
}
void ossl_comp_zstd_cleanup() {}
}
