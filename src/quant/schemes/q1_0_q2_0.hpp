// Q1_0: 128 values in 18 bytes, 1.125 bits per value. Q2_0: 64 values in 18 bytes, 2.25.
//
//   Q1_0   0..1 scale (half)   2..17 one bit per value, lowest first
//   Q2_0   0..1 scale (half)   2..17 two bits per value, lowest first
//
//   Q1_0   value = scale or -scale, scale = mean magnitude
//   Q2_0   value = scale * (code - 1), scale = largest magnitude; code 3 is never written
#pragma once

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

struct BlockQ1_0 {
  static constexpr int kValues = 128;
  std::uint16_t scale;
  std::uint8_t bits[16];

  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) x[e] = (bits[e / 8] >> (e % 8) & 1) != 0 ? d : -d;
  }
};
static_assert(sizeof(BlockQ1_0) == 18);

struct BlockQ2_0 {
  static constexpr int kValues = 64;
  std::uint16_t scale;
  std::uint8_t pairs[16];

  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) {
      x[e] = static_cast<float>((pairs[e / 4] >> (2 * (e % 4)) & 3) - 1) * d;
    }
  }
};
static_assert(sizeof(BlockQ2_0) == 18);

}  // namespace
}  // namespace quantize::schemes
