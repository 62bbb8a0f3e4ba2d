// Text files compiled into the library (tools/cmake/embed.cmake).
#pragma once

#include <cstddef>
#include <string_view>

namespace quantize {

struct EmbeddedText {
  std::string_view name;  // the file's stem
  std::string_view text;
};

extern const EmbeddedText embedded_families[];
extern const std::size_t embedded_families_count;

}  // namespace quantize
