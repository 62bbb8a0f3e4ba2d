// Q6_K: 256 values in 210 bytes, 6.5625 bits per value; 16 sub-blocks of 16.
//
//   0..127 low nibbles   128..191 high pairs of bits   192..207 signed 8-bit scales
//   208..209 scale (half)
//   Of each half of 128 values, group g = 0..3 of 32: nibble in byte 32 * (g mod 2) + l, shifted by
//   4 * (g / 2); pair in byte l, shifted by 2 * g.
//
//   value = (scale * s[sub-block]) * (code - 32)
#pragma once

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

constexpr int kSubBlocks = 16;
constexpr int kSubBlock = 16;

struct BlockQ6_K {
  std::uint8_t nibbles[128];
  std::uint8_t pairs[64];
  std::int8_t scales[kSubBlocks];
  std::uint16_t scale;

  void set_codes(const std::uint8_t* codes) noexcept {
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 64; ++i) {
        const std::uint8_t* c = codes + 128 * half + i;
        nibbles[64 * half + i] = static_cast<std::uint8_t>((c[0] & 15) | (c[64] & 15) << 4);
      }
      for (int i = 0; i < 32; ++i) {
        const std::uint8_t* c = codes + 128 * half + i;
        pairs[32 * half + i] = static_cast<std::uint8_t>(c[0] >> 4 | c[32] >> 4 << 2 |
                                                         c[64] >> 4 << 4 | c[96] >> 4 << 6);
      }
    }
  }
};
static_assert(sizeof(BlockQ6_K) == 210);

}  // namespace
}  // namespace quantize::schemes
