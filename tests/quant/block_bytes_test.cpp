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
  std::vector<int> ternary(48, 0x80);
  ternary.insert(ternary.end(), 4, 0x7F);
  std::vector<ZeroBlock> cases = {{DType::q4_0, false, {0x00, 0x80}, 0x88},
                                  {DType::q5_0, false, {0x00, 0x80, 0xFF, 0xFF, 0xFF, 0xFF}, 0x00},
                                  {DType::q4_0, true, {}, 0},
                                  {DType::q5_0, true, {}, 0},
                                  {DType::q1_0, false, {0x00, 0x00}, 0xFF},
                                  {DType::q2_0, false, {0x00, 0x00}, 0x55},
                                  {DType::tq1_0, false, ternary, 0x00},
                                  {DType::tq2_0, false, std::vector<int>(64, 0x55), 0x00}};
  for (const bool weighted : {false, true}) {
    cases.push_back({DType::iq4_nl, weighted, {0x00, 0x00}, 0x88});
    cases.push_back({DType::iq4_xs, weighted, {0x00, 0x80, 0xAA, 0xAA, 0, 0, 0, 0}, 0x88});
  }
  for (const DType type :
       {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_1, DType::q5_1, DType::q2_k,
        DType::q3_k, DType::q4_k, DType::q5_k, DType::q6_k, DType::iq2_s, DType::iq3_xxs,
        DType::iq3_s, DType::iq1_m, DType::mxfp4, DType::nvfp4}) {
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
    {DType::iq2_s, {0}},   {DType::iq3_xxs, {0}},   {DType::iq3_s, {0}},  {DType::iq4_nl, {0}},
    {DType::iq4_xs, {0}},  {DType::tq1_0, {52}},    {DType::tq2_0, {64}}, {DType::q1_0, {0}},
    {DType::q2_0, {0}},    {DType::iq1_s, {0}},
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
    if (!quantizer.encode || quantizer.type == DType::f32 || quantizer.type == DType::bf16 ||
        quantizer.type == DType::mxfp4 || quantizer.type == DType::nvfp4)
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

struct TinyBlock {
  float magnitude;
  int exponent;
  int reference_exponent;
};

// The exponent of 2^-125 is 0, and everything below has it too. The reference's wraps: to 255,
// which no reader accepts, and to others that make the values huge.
TEST(Mxfp4, TinyBlocksDecodeToWhatTheyWere) {
  const Quantizer& quantizer = *find_quantizer(DType::mxfp4);
  for (const TinyBlock& c : {TinyBlock{0x1p-125F, 0, 0}, TinyBlock{0x1.8p-126F, 0, 255},
                             TinyBlock{0x1p-127F, 0, 254}, TinyBlock{0x1p-149F, 0, 232}}) {
    std::vector<float> values(32, 0.0F);
    values[5] = -c.magnitude;
    const auto block = encode_rows(quantizer, values, 32, nullptr);
    const auto reference = encode_rows(quantizer, values, 32, nullptr, true);
    EXPECT_EQ(std::to_integer<int>(block[0]), c.exponent) << c.magnitude;
    EXPECT_EQ(std::to_integer<int>(reference[0]), c.reference_exponent) << c.magnitude;
    EXPECT_EQ(quantizer.first_invalid(block.data(), 1), std::nullopt);
    EXPECT_EQ(quantizer.first_invalid(reference.data(), 1).has_value(),
              c.reference_exponent == 255);
    std::vector<float> decoded(32);
    quantizer.decode(block.data(), 32, decoded.data());
    EXPECT_LE(std::fabs(decoded[5] - values[5]), 0x1p-129F) << c.magnitude;
  }
}

// log2f() is 7 already for the 2 floats below 2^7, and not for the third.
TEST(Mxfp4, LogarithmIsRoundedBeforeItsFloorIsTaken) {
  const Quantizer& quantizer = *find_quantizer(DType::mxfp4);
  std::vector<float> values(32, 0.0F);
  float magnitude = 128;
  for (const int exponent : {132, 132, 132, 131}) {
    values[0] = magnitude;
    EXPECT_EQ(std::to_integer<int>(encode_rows(quantizer, values, 32, nullptr)[0]), exponent)
        << magnitude;
    magnitude = std::nextafterf(magnitude, 0.0F);
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
