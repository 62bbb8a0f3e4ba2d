// The weight formats of checkpoints: vectors worked out by hand.
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "quant/checkpoint/formats.hpp"
#include "quant/checkpoint/integer_rows.hpp"

namespace quantize::test {
namespace {

std::vector<std::vector<std::uint8_t>> encoded(const WeightFormat& format, std::uint64_t rows,
                                               const std::vector<float>& values, DType type,
                                               double survey = 0) {
  const Matrix matrix{{rows, values.size() / rows}, type};
  std::vector<std::vector<std::uint8_t>> out;
  std::vector<std::byte*> parts;
  for (const WeightPart& part : format.parts(matrix)) out.emplace_back(part.bytes());
  for (auto& bytes : out) parts.push_back(reinterpret_cast<std::byte*>(bytes.data()));
  std::vector<float> decoded(values.size());
  format.encode(matrix, {values.data(), rows, matrix.size.columns, survey}, parts, decoded.data());
  return out;
}

std::vector<std::uint32_t> packed(const std::vector<std::uint8_t>& codes, unsigned bits) {
  std::vector<std::uint32_t> words(word_count(codes.size(), bits));
  pack_words(codes.data(), 1, codes.size(), bits, reinterpret_cast<std::byte*>(words.data()), 1);
  return words;
}

TEST(CheckpointPacking, IsDenseFromTheLowestBits) {
  EXPECT_EQ(packed({0, 1, 2, 3, 4, 5, 6, 7}, 4), (std::vector<std::uint32_t>{0x76543210}));
  EXPECT_EQ(packed({1, 2, 3, 4}, 8), (std::vector<std::uint32_t>{0x04030201}));
  std::vector<std::uint8_t> codes;
  for (std::uint8_t k = 0; k < 32; ++k) codes.push_back(k % 8);
  EXPECT_EQ(packed(codes, 3), (std::vector<std::uint32_t>{0x88FAC688, 0xC688FAC6, 0xFAC688FA}));
  for (std::uint8_t k = 0; k < 32; ++k) codes[k] = k;
  EXPECT_EQ(packed(codes, 5), (std::vector<std::uint32_t>{0x8A418820, 0xC5A92839, 0xCA307B9A,
                                                          0x38BDAB49, 0xFFBBCDEB}));
}

TEST(CheckpointFormats, BitsAndBytes) {
  const auto nf4 =
      encoded(*make_bnb_4bit(true, false), 1, {2, -2, 1, 0, -0.5F, 0.3F, 1.5F, -1}, DType::f32);
  EXPECT_EQ(nf4[0], (std::vector<std::uint8_t>{0xF0, 0xC7, 0x49, 0xE2}));
  const auto fp4 = encoded(*make_bnb_4bit(false, false), 1,
                           {1, 0.5F, -0.25F, 0, 0.7F, -1, 0.16F, 0.004F}, DType::f32);
  EXPECT_EQ(fp4[0], (std::vector<std::uint8_t>{0x35, 0xF0, 0x2B, 0x61}));
  const auto int8 = encoded(*make_bnb_int8(), 1, {0.5F, -1, 0.25F, 0}, DType::f32);
  EXPECT_EQ(int8[0], (std::vector<std::uint8_t>{64, 0x81, 32, 0}));
}

// Rows of codes 0 ... 15 about a zero point of 8 with the scale 1: the word of each container.
TEST(CheckpointFormats, GptqAndAwqWords) {
  std::vector<float> by_column(32 * 32), by_row(32 * 32);
  for (std::size_t r = 0; r < 32; ++r) {
    for (std::size_t c = 0; c < 32; ++c) {
      by_column[r * 32 + c] = static_cast<float>(c % 16) - 7.5F;
      by_row[r * 32 + c] = static_cast<float>(r % 16);
    }
  }
  IntegerGrid grid;
  const auto gptq = encoded(*make_gptq(grid, 32), 32, by_column, DType::f32);
  std::uint32_t zeros = 0;
  std::memcpy(&zeros, gptq[1].data(), 4);
  EXPECT_EQ(zeros, 0x77777777U);
  // A positive row has the zero point 0 and, alone in its group, the largest code.
  grid.symmetric = false;
  const auto awq = encoded(*make_awq(grid, 32), 32, by_row, DType::f32);
  std::uint32_t word = 0;
  std::memcpy(&word, awq[0].data(), 4);
  EXPECT_EQ(word, 0xFFFFFFF0U);
}

TEST(CheckpointFormats, Floats) {
  std::vector<float> tile(128 * 128, 0.0F);
  tile[0] = 896;
  tile[1] = 1;
  const auto block = encoded(*make_fp8(Fp8Scale::block), 128, tile, DType::bf16);
  EXPECT_EQ(block[0][0], 0x7E);
  EXPECT_EQ(block[0][1], 0x30);
  std::vector<float> group(32, 0.0F);
  for (const auto& [largest, exponent] : {std::pair(3.4F, 126), std::pair(3.5F, 127)}) {
    group[0] = largest;
    EXPECT_EQ(encoded(*make_mxfp4(), 1, group, DType::bf16)[1][0], exponent);
  }
  std::vector<float> sixteen(16, 0.0F);
  sixteen[0] = 3;
  const auto nvfp4 =
      encoded(*make_nvfp4(Nvfp4Container::compressed_tensors), 1, sixteen, DType::bf16, 12);
  EXPECT_EQ(nvfp4[1][0], 0x6E);
  EXPECT_EQ(nvfp4[0][0], 7);
}

}  // namespace
}  // namespace quantize::test
