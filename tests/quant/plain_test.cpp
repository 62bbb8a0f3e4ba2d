// Plain types: exhaustive where the codes can be counted, against arithmetic in double elsewhere.
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "support/quantize_rows.hpp"

namespace quantize::test {
namespace {

template <class Number>
float decode_one(DType type, Number number) {
  float out = 0;
  find_quantizer(type)->decode(reinterpret_cast<const std::byte*>(&number), 1, &out);
  return out;
}

std::uint16_t encode_one(DType type, float value) {
  std::uint16_t bits = 0;
  find_quantizer(type)->encode({&value, 1, 1, nullptr, nullptr},
                               reinterpret_cast<std::byte*>(&bits));
  return bits;
}

// The value that a small float format's fields spell, by the textbook formula.
double spelled(unsigned bits, int exponent_bits, int mantissa_bits, int bias) {
  const int mantissa = static_cast<int>(bits & ((1U << mantissa_bits) - 1));
  const int exponent = static_cast<int>(bits >> mantissa_bits & ((1U << exponent_bits) - 1));
  const bool negative = (bits >> (exponent_bits + mantissa_bits) & 1U) != 0;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, 1 - bias - mantissa_bits)
                    : std::ldexp((1 << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
  return negative ? -magnitude : magnitude;
}

struct SixteenBits {
  DType type;
  int exponent_bits, mantissa_bits, bias;
};
class SixteenBitTest : public testing::TestWithParam<SixteenBits> {};

TEST_P(SixteenBitTest, EveryCodeDecodesAndComesBack) {
  const SixteenBits& f = GetParam();
  const unsigned all_ones = ((1U << f.exponent_bits) - 1) << f.mantissa_bits;
  for (unsigned code = 0; code < 65536; ++code) {
    const auto bits = static_cast<std::uint16_t>(code);
    const float value = decode_one(f.type, bits);
    const bool invalid = (code & all_ones) == all_ones;
    std::uint64_t index = 1;
    if (const auto found =
            find_quantizer(f.type)->first_invalid(reinterpret_cast<const std::byte*>(&bits), 1)) {
      index = *found;
    }
    ASSERT_EQ(index == 0, invalid) << code;
    if (invalid) {
      const bool infinite = (code & 0x7FFFU) == all_ones;
      ASSERT_EQ(std::isinf(value), infinite) << code;
      ASSERT_EQ(std::isnan(value), !infinite) << code;
      ASSERT_EQ(std::signbit(value), code >> 15 != 0) << code;
      if (infinite) {
        ASSERT_EQ(encode_one(f.type, value), code);
      }
      continue;
    }
    const auto expected =
        static_cast<float>(spelled(code, f.exponent_bits, f.mantissa_bits, f.bias));
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(expected)) << code;
    ASSERT_EQ(encode_one(f.type, value), code);
  }
}

// Between neighbours: the midpoint goes to the even code, a float's width beside it to the nearer.
TEST_P(SixteenBitTest, RoundsToNearestEven) {
  const SixteenBits& f = GetParam();
  const unsigned infinity = ((1U << f.exponent_bits) - 1) << f.mantissa_bits;
  for (unsigned code = 0; code + 1 < infinity; ++code) {
    const double low = spelled(code, f.exponent_bits, f.mantissa_bits, f.bias);
    const double high = spelled(code + 1, f.exponent_bits, f.mantissa_bits, f.bias);
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(encode_one(f.type, middle), code + (code & 1U)) << code;
    ASSERT_EQ(encode_one(f.type, std::nextafter(middle, 0.0F)), code) << code;
    ASSERT_EQ(encode_one(f.type, std::nextafter(middle, INFINITY)), code + 1) << code;
    ASSERT_EQ(encode_one(f.type, -middle), (code + (code & 1U)) | 0x8000U) << code;
  }
  ASSERT_EQ(encode_one(f.type, std::numeric_limits<float>::max()), infinity);
}

INSTANTIATE_TEST_SUITE_P(Types, SixteenBitTest,
                         testing::Values(SixteenBits{DType::f16, 5, 10, 15},
                                         SixteenBits{DType::bf16, 8, 7, 127}),
                         [](const auto& p) {
                           return std::string(::quantize::info(p.param.type).name);
                         });

TEST(NotANumber, KeepsItsSignAndIsQuiet) {
  const float nan = std::bit_cast<float>(0xFF800001U);
  EXPECT_EQ(encode_one(DType::f16, nan), 0xFE00);
  EXPECT_EQ(encode_one(DType::bf16, nan), 0xFFC0);
}

TEST(EightBitFloats, DecodeEveryCode) {
  for (unsigned code = 0; code < 256; ++code) {
    const auto bits = static_cast<std::uint8_t>(code);
    const float e4m3 = decode_one(DType::f8_e4m3, bits);
    if ((code & 0x7FU) == 0x7FU) {
      EXPECT_TRUE(std::isnan(e4m3)) << code;
    } else {
      EXPECT_EQ(e4m3, static_cast<float>(spelled(code, 4, 3, 7))) << code;
      EXPECT_EQ(std::signbit(e4m3), code >= 128) << code;
    }
    const float e5m2 = decode_one(DType::f8_e5m2, bits);
    if ((code & 0x7CU) == 0x7CU) {
      EXPECT_EQ(std::isinf(e5m2), (code & 3U) == 0) << code;
      EXPECT_EQ(std::isnan(e5m2), (code & 3U) != 0) << code;
    } else {
      EXPECT_EQ(e5m2, static_cast<float>(spelled(code, 5, 2, 15))) << code;
    }
  }
}

TEST(Integers, DecodeByConversion) {
  EXPECT_EQ(decode_one(DType::i8, std::int8_t{-128}), -128.0F);
  EXPECT_EQ(decode_one(DType::u8, std::uint8_t{255}), 255.0F);
  EXPECT_EQ(decode_one(DType::i16, std::int16_t{-32768}), -32768.0F);
  EXPECT_EQ(decode_one(DType::u16, std::uint16_t{65535}), 65535.0F);
  EXPECT_EQ(decode_one(DType::i32, std::int32_t{16777217}), 16777216.0F);
  EXPECT_EQ(decode_one(DType::u32, std::uint32_t{4294967295U}), 4294967296.0F);
  EXPECT_EQ(decode_one(DType::i64, std::int64_t{-9007199254740993}), -9007199254740992.0F);
  EXPECT_EQ(decode_one(DType::u64, std::uint64_t{1} << 63), 0x1p63F);
  EXPECT_EQ(decode_one(DType::boolean, std::uint8_t{0}), 0.0F);
  EXPECT_EQ(decode_one(DType::boolean, std::uint8_t{1}), 1.0F);
}

TEST(Doubles, AreNarrowedOnce) {
  EXPECT_EQ(decode_one(DType::f64, 0.1), 0.1F);
  EXPECT_EQ(decode_one(DType::f64, 1 + 0x1p-24), 1.0F);
  EXPECT_EQ(decode_one(DType::f64, 1 + 0x1.000001p-24), 1 + 0x1p-23F);
  EXPECT_TRUE(std::isinf(decode_one(DType::f64, 1e300)));
}

// What a float cannot hold must be found before it is quantized.
TEST(WideTypes, NonFiniteValuesAreFound) {
  const double doubles[] = {1.0, 2.0, 1e300};
  EXPECT_EQ(
      find_quantizer(DType::f64)->first_invalid(reinterpret_cast<const std::byte*>(doubles), 3),
      std::optional<std::uint64_t>(2));
  const std::uint8_t e4m3[] = {0x00, 0xFF};
  EXPECT_EQ(
      find_quantizer(DType::f8_e4m3)->first_invalid(reinterpret_cast<const std::byte*>(e4m3), 2),
      std::optional<std::uint64_t>(1));
  const std::uint8_t e5m2[] = {0x7B, 0x7C};
  EXPECT_EQ(
      find_quantizer(DType::f8_e5m2)->first_invalid(reinterpret_cast<const std::byte*>(e5m2), 2),
      std::optional<std::uint64_t>(1));
}

TEST(PlainTypes, OnlyThreeAreWritten) {
  for (const TypeInfo& type : all_types()) {
    if (type.codec != Codec::plain) continue;
    const Quantizer* quantizer = find_quantizer(type.type);
    ASSERT_NE(quantizer, nullptr) << type.name;
    const bool written =
        type.type == DType::f32 || type.type == DType::f16 || type.type == DType::bf16;
    EXPECT_EQ(quantizer->encode != nullptr, written) << type.name;
  }
}

}  // namespace
}  // namespace quantize::test
