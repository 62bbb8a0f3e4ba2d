// What the blocks of the grid types share: signs, scale nibbles, and the quantizer around a block.
#pragma once

#include <bit>

#include "quant/blocks.hpp"
#include "quant/grid_search.hpp"

namespace quantize::schemes {
namespace {

// Seven sign bits; the eighth makes their number even. Set: negative.
inline unsigned all_signs(unsigned seven) noexcept {
  return seven | static_cast<unsigned>(std::popcount(seven) & 1) << 7;
}
inline float with_sign(float magnitude, unsigned signs, std::size_t i) noexcept {
  return (signs >> i & 1U) != 0 ? -magnitude : magnitude;
}

// 32 bits: four 7-bit sign codes and a 4-bit scale code, at any address.
struct SignWord {
  std::uint8_t bytes[4];

  std::uint32_t load() const noexcept {
    std::uint32_t word = 0;
    for (int k = 3; k >= 0; --k) word = word << 8 | bytes[k];
    return word;
  }
  void add(std::uint32_t bits) noexcept {
    const std::uint32_t word = load() | bits;
    for (int k = 0; k < 4; ++k) bytes[k] = static_cast<std::uint8_t>(word >> (8 * k));
  }
  void set_signs(const std::uint8_t (&codes)[4]) noexcept {
    for (unsigned l = 0; l < 4; ++l) add(static_cast<std::uint32_t>(codes[l]) << (7 * l));
  }
  unsigned signs(std::size_t l) const noexcept { return all_signs(load() >> (7 * l) & 127U); }
  void set_scale_code(int code) noexcept { add(static_cast<std::uint32_t>(code) << 28); }
  int scale_code() const noexcept { return static_cast<int>(load() >> 28); }
};

// Four-bit scale codes, two to a byte.
inline int scale_nibble(const std::uint8_t* scales, std::size_t j) noexcept {
  return scales[j / 2] >> (4 * (j % 2)) & 15;
}
inline void set_scale_nibble(std::uint8_t* scales, std::size_t j, int code) noexcept {
  scales[j / 2] = static_cast<std::uint8_t>(scales[j / 2] | code << (4 * (j % 2)));
}

// A value of a block whose points hold codes of magnitudes. The block says what a group is made of:
// point() of kDigits values, signs_of() eight, step() of sixteen.
template <class Block>
float signed_magnitude(const Block& block, float scale, std::size_t e) noexcept {
  const unsigned code =
      grid_search::digit(block.point(e / Block::kDigits), e % Block::kDigits, Block::kBits);
  return with_sign(block.step(scale, e / 16) * Block::kMagnitudes[code], block.signs_of(e / 8),
                   e % 8);
}

template <class Block>
void encode_grid_blocks(const EncodeInput& in, std::byte* out) noexcept {
  const Neighbours& grid = Block::neighbours();
  for_each_block<Block, kSuperBlock>(
      in, out, [&](const float* x, const float* importance, float, Block& block) {
        const unsigned zeros = grid_search::encode_block(grid, x, importance, block);
        if constexpr (Block::kHasQuirk) {
          if (in.reference_quirks) block.close_gaps(zeros);
        }
      });
}

template <class Block>
std::uint16_t stored_scale(const Block& block) noexcept {
  if constexpr (requires { block.scale(); }) {
    return block.scale();
  } else {
    return block.scale;
  }
}

template <class Block>
void decode_grid_blocks(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<Block, kSuperBlock>(in, values, out, [](const Block& block, float* x) {
    const float d = half_to_float(stored_scale(block));
    for (std::size_t e = 0; e < kSuperBlock; ++e) x[e] = block.value(d, e);
  });
}

template <class Block>
std::optional<std::uint64_t> first_invalid_scale(const std::byte* in,
                                                 std::uint64_t count) noexcept {
  return first_block_that_is_not<Block>(
      in, count, [](const Block& block) { return half_is_finite(stored_scale(block)); });
}

template <class Block, std::size_t kBytes>
constexpr Quantizer grid_quantizer(
    DType type, ImportanceUse importance,
    decltype(Quantizer::encode) encode = encode_grid_blocks<Block>) noexcept {
  static_assert(sizeof(Block) == kBytes);
  return {type,
          importance,
          nullptr,
          nullptr,
          encode,
          decode_grid_blocks<Block>,
          first_invalid_scale<Block>};
}

}  // namespace
}  // namespace quantize::schemes
