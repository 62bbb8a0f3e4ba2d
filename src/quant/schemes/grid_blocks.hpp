// What the blocks of the grid types share: signs, scale nibbles, and the quantizer around a block.
#pragma once

#include <bit>

#include "quant/blocks.hpp"
#include "quant/grid_search.hpp"

namespace quantize::schemes {

// Seven sign bits; the eighth makes their number even. Set: negative.
inline unsigned all_signs(unsigned seven) noexcept {
  return seven | static_cast<unsigned>(std::popcount(seven) & 1) << 7;
}
inline float with_sign(float magnitude, unsigned signs, std::size_t i) noexcept {
  return (signs >> i & 1U) != 0 ? -magnitude : magnitude;
}

// Four-bit scale codes, two to a byte.
inline int scale_nibble(const std::uint8_t* scales, std::size_t j) noexcept {
  return scales[j / 2] >> (4 * (j % 2)) & 15;
}
inline void set_scale_nibble(std::uint8_t* scales, std::size_t j, int code) noexcept {
  scales[j / 2] = static_cast<std::uint8_t>(scales[j / 2] | code << (4 * (j % 2)));
}

template <class Block>
void encode_grid_blocks(const EncodeInput& in, std::byte* out) noexcept {
  const Neighbours& grid = Block::neighbours();
  for_each_block<Block, kSuperBlock>(
      in, out, [&grid](const float* x, const float* importance, float, Block& block) {
        grid_search::encode_block(grid, x, importance, block);
      });
}

template <class Block>
void decode_grid_blocks(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<Block, kSuperBlock>(in, values, out, [](const Block& block, float* x) {
    const float d = half_to_float(block.scale);
    for (std::size_t e = 0; e < kSuperBlock; ++e) x[e] = block.value(d, e);
  });
}

template <class Block>
std::optional<std::uint64_t> first_invalid_scale(const std::byte* in,
                                                 std::uint64_t count) noexcept {
  return first_block_that_is_not<Block>(
      in, count, [](const Block& block) { return half_is_finite(block.scale); });
}

template <class Block, std::size_t kBytes>
constexpr Quantizer grid_quantizer(DType type, ImportanceUse importance) noexcept {
  static_assert(sizeof(Block) == kBytes);
  return {type,
          importance,
          nullptr,
          nullptr,
          encode_grid_blocks<Block>,
          decode_grid_blocks<Block>,
          first_invalid_scale<Block>};
}

}  // namespace quantize::schemes
