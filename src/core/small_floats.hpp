// Number formats of four and eight bits that checkpoints store, by integer operations and tables:
// the OCP floats and the two tables of bitsandbytes.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "core/float16.hpp"

namespace quantize {

// E4M3FN: bias 7, no infinities; all ones is NaN.
constexpr float kE4M3Max = 448.0F;
inline float e4m3_to_float(std::uint8_t bits) noexcept {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x80U) << 24;
  const std::uint32_t exponent = bits >> 3 & 15U;
  const std::uint32_t mantissa = bits & 7U;
  if ((bits & 0x7FU) == 0x7FU) return std::bit_cast<float>(sign | 0x7FC00000U);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 120U) << 23 | mantissa << 20);
  const float magnitude = static_cast<float>(mantissa) * 0x1p-9F;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

// Round to nearest even; what is too large becomes the largest value, NaN stays NaN.
inline std::uint8_t float_to_e4m3(float value) noexcept {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 24 & 0x80U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  std::uint32_t code = 0;
  if (magnitude > 0x7F800000U) {
    code = 0x7F;
  } else if (magnitude >= 0x43E00000U) {  // 448
    code = 0x7E;
  } else if (magnitude < 0x3C800000U) {  // below 2^-6: steps of 2^-9, brought into place by a sum
    const float sum = std::bit_cast<float>(magnitude) + 0x1p14F;
    code = std::bit_cast<std::uint32_t>(sum) - std::bit_cast<std::uint32_t>(0x1p14F);
  } else {
    code = (magnitude + 0x7FFFFU + (magnitude >> 20 & 1U)) / 0x100000U - (120U << 3);
  }
  return static_cast<std::uint8_t>(sign | code);
}

// E5M2 is the upper byte of a half.
inline float e5m2_to_float(std::uint8_t bits) noexcept {
  return half_to_float(static_cast<std::uint16_t>(bits << 8));
}

// E8M0: 2^(code - 127); 255 is NaN. Code 0 is subnormal.
inline float e8m0_to_float(std::uint8_t code) noexcept {
  if (code == 0xFF) return std::bit_cast<float>(0x7FC00000U);
  return std::bit_cast<float>(code == 0 ? 0x00400000U : static_cast<std::uint32_t>(code) << 23);
}

// E2M1 (FP4 of MXFP4 and NVFP4): bit 3 is the sign.
constexpr std::array<float, 16> kE2M1 = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                         -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};

// Round to nearest even; what is above 6 becomes 6. -0 becomes 0, as in the packages that write
// these.
inline std::uint8_t float_to_e2m1(float value) noexcept {
  const float x = value < 0 ? -value : value;
  const int code =
      (x > 0.25F) + (x >= 0.75F) + (x > 1.25F) + (x >= 1.75F) + (x > 2.5F) + (x >= 3.5F) + (x > 5);
  const std::uint32_t sign = std::bit_cast<std::uint32_t>(value + 0.0F) >> 28 & 8U;
  return static_cast<std::uint8_t>(sign | static_cast<std::uint32_t>(code));
}

// NF4 of bitsandbytes: the code of x is the number of thresholds below it.
constexpr std::array<float, 16> kNF4 = {-1.0F,
                                        -0.6961928009986877F,
                                        -0.5250730514526367F,
                                        -0.39491748809814453F,
                                        -0.28444138169288635F,
                                        -0.18477343022823334F,
                                        -0.09105003625154495F,
                                        0.0F,
                                        0.07958029955625534F,
                                        0.16093020141124725F,
                                        0.24611230194568634F,
                                        0.33791524171829224F,
                                        0.44070982933044434F,
                                        0.5626170039176941F,
                                        0.7229568362236023F,
                                        1.0F};
constexpr std::array<float, 15> kNF4Thresholds = {
    -0.8480964004993439F,  -0.6106329262256622F,  -0.4599952697753906F,   -0.33967943489551544F,
    -0.23460740596055984F, -0.13791173323988914F, -0.045525018125772476F, 0.03979014977812767F,
    0.1202552504837513F,   0.2035212516784668F,   0.2920137718319893F,    0.3893125355243683F,
    0.5016634166240692F,   0.6427869200706482F,   0.8614784181118011F};

// FP4 of bitsandbytes, which is not E2M1: magnitudes are twelfths and a tiny one; bit 3 is the
// sign. The k-th threshold that |x| exceeds leads to the k-th code of the order.
constexpr std::array<float, 16> kBnbFP4 = {
    0.0F, 0.005208333333F,  0.66666667F,  1.0F,  0.33333333F,  0.5F,  0.16666667F,  0.25F,
    0.0F, -0.005208333333F, -0.66666667F, -1.0F, -0.33333333F, -0.5F, -0.16666667F, -0.25F};
constexpr std::array<float, 7> kBnbFP4Thresholds = {
    0.00260417F, 0.0859375F, 0.20833333F, 0.29166667F, 0.4166667F, 0.583333F, 0.8333333F};
constexpr std::array<std::uint8_t, 8> kBnbFP4Order = {0, 1, 6, 7, 4, 5, 2, 3};

}  // namespace quantize
