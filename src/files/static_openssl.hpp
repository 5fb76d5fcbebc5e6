/// \file
/// OpenSSL in the static binary.
#pragma once

namespace lockkeeper::files {

/// openssl.cnf is not read, whatever a library asks for; before any other use of OpenSSL.
///
/// The machine's file may activate providers that are modules: shared objects made for the machine's glibc, which crash
/// a binary that has its own.
void ignore_openssl_configuration();

}  // namespace lockkeeper::files
