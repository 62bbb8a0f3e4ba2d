// Ternary types of 256 values. TQ1_0: 54 bytes, 1.6875 bits per value. TQ2_0: 66 bytes, 2.0625.
//
//   TQ1_0   0..47 five base-3 digits each: of values 0..159 digit n of byte b is value b + 32 * n,
//           of values 160..239 (bytes 32..47) the stride is 16
//           48..51 four digits each, of values 240.. with stride 4   52..53 scale (half)
//   TQ2_0   0..63 digits of 2 bits (pack_two_bits)   64..65 scale (half)
//
//   value = (digit - 1) * scale, scale = largest magnitude
#pragma once

#include "quant/blocks.hpp"

namespace quantize::schemes {
namespace {

// A byte holds its digits as a fraction of 256, rounded up: multiplying by 3 carries out the first
// digit, and the rest of the byte is the fraction of the others.
struct BlockTQ1_0 {
  static constexpr int kValues = 256;
  std::uint8_t fives[48];
  std::uint8_t fours[4];
  std::uint16_t scale;

  static std::uint8_t pack(const std::uint8_t* digits, int stride, int count) noexcept {
    int value = 0;
    for (int n = 0; n < 5; ++n) value = value * 3 + (n < count ? digits[n * stride] : 0);
    return static_cast<std::uint8_t>((value * 256 + 242) / 243);
  }
  static float level(unsigned byte, int n) noexcept {
    constexpr unsigned kPowers[5] = {1, 3, 9, 27, 81};
    const unsigned rest = byte * kPowers[n] & 255U;
    return static_cast<float>(static_cast<int>(rest * 3 >> 8) - 1);
  }
  void set_digits(const std::uint8_t* digits) noexcept {
    for (int i = 0; i < 32; ++i) fives[i] = pack(digits + i, 32, 5);
    for (int i = 0; i < 16; ++i) fives[32 + i] = pack(digits + 160 + i, 16, 5);
    for (int i = 0; i < 4; ++i) fours[i] = pack(digits + 240 + i, 4, 4);
  }
  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < 160; ++e) x[e] = level(fives[e % 32], e / 32) * d;
    for (int e = 0; e < 80; ++e) x[160 + e] = level(fives[32 + e % 16], e / 16) * d;
    for (int e = 0; e < 16; ++e) x[240 + e] = level(fours[e % 4], e / 4) * d;
  }
};
static_assert(sizeof(BlockTQ1_0) == 54);

struct BlockTQ2_0 {
  static constexpr int kValues = 256;
  std::uint8_t pairs[64];
  std::uint16_t scale;

  void set_digits(const std::uint8_t* digits) noexcept { pack_two_bits(digits, pairs); }
  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) x[e] = static_cast<float>(two_bits(pairs, e) - 1) * d;
  }
};
static_assert(sizeof(BlockTQ2_0) == 66);

}  // namespace
}  // namespace quantize::schemes
