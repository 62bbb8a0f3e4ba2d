// Codes name one of 16 levels, dense around zero. IQ4_NL: 32 values in 18 bytes, 4.5 bits per
// value. IQ4_XS: 256 values in 136 bytes, 4.25; 8 sub-blocks of 32.
//
//   IQ4_NL   0..1 scale (half)   2..17 nibbles: value i low in byte i, value i + 16 high
//   IQ4_XS   0..1 scale (half)   2..3 high pairs of the sub-scales, lowest first
//            4..7 low nibbles of the sub-scales   8..135 per sub-block nibbles as IQ4_NL
//
//   IQ4_NL   value = scale * level
//   IQ4_XS   value = (scale * (s[sub-block] - 32)) * level
#pragma once

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

constexpr int kSubBlocks = 8;
constexpr int kSubBlock = 32;

constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

struct BlockIQ4_NL {
  static constexpr int kValues = 32;
  std::uint16_t scale;
  std::uint8_t nibbles[16];

  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) x[e] = d * kLevels[nibble(nibbles, e)];
  }
};
static_assert(sizeof(BlockIQ4_NL) == 18);

struct BlockIQ4_XS {
  static constexpr int kValues = 256;
  std::uint16_t scale;
  std::uint16_t scales_high;
  std::uint8_t scales_low[4];
  std::uint8_t nibbles[128];

  void set_scale_code(int j, int code) noexcept {
    scales_low[j / 2] = static_cast<std::uint8_t>(scales_low[j / 2] | (code & 15) << (4 * (j % 2)));
    scales_high = static_cast<std::uint16_t>(scales_high | (code >> 4) << (2 * j));
  }
  int scale_code(int j) const noexcept {
    return (scales_low[j / 2] >> (4 * (j % 2)) & 15) | (scales_high >> (2 * j) & 3) << 4;
  }
  void decode(float* x) const noexcept {
    for (int e = 0; e < kValues; ++e) {
      const int j = e / kSubBlock;
      const float d = half_to_float(scale) * static_cast<float>(scale_code(j) - 32);
      x[e] = d * kLevels[nibble(nibbles + 16 * j, e % kSubBlock)];
    }
  }
};
static_assert(sizeof(BlockIQ4_XS) == 136);

}  // namespace
}  // namespace quantize::schemes
