// What the decoders share: walking blocks, halves in every lane, and bits as numbers.
#pragma once

#include <cstdint>
#include <cstring>

#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

// decode_block(const Block&, float* out) for every block. Blocks are read where they are, if that
// is aligned: vectors loaded from a copy would wait for the narrow stores that made it.
template <class Block, int kValues, class DecodeBlock>
inline void decode_each(const std::byte* in, std::uint64_t values, float* out,
                        DecodeBlock decode_block) {
  if (reinterpret_cast<std::uintptr_t>(in) % alignof(Block) == 0) {
    const auto* block = reinterpret_cast<const Block*>(in);
    for (std::uint64_t at = 0; at < values; at += kValues) decode_block(*block++, out + at);
    return;
  }
  for (std::uint64_t at = 0; at < values; at += kValues, in += sizeof(Block)) {
    Block block;
    std::memcpy(&block, in, sizeof block);
    decode_block(block, out + at);
  }
}

// Lane l of the vector at kBits + i looks at bit l + i.
alignas(64) constexpr std::int32_t kBits[16] = {1,   2,   4,    8,    16,   32,   64,    128,
                                                256, 512, 1024, 2048, 4096, 8192, 16384, 32768};

// Nibbles that name one of 16 levels: value i in the low nibble of byte i, value i + 16 in the high
// one.
inline void decode_32_levels(const std::uint8_t* nibbles, const float* levels, F scale, float* x) {
  for (int i = 0; i < 16; i += kNativeLanes) {
    const I bytes = I::load(nibbles + i);
    store(x + i, lookup16(levels, bytes & I::set(15)) * scale);
    store(x + 16 + i, lookup16(levels, shift_right<4>(bytes)) * scale);
  }
}

inline F half_in_every_lane(std::uint16_t half) { return half_to_float(I::set(half)); }

// `value` in the lanes where x has one of the bits, else 0.
inline I where_bits(I x, std::int32_t bits, std::int32_t value) {
  return select((x & I::set(bits)) == I::set(0), I::set(0), I::set(value));
}

}  // namespace
}  // namespace quantize::kernels
