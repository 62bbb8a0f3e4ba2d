// Single blocks whose bytes can be said in words.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>

#include <gtest/gtest.h>

#include "support/quantize_rows.hpp"

namespace quantize::test {
namespace {

struct ZeroBlock {
  DType type;
  bool weighted;
  std::vector<int> head;  // the first bytes
  int rest;               // every byte after them
};

// Zeros are not always zero bytes: a plain Q4_0 divides its peak, 0, by -8 and stores -0, and its
// codes stand for code - 8.
TEST(ZeroBlocks, HaveTheirExactBytes) {
  std::vector<ZeroBlock> cases = {{DType::q4_0, false, {0x00, 0x80}, 0x88},
                                  {DType::q5_0, false, {0x00, 0x80, 0xFF, 0xFF, 0xFF, 0xFF}, 0x00},
                                  {DType::q4_0, true, {}, 0},
                                  {DType::q5_0, true, {}, 0}};
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_1,
                           DType::q5_1, DType::q2_k, DType::q3_k, DType::q4_k, DType::q5_k,
                           DType::q6_k, DType::iq2_s, DType::iq3_xxs, DType::iq3_s, DType::iq1_m}) {
    cases.push_back({type, false, {}, 0});
    cases.push_back({type, true, {}, 0});
  }
  for (const DType type : {DType::iq2_xxs, DType::iq2_xs, DType::iq1_s})
    cases.push_back({type, true, {}, 0});
  const std::vector<float> ones(256, 1.0F);
  for (const ZeroBlock& c : cases) {
    const TypeInfo& type = info(c.type);
    const std::vector<float> zeros(type.block_values, 0.0F);
    std::vector<std::byte> expected(type.block_bytes, static_cast<std::byte>(c.rest));
    for (std::size_t i = 0; i < c.head.size(); ++i) expected[i] = static_cast<std::byte>(c.head[i]);
    const auto actual = encode_rows(*find_quantizer(c.type), zeros, type.block_values,
                                    c.weighted ? ones.data() : nullptr);
    EXPECT_EQ(first_difference(expected, actual), -1) << type.name << " weighted " << c.weighted;
  }
}

// Where a block's halves that must be finite lie.
struct HalfFields {
  DType type;
  std::vector<std::size_t> offsets;
};
const HalfFields kHalfFields[] = {
    {DType::q4_0, {0}},    {DType::q5_0, {0}},      {DType::q8_0, {0}},   {DType::q4_1, {0, 2}},
    {DType::q5_1, {0, 2}}, {DType::q2_k, {80, 82}}, {DType::q3_k, {108}}, {DType::q4_k, {0, 2}},
    {DType::q5_k, {0, 2}}, {DType::q6_k, {208}},    {DType::iq2_xs, {0}}, {DType::iq2_xxs, {0}},
    {DType::iq2_s, {0}},   {DType::iq3_xxs, {0}},   {DType::iq3_s, {0}},  {DType::iq1_s, {0}},
};

TEST(InvalidBlocks, AreFoundByEitherHalf) {
  for (const HalfFields& fields : kHalfFields) {
    const TypeInfo& type = info(fields.type);
    const Quantizer& quantizer = *find_quantizer(fields.type);
    std::vector<std::byte> blocks(std::size_t{5} * type.block_bytes, std::byte{0x3B});
    EXPECT_EQ(quantizer.first_invalid(blocks.data(), 5), std::nullopt) << type.name;
    for (const std::size_t offset : fields.offsets) {
      for (const std::uint16_t half :
           std::initializer_list<std::uint16_t>{0x7C00, 0xFC00, 0x7E01}) {
        auto broken = blocks;
        std::memcpy(broken.data() + std::size_t{3} * type.block_bytes + offset, &half, 2);
        EXPECT_EQ(quantizer.first_invalid(broken.data(), 5), std::optional<std::uint64_t>(3))
            << type.name << " offset " << offset;
      }
    }
  }
}

TEST(InvalidBlocks, ComeFromValuesThatHalvesCannotHold) {
  for (const Quantizer& quantizer : quantizers()) {
    if (!quantizer.encode || quantizer.type == DType::f32 || quantizer.type == DType::bf16)
      continue;
    const TypeInfo& type = info(quantizer.type);
    std::vector<float> values(type.block_values, 0.0F);
    values[0] = 1e10F;
    const std::vector<float> ones(type.block_values, 1.0F);
    const bool weighted = quantizer.importance == ImportanceUse::required;
    const auto blocks =
        encode_rows(quantizer, values, type.block_values, weighted ? ones.data() : nullptr);
    EXPECT_EQ(quantizer.first_invalid(blocks.data(), 1), std::optional<std::uint64_t>(0))
        << type.name;
  }
}

float largest_error(const Quantizer& quantizer, const std::vector<float>& values, bool quirks) {
  const auto blocks = encode_rows(quantizer, values, values.size(), nullptr, quirks);
  std::vector<float> decoded(values.size());
  quantizer.decode(blocks.data(), values.size(), decoded.data());
  float largest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    largest = std::max(largest, std::fabs(decoded[i] - values[i]));
  }
  return largest;
}

// After a sub-block of zeros the reference writes the rest of an IQ3_S block to the wrong places.
// We do only if asked to.
TEST(Quirks, Iq3SKeepsItsPlacesAfterZeros) {
  const Quantizer& quantizer = *find_quantizer(DType::iq3_s);
  for (std::size_t zero = 0; zero < 8; ++zero) {
    std::vector<float> values(256);
    for (std::size_t i = 0; i < 256; ++i) {
      const float magnitude = static_cast<float>(1 + i * 7 % 15);
      values[i] = i / 32 == zero ? 0.0F : i % 3 == 0 ? -magnitude : magnitude;
    }
    EXPECT_LT(largest_error(quantizer, values, false), 4.0F) << zero;
    const bool harmless = zero == 7;  // nothing follows
    EXPECT_EQ(largest_error(quantizer, values, true) < 4.0F, harmless) << zero;
  }
  for (const Quantizer& other : quantizers()) {
    if (!other.encode || other.type == DType::iq3_s) continue;
    const std::vector<float> ones(512, 1.0F);
    std::vector<float> values(512, 0.0F);
    for (std::size_t i = 32; i < 512; i += 2) values[i] = static_cast<float>(i % 37) - 18.0F;
    EXPECT_EQ(encode_rows(other, values, 512, ones.data(), true),
              encode_rows(other, values, 512, ones.data(), false))
        << info(other.type).name;
  }
}

// A long row may come in pieces of whole blocks, each with its slice of the weights.
TEST(EncodeInputs, ARowInPiecesGivesTheSameBytes) {
  constexpr std::size_t kColumns = 1024;
  constexpr std::size_t kPiece = 256;
  std::vector<float> values(kColumns);
  std::vector<float> importance(kColumns);
  for (std::size_t i = 0; i < kColumns; ++i) {
    values[i] = static_cast<float>(static_cast<int>(i * 2654435761U % 2001) - 1000) * 0x1p-12F;
    importance[i] = static_cast<float>(i * 40503U % 97) + 0.5F;
  }
  for (const Quantizer& quantizer : quantizers()) {
    if (!quantizer.encode) continue;
    const auto whole = encode_rows(quantizer, values, kColumns, importance.data());
    float sum = 0;
    float statistic = 0;
    if (quantizer.row_sum) {
      for (std::size_t at = 0; at < kColumns; at += kPiece) {
        quantizer.row_sum(values.data() + at, kPiece, sum);
      }
      statistic = quantizer.row_finish(sum, kColumns);
    }
    std::vector<std::byte> pieces(whole.size());
    for (std::size_t at = 0; at < kColumns; at += kPiece) {
      const EncodeInput input{values.data() + at, 1, kPiece, importance.data() + at, &statistic};
      quantizer.encode(input, pieces.data() + stored_bytes(quantizer.type, at));
    }
    EXPECT_EQ(first_difference(whole, pieces), -1) << info(quantizer.type).name;
  }
}

}  // namespace
}  // namespace quantize::test
