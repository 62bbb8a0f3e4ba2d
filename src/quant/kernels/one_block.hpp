// For types whose encoders need no search: a block at a time, vectors along its values.
#pragma once

#include <cstring>

#include "quantize/quantizer.hpp"

#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

// encode_block(values, block) sets every byte of the block. Rows are whole blocks, one after the
// other.
template <class Block, class EncodeBlock>
inline void for_each_single_block(const EncodeInput& in, std::byte* out, EncodeBlock encode_block) {
  const std::uint64_t total = in.rows * in.row_values;
  const float* values = in.values;
  for (std::uint64_t at = 0; at < total; at += Block::kValues, out += sizeof(Block)) {
    Block block;
    encode_block(values + at, block);
    std::memcpy(out, &block, sizeof block);
  }
}

template <int kCount>
inline float largest_magnitude(const float* x) {
  F magnitude = F::set(0);
  for (int i = 0; i < kCount; i += kNativeLanes) magnitude = max(abs(F::load(x + i)), magnitude);
  return reduce_max(magnitude);
}

inline std::uint16_t half_of(float value) {
  std::uint16_t halves[kNativeLanes];
  store(halves, float_to_half(F::set(value)));
  return halves[0];
}

}  // namespace
}  // namespace quantize::kernels
