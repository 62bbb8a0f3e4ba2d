// Exact repacking: hand-checkable blocks, grids of every type, and values that are on none.
#include "quant/lattice.hpp"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/quantizer.hpp"

#include "core/float16.hpp"

namespace quantize {
namespace {

std::vector<std::byte> blocks_of(DType type, const std::vector<float>& values, bool* exact,
                                 DType rounding = DType::f32) {
  std::vector<std::byte> blocks(static_cast<std::size_t>(stored_bytes(type, values.size())));
  *exact = encode_exactly(type, rounding, values.data(), values.size(), blocks.data());
  return blocks;
}

std::string hex(const std::vector<std::byte>& bytes) {
  std::string out;
  for (const std::byte byte : bytes) {
    const auto value = std::to_integer<unsigned>(byte);
    out += "0123456789ABCDEF"[value >> 4];
    out += "0123456789ABCDEF"[value & 15];
  }
  return out;
}

std::vector<float> repeated(int count, int period, float scale, int zero) {
  std::vector<float> out;
  for (int i = 0; i < count; ++i) out.push_back(scale * static_cast<float>(i % period - zero));
  return out;
}

TEST(Lattice, BlocksByHand) {
  bool exact = false;
  // GPTQ, symmetric: scale 0.5, codes 0 to 15 twice.
  EXPECT_EQ(hex(blocks_of(DType::q4_0, repeated(32, 16, 0.5F, 8), &exact)),
            "003800112233445566778899AABBCCDDEEFF");
  EXPECT_TRUE(exact);
  // With a zero of 3 the differences need five bits.
  EXPECT_EQ(hex(blocks_of(DType::q5_0, repeated(32, 16, 0.5F, 3), &exact)),
            "0038F8FFF8FFDDEEFF00112233445566778899AABBCC");
  EXPECT_TRUE(exact);
  blocks_of(DType::q4_0, repeated(32, 16, 0.5F, 3), &exact);
  EXPECT_FALSE(exact);
  // A negative scale whose lowest code is the largest value.
  std::vector<float> values(32, 0.25F);
  values[0] = 2.0F;
  const auto blocks = blocks_of(DType::q4_0, values, &exact);
  EXPECT_TRUE(exact);
  EXPECT_EQ(hex(blocks).substr(0, 4), "00B4");  // -0.25
  // Weights trained on a grid that the ordinary encoder misses.
  for (int i = 0; i < 32; ++i)
    values[static_cast<std::size_t>(i)] =
        half_to_float(float_to_half(0.1F)) * static_cast<float>(i % 15 - 7);
  blocks_of(DType::q4_0, values, &exact);
  EXPECT_TRUE(exact);
}

TEST(Lattice, EveryGridIsFoundAgain) {
  std::mt19937 random(7);
  for (const DType type : lattice_types()) {
    const Quantizer& quantizer = *find_quantizer(type);
    for (int round = 0; round < 200; ++round) {
      std::vector<float> values(512), back(512);
      for (float& x : values)
        x = std::ldexp(static_cast<float>(random() % 2001) - 1000.0F,
                       static_cast<int>(random() % 3) - 12);
      std::vector<std::byte> blocks(static_cast<std::size_t>(stored_bytes(type, 512)));
      quantizer.encode({values.data(), 1, 512, nullptr, nullptr}, blocks.data());
      quantizer.decode(blocks.data(), 512, values.data());
      bool exact = false;
      const auto found = blocks_of(type, values, &exact);
      ASSERT_TRUE(exact) << info(type).name;
      quantizer.decode(found.data(), 512, back.data());
      EXPECT_EQ(back, values);
      // Kept as bfloat16, a trained grid of four bits is found as well.
      if (type != DType::q4_0) continue;
      for (float& x : values) x = bfloat16_to_float(float_to_bfloat16(x));
      blocks_of(type, values, &exact, DType::bf16);
      EXPECT_TRUE(exact);
    }
  }
}

TEST(Lattice, OtherValuesAreOnNone) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 100; ++round) {
    std::vector<float> values(256);
    for (float& x : values) x = bfloat16_to_float(float_to_bfloat16(normal(random)));
    for (const DType type : lattice_types())
      for (const DType rounding : {DType::f32, DType::f16, DType::bf16}) {
        bool exact = true;
        blocks_of(type, values, &exact, rounding);
        EXPECT_FALSE(exact) << info(type).name;
      }
  }
  std::vector<float> values(256, 1.0F);
  values[40] = std::nanf("");
  bool exact = true;
  blocks_of(DType::q8_0, values, &exact);
  EXPECT_FALSE(exact);
  blocks_of(DType::q8_0, std::vector<float>(256, 0.0F), &exact);
  EXPECT_TRUE(exact);
}

}  // namespace
}  // namespace quantize
