// Decoding the 2- and 3-bit grid types: what schemes::signed_magnitude says, for sixteen values at
// once.
#pragma once

#include "quant/kernels/decode.hpp"

namespace quantize::kernels {
namespace {

// The digits of a point as bytes.
template <class Block>
inline void spread_digits(std::uint32_t point, std::uint8_t* digits) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < Block::kDigits; ++i) {
    const std::uint64_t digit = point >> (Block::kBits * i) & ((1U << Block::kBits) - 1);
    bytes |= digit << (8 * i);
  }
  std::memcpy(digits, &bytes, Block::kDigits);
}

template <class Block>
inline void decode_grid(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<Block, 256>(in, values, out, [](const Block& block, float* x) {
    float scale[kNativeLanes];
    store(scale, half_in_every_lane(block.scale));
    // All digits first: the vector loads would wait for narrow stores right before them.
    std::uint8_t digits[256];
    for (std::size_t g = 0; g < 256 / Block::kDigits; ++g) {
      spread_digits<Block>(block.point(g), digits + Block::kDigits * g);
    }
    for (std::size_t j = 0; j < 16; ++j) {
      const I signs =
          I::set(static_cast<std::int32_t>(block.signs_of(2 * j) | block.signs_of(2 * j + 1) << 8));
      const F step = F::set(block.step(scale[0], j));
      for (int i = 0; i < 16; i += kNativeLanes) {
        const F value = step * lookup8(Block::kMagnitudes, I::load(digits + 16 * j + i));
        const M negative = ~((signs & I::load(kBits + i)) == I::set(0));
        store(x + 16 * j + static_cast<std::size_t>(i), select(negative, -value, value));
      }
    }
  });
}

}  // namespace
}  // namespace quantize::kernels
