// Codes are 4-bit floats (E2M1). MXFP4: 32 values in 17 bytes, 4.25 bits per value. NVFP4: 64
// values in 36 bytes, 4.5.
//
//   MXFP4   0 exponent of the scale   1..16 nibbles: value i low in byte i, value i + 16 high
//   NVFP4   0..3 scales, one per 16 values (unsigned 8-bit floats with 3 bits of mantissa, bias 7)
//           4..35 per 16 values 8 bytes of nibbles: value i low in byte i, value i + 8 high
//
//   value = scale * level. Levels are doubled to be integers, so scales are halved:
//   2^(exponent - 128), and half of what the 8-bit float says.
#pragma once

#include <bit>

#include "quant/blocks.hpp"

namespace quantize::schemes {
namespace {

constexpr float kLevels[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// The first of the nearest levels. No closed form gives it for values far above the largest level,
// where the differences round to equal numbers.
inline std::uint8_t nearest_level(float x, float scale) noexcept {
  std::uint8_t nearest = 0;
  float least = std::fabs(kLevels[0] * scale - x);
  for (std::uint8_t code = 1; code < 16; ++code) {
    const float error = std::fabs(kLevels[code] * scale - x);
    if (error < least) {
      least = error;
      nearest = code;
    }
  }
  return nearest;
}

// floor(log2(x)) of a positive x where the logarithm is rounded to a float first: it becomes the
// integer k for the few x below 2^k that are nearer than half a float below k. Those are
// ln 2 * 2^(w - 1) steps of x, where w is the width of the integer below |k|; 88 is
// floor(ln 2 * 2^7). Steps are longer where x is subnormal.
inline int floor_of_rounded_log2(float x) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const int width = 32 - std::countl_zero(bits);
  const bool subnormal = width <= 23;
  const int k = subnormal ? width - 149 : static_cast<int>(bits >> 23) - 126;
  const std::uint32_t power = subnormal ? 1U << width : ((bits >> 23) + 1) << 23;
  const int w = 32 - std::countl_zero(static_cast<std::uint32_t>(k > 0 ? k - 1 : -k));
  const std::uint32_t reach = 88U >> (8 - w) >> (k < -125 ? -125 - k : 0);
  return power - bits <= reach ? k : k - 1;
}

struct BlockMXFP4 {
  static constexpr int kValues = 32;
  std::uint8_t exponent;
  std::uint8_t nibbles[16];

  // Below 2^-125 the exponent is out of range: 0, the smallest, holds such values well. The
  // reference lets it wrap to 255, 254 ..., and its blocks decode to huge values or are invalid.
  static std::uint8_t exponent_of(float magnitude, bool reference_quirks) noexcept {
    if (!(magnitude > 0)) return 0;
    const int found = floor_of_rounded_log2(magnitude) - 2 + 127;
    return static_cast<std::uint8_t>(found > 0 || reference_quirks ? found : 0);
  }
  // 2^(exponent - 128); the two smallest are subnormal.
  static float scale_of(int exponent) noexcept {
    const int bits = exponent < 2 ? 0x00200000 << exponent : (exponent - 1) << 23;
    return std::bit_cast<float>(bits);
  }
  void decode(float* x) const noexcept {
    const float d = scale_of(exponent);
    for (int e = 0; e < kValues; ++e) x[e] = kLevels[nibble(nibbles, e)] * d;
  }
};
static_assert(sizeof(BlockMXFP4) == 17);

struct BlockNVFP4 {
  static constexpr int kValues = 64;
  static constexpr int kGroup = 16;
  std::uint8_t scales[4];
  std::uint8_t nibbles[32];

  // Rounds half up, looking at one bit below the mantissa only. The top exponent is left out.
  static std::uint8_t scale_code(float x) noexcept {
    if (!(x > 0)) return 0;
    if (x >= 448) return 0x7E;
    if (x < 0x1p-6F) {
      const std::int32_t steps = truncate(x * 512.0F + 0.5F);
      return static_cast<std::uint8_t>(steps < 7 ? steps : 7);
    }
    const std::uint32_t code = (((std::bit_cast<std::uint32_t>(x) >> 19) + 1) >> 1) - (120U << 3);
    return static_cast<std::uint8_t>(code < 0x78 ? code : 0x7E);
  }
  static float scale(int code) noexcept {
    if (code == 0 || code == 0x7F) return 0;
    const int exponent = code >> 3 & 15;
    const int mantissa = code & 7;
    if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10F;
    const int bits = (exponent - 8 + 127) << 23 | mantissa << 20;
    return std::bit_cast<float>(bits);
  }
  void decode(float* x) const noexcept {
    for (int e = 0; e < kValues; ++e) {
      const int group = e / kGroup;
      const int i = e % kGroup;
      const int byte = nibbles[8 * group + i % 8];
      x[e] = kLevels[i < 8 ? byte & 15 : byte >> 4] * scale(scales[group]);
    }
  }
};
static_assert(sizeof(BlockNVFP4) == 36);

}  // namespace
}  // namespace quantize::schemes
