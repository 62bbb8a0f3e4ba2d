// The formats' definitions, bit pattern by bit pattern, and rounding against the nearest pattern.
#include "core/small_floats.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace quantize {
namespace {

TEST(SmallFloats, E4M3IsItsDefinition) {
  for (int code = 0; code < 256; ++code) {
    const float value = e4m3_to_float(static_cast<std::uint8_t>(code));
    const int exponent = code >> 3 & 15, mantissa = code & 7;
    EXPECT_EQ(std::signbit(value), code >= 128);
    if ((code & 127) == 127)
      EXPECT_TRUE(std::isnan(value));
    else
      EXPECT_EQ(std::fabs(value), exponent == 0 ? std::ldexp(float(mantissa), -9)
                                                : std::ldexp(float(8 + mantissa), exponent - 10));
    EXPECT_EQ(float_to_e4m3(value), code == 255 ? 255 : code) << code;
  }
}

TEST(SmallFloats, E4M3RoundsToTheNearestPatternTiesToEven) {
  for (std::uint8_t code = 0; code < 0x7E; ++code) {
    const float low = e4m3_to_float(code);
    const float high = e4m3_to_float(static_cast<std::uint8_t>(code + 1));
    const float middle = (low + high) / 2;
    EXPECT_EQ(float_to_e4m3(middle), code + (code & 1)) << int(code);
    EXPECT_EQ(float_to_e4m3(std::nextafter(middle, 0.0F)), code);
    EXPECT_EQ(float_to_e4m3(-std::nextafter(middle, 1000.0F)), 0x80 | (code + 1));
  }
  EXPECT_EQ(float_to_e4m3(449), 0x7E);
  EXPECT_EQ(float_to_e4m3(-1e30F), 0xFE);
  EXPECT_EQ(float_to_e4m3(std::numeric_limits<float>::infinity()), 0x7E);
  EXPECT_EQ(float_to_e4m3(std::numeric_limits<float>::quiet_NaN()) & 0x7F, 0x7F);
  EXPECT_EQ(float_to_e4m3(std::numeric_limits<float>::denorm_min()), 0);
  EXPECT_EQ(float_to_e4m3(0.3F), 0x2A);
  EXPECT_EQ(float_to_e4m3(200.0F), 0x74);
}

TEST(SmallFloats, E5M2AndE8M0) {
  EXPECT_EQ(e5m2_to_float(0x7B), 57344.0F);
  EXPECT_EQ(e5m2_to_float(0x01), 0x1p-16F);
  EXPECT_TRUE(std::isinf(e5m2_to_float(0xFC)));
  for (int code = 0; code < 255; ++code)
    EXPECT_EQ(e8m0_to_float(static_cast<std::uint8_t>(code)), std::ldexp(1.0F, code - 127));
  EXPECT_TRUE(std::isnan(e8m0_to_float(255)));
}

TEST(SmallFloats, E2M1RoundsToEven) {
  for (std::uint8_t code = 0; code < 16; ++code)
    EXPECT_EQ(float_to_e2m1(kE2M1[code]), code == 8 ? 0 : code);  // -0 has no sign
  const float middles[] = {0.25F, 0.75F, 1.25F, 1.75F, 2.5F, 3.5F, 5.0F};
  const int even[] = {0, 2, 2, 4, 4, 6, 6};
  for (int i = 0; i < 7; ++i) EXPECT_EQ(float_to_e2m1(middles[i]), even[i]) << i;
  EXPECT_EQ(float_to_e2m1(-7), 15);
}

TEST(SmallFloats, TablesOfBitsAndBytes) {
  for (std::size_t i = 0; i < 15; ++i) {
    EXPECT_NEAR(kNF4Thresholds[i], (kNF4[i] + kNF4[i + 1]) / 2, 1e-7) << i;
  }
  for (std::size_t i = 0; i < 7; ++i) {
    const float low = kBnbFP4[kBnbFP4Order[i]], high = kBnbFP4[kBnbFP4Order[i + 1]];
    EXPECT_NEAR(kBnbFP4Thresholds[i], (low + high) / 2, 1e-6) << i;
    EXPECT_EQ(kBnbFP4[i + 8], -kBnbFP4[i]);
  }
}

}  // namespace
}  // namespace quantize
