// The numbers of a source's tensors, whatever type they are read in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "quantize/quantizer.hpp"
#include "quantize/source.hpp"

namespace quantize::test {

// Values first ... first + count - 1, both multiples of the type's block.
inline std::vector<float> values_of(const Source& source, std::size_t tensor, std::uint64_t first,
                                    std::uint64_t count) {
  const DType type = source.tensors()[tensor].type;
  std::vector<std::byte> raw(static_cast<std::size_t>(stored_bytes(type, count)));
  source.read(tensor, stored_bytes(type, first), raw);
  std::vector<float> out(static_cast<std::size_t>(count));
  find_quantizer(type)->decode(raw.data(), count, out.data());
  return out;
}

}  // namespace quantize::test
