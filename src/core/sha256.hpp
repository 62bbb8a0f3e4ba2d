// SHA-256 in one call, by libcrypto.
#pragma once

#include <string>
#include <string_view>

namespace quantize {

std::string sha256_hex(std::string_view bytes);  // 64 lower-case hexadecimal digits

}  // namespace quantize
