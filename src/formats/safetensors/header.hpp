// The header of a safetensors file, checked in full against the size of the file: whoever holds
// one may read any tensor's data without a further check.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "quantize/error.hpp"
#include "quantize/metadata.hpp"
#include "quantize/source.hpp"

namespace quantize::safetensors {

inline constexpr std::uint64_t kLengthBytes = 8;
inline constexpr std::uint64_t kMinFileBytes = 10;
inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;
inline constexpr std::size_t kMaxTensors = 1'000'000;
inline constexpr std::size_t kMaxNameBytes = 512;

struct Header {
  std::vector<SourceTensor> tensors;  // in the order of their data; data_offset counts from the
                                      // start of the file
  Metadata metadata;                  // __metadata__: strings
};

// Reads exactly into.size() bytes at an offset below `file_bytes`.
using ReadAt = std::function<void(std::uint64_t offset, std::span<std::byte> into)>;

// ST01 to ST31. `other_kind`: the code for a file that is familiar, but something else.
Header read_header(const std::string& file, std::uint64_t file_bytes, const ReadAt& read,
                   Warnings& warnings, ErrorCode other_kind = ErrorCode::ST07);

}  // namespace quantize::safetensors
