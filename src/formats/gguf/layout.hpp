// The byte layout of a GGUF v3 header, shared by the planner (exact sizes) and the writer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "quantize/metadata.hpp"
#include "quantize/tensor.hpp"

namespace quantize::gguf {

inline constexpr std::uint32_t kMagic = 0x46554747;  // "GGUF"
inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::uint64_t kAlignment = 32;
inline constexpr std::size_t kMaxTensorName = 63;

struct TensorEntry {
  std::string name;
  Shape shape;  // outermost first; written reversed, trailing ones (outermost) as given
  DType type{};
  std::uint64_t offset = 0;
};

// Bytes from the magic to the padded start of the data section.
std::uint64_t header_bytes(const Metadata& metadata, std::span<const TensorEntry> tensors);

// Exactly header_bytes() bytes, padding included.
std::vector<std::byte> encode_header(const Metadata& metadata,
                                     std::span<const TensorEntry> tensors);

// What the reference quantizer's writer does to a shape: outermost dimensions of 1 are dropped
// (at least one remains). The converter's writer keeps them.
Shape drop_unit_dimensions(const Shape& shape);

}  // namespace quantize::gguf
