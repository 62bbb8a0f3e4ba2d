// What the decoders share: walking blocks, halves in every lane, and bits as numbers.
#pragma once

#include <cstring>

#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

// decode_block(const Block&, float* out) for every block.
template <class Block, int kValues, class DecodeBlock>
inline void decode_each(const std::byte* in, std::uint64_t values, float* out,
                        DecodeBlock decode_block) {
  for (std::uint64_t at = 0; at < values; at += kValues, in += sizeof(Block)) {
    Block block;
    std::memcpy(&block, in, sizeof block);
    decode_block(block, out + at);
  }
}

inline F half_in_every_lane(std::uint16_t half) { return half_to_float(I::set(half)); }

// `value` in the lanes where x has one of the bits, else 0.
inline I where_bits(I x, std::int32_t bits, std::int32_t value) {
  return select((x & I::set(bits)) == I::set(0), I::set(0), I::set(value));
}

}  // namespace
}  // namespace quantize::kernels
