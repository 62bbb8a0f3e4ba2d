// Base64 with the usual alphabet and padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace quantize {

// Empty if `text` is anything else.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace quantize
