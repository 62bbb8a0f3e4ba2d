// Names a file that is something else by its first bytes, so that the message can say what it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace quantize {

inline constexpr std::size_t kFamiliarBytes = 64;  // of the start are enough

// "a Git LFS pointer (the weights were not downloaded)", "a zip archive or ...", "a GGUF file" ...;
// empty if the start is not familiar. `head`: the first kFamiliarBytes, or all of a shorter file.
std::string_view familiar_kind(std::span<const std::byte> head) noexcept;

}  // namespace quantize
