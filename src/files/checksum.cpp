#include "files/checksum.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "util/error.hpp"

namespace lockkeeper::files {

namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct AlgorithmDeleter {
  void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
};

void require(int ok) {
  if (ok != 1) {
    throw util::Error(util::Outcome::internal, "OpenSSL cannot compute SHA-256",
                      "A FIPS configuration without SHA-256 or a lack of memory would explain it.");
  }
}

/// Looked up once: EVP_sha256() would be looked up again for each file. nullptr: there is none.
const EVP_MD* algorithm() {
  static const std::unique_ptr<EVP_MD, AlgorithmDeleter> k_algorithm(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  return k_algorithm.get();
}

class Sha256 {
 public:
  Sha256() : m_context(EVP_MD_CTX_new()) {
    require(m_context != nullptr && algorithm() != nullptr ? 1 : 0);
    require(EVP_DigestInit_ex(m_context.get(), algorithm(), nullptr));
  }
  void add(std::string_view bytes) { require(EVP_DigestUpdate(m_context.get(), bytes.data(), bytes.size())); }

  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    require(EVP_DigestFinal_ex(m_context.get(), digest.data(), &size));
    constexpr std::string_view k_digits = "0123456789abcdef";
    std::string result;
    result.reserve(std::size_t{2} * size);
    for (std::size_t i = 0; i < size; ++i) {
      result += k_digits[digest[i] >> 4U];
      result += k_digits[digest[i] & 0xFU];
    }
    return result;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, ContextDeleter> m_context;
};

}  // namespace

std::string sha256_hex(std::string_view bytes) {
  Sha256 hash;
  hash.add(bytes);
  return hash.hex();
}

std::string script_checksum(std::string_view text) {
  Sha256 hash;
  for (std::size_t crlf = text.find("\r\n"); crlf != std::string_view::npos; crlf = text.find("\r\n")) {
    hash.add(text.substr(0, crlf));
    text.remove_prefix(crlf + 1);
  }
  hash.add(text);
  return hash.hex();
}

std::string history_checksum(std::span<const core::Migration> migrations) {
  std::vector<const core::Migration*> ordered;
  ordered.reserve(migrations.size());
  for (const core::Migration& migration : migrations) {
    ordered.push_back(&migration);
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const auto* a, const auto* b) { return a->version.str() < b->version.str(); });
  Sha256 hash;
  for (const core::Migration* migration : ordered) {
    for (const std::string_view part : {std::string_view(migration->version.str()), std::string_view(" "),
                                        std::string_view(migration->up.checksum), std::string_view("\n")}) {
      hash.add(part);
    }
  }
  return hash.hex();
}

std::string openssl_version() {
  return OpenSSL_version(OPENSSL_VERSION_STRING);
}

}  // namespace lockkeeper::files
