// The header of a safetensors file to be written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "quantize/tensor.hpp"

namespace quantize::safetensors {

struct TensorEntry {
  std::string name;
  Shape shape;
  DType type{};
  std::uint64_t offset = 0;  // from the start of the data
  std::uint64_t bytes = 0;
};

// Length, JSON in the order of the offsets, and blanks up to a multiple of 8.
std::vector<std::byte> encode_header(std::vector<TensorEntry> entries);

}  // namespace quantize::safetensors
