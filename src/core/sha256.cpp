#include "core/sha256.hpp"

#include <array>

#include <openssl/evp.h>

#include "quantize/error.hpp"

namespace quantize {

std::string sha256_hex(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) {
    fail(ErrorCode::BUG01, {}, std::nullopt, "libcrypto cannot compute SHA-256");
  }
  std::string out;
  for (unsigned i = 0; i < length; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15u];
  }
  return out;
}

}  // namespace quantize
