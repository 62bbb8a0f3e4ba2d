// Every encoder and decoder against the official library, byte for byte.
#include "support/oracle.hpp"

#include <bit>
#include <cstdlib>
#include <cstring>

#include <gtest/gtest.h>

#include "quantize/quantizer.hpp"

#include "support/process.hpp"
#include "support/quantize_rows.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

class OracleTest : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override { QUANTIZE_REQUIRE_ORACLE(Oracle::kName); }
};

std::vector<DType> encoded_types() {
  std::vector<DType> types;
  for (const Quantizer& q : quantizers()) {
    if (q.encode) types.push_back(q.type);
  }
  return types;
}

// All kinds of rows, at short and long row lengths; 10 million values over all types and modes.
TEST_P(OracleTest, EncodesTheSameBytes) {
  const Quantizer& quantizer = *find_quantizer(GetParam());
  const std::uint64_t block = info(quantizer.type).block_values;
  std::uint64_t compared = 0;
  for (const std::uint64_t wanted : {32U, 64U, 96U, 128U, 160U, 256U, 288U, 512U, 1024U, 4096U}) {
    const std::uint64_t columns = wanted / block * block;
    if (columns == 0) continue;
    for (int kind = 0; kind < static_cast<int>(RowKind::count); ++kind) {
      Random random(static_cast<std::uint64_t>(kind) * 1000 + wanted);
      const int repeats = kind <= static_cast<int>(RowKind::coarse_grid) ? 25 : 8;
      std::vector<float> row(columns);
      std::vector<float> values;
      for (int r = 0; r < repeats; ++r) {
        fill_row(static_cast<RowKind>(kind), random, row);
        values.insert(values.end(), row.begin(), row.end());
      }
      for (const bool weighted : {false, true}) {
        if (weighted && quantizer.importance == ImportanceUse::unused) continue;
        if (!weighted && quantizer.importance == ImportanceUse::required) continue;
        const std::vector<float> importance = importance_row(random, columns);
        const float* weights = weighted ? importance.data() : nullptr;
        const auto expected = Oracle::instance().encode(quantizer.type, values, columns, weights);
        const auto actual = encode_rows(quantizer, values, columns, weights, true);
        ASSERT_EQ(first_difference(expected, actual), -1)
            << info(quantizer.type).name << ", columns " << columns << ", row kind " << kind
            << ", weighted " << weighted << ", block "
            << first_difference(expected, actual) / info(quantizer.type).block_bytes;
        compared += values.size();
      }
    }
  }
  EXPECT_GT(compared, 1000000U);
}

class AnyBitsOracleTest : public OracleTest {};

// Not the grid types: the library ends the process where sums of theirs overflow.
std::vector<DType> encoded_without_grids() {
  std::vector<DType> types;
  for (const DType type : encoded_types()) {
    const std::string_view start = info(type).name.substr(0, 3);
    if (start != "iq1" && start != "iq2" && start != "iq3") types.push_back(type);
  }
  return types;
}

// Any finite bits, within windows of 2^64: overflowing and vanishing scales, saturated NVFP4
// blocks. A block that both call invalid ends a run: the sign of a NaN in it is nobody's business.
TEST_P(AnyBitsOracleTest, EncodesTheSameBytes) {
  const Quantizer& quantizer = *find_quantizer(GetParam());
  constexpr std::uint64_t kColumns = 512;
  Random random(11);
  std::vector<float> values(kColumns * 200);
  std::uint64_t lowest = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 32 == 0) lowest = random.below(255 - 64);
    const std::uint64_t exponent = lowest + random.below(64);
    const std::uint64_t bits = (random.next() & 0x807FFFFFU) | exponent << 23;
    values[i] = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
  }
  for (const bool weighted : {false, true}) {
    if (weighted && quantizer.importance == ImportanceUse::unused) continue;
    const std::vector<float> importance = importance_row(random, kColumns);
    const float* weights = weighted ? importance.data() : nullptr;
    const auto expected = Oracle::instance().encode(quantizer.type, values, kColumns, weights);
    const auto actual = encode_rows(quantizer, values, kColumns, weights, true);
    const std::size_t bytes = info(quantizer.type).block_bytes;
    for (std::size_t at = 0; at < expected.size(); at += bytes) {
      const bool same = std::memcmp(&expected[at], &actual[at], bytes) == 0;
      ASSERT_TRUE(same || (quantizer.first_invalid(&expected[at], 1) &&
                           quantizer.first_invalid(&actual[at], 1)))
          << info(quantizer.type).name << ", weighted " << weighted << ", block " << at / bytes;
    }
  }
}

class DecodeOracleTest : public OracleTest {};

std::vector<DType> decoded_blocks() {
  std::vector<DType> types;
  for (const Quantizer& q : quantizers()) {
    if (is_quantized(q.type)) types.push_back(q.type);
  }
  return types;
}

std::vector<std::byte> random_blocks(const TypeInfo& type, std::size_t count) {
  Random random(7);
  std::vector<std::byte> blocks(count * type.block_bytes);
  for (std::byte& b : blocks) b = static_cast<std::byte>(random.next());
  return blocks;
}

TEST_P(DecodeOracleTest, DecodesTheSameValues) {
  const Quantizer& quantizer = *find_quantizer(GetParam());
  const TypeInfo& type = info(quantizer.type);
  const std::vector<std::byte> blocks = random_blocks(type, 3000);
  const std::uint64_t values = std::uint64_t{3000} * type.block_values;
  const std::vector<float> expected = Oracle::instance().decode(type.type, blocks, values);
  std::vector<float> actual(values);
  quantizer.decode(blocks.data(), values, actual.data());
  for (std::uint64_t i = 0; i < values; ++i) {
    if (expected[i] != expected[i] && actual[i] != actual[i])
      continue;  // NaN payloads are not specified
    ASSERT_EQ(std::memcmp(&expected[i], &actual[i], sizeof(float)), 0) << "value " << i;
  }
}

TEST_P(DecodeOracleTest, RejectsTheSameBlocks) {
  const Quantizer& quantizer = *find_quantizer(GetParam());
  const TypeInfo& type = info(quantizer.type);
  const std::vector<std::byte> blocks = random_blocks(type, 3000);
  testing::internal::CaptureStderr();  // the library prints every refusal
  std::vector<std::size_t> disagreements;
  for (std::size_t at = 0; at < blocks.size(); at += type.block_bytes) {
    const std::span<const std::byte> block(blocks.data() + at, type.block_bytes);
    if (quantizer.first_invalid(block.data(), 1).has_value() ==
        Oracle::instance().accepts(type.type, block)) {
      disagreements.push_back(at / type.block_bytes);
    }
  }
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(disagreements, std::vector<std::size_t>());
}

TEST_P(OracleTest, ComparisonSeesOneFlippedBit) {
  const Quantizer& quantizer = *find_quantizer(GetParam());
  Random random(3);
  std::vector<float> values(4096);
  fill_row(RowKind::normal, random, values);
  const std::vector<float> ones(4096, 1.0F);
  const auto expected = Oracle::instance().encode(quantizer.type, values, 4096, ones.data());
  auto actual = encode_rows(quantizer, values, 4096, ones.data());
  actual[actual.size() / 2] ^= std::byte{16};
  EXPECT_EQ(first_difference(expected, actual), static_cast<std::ptrdiff_t>(actual.size() / 2));
}

std::string type_name(const testing::TestParamInfo<DType>& type) {
  return std::string(info(type.param).name);
}
INSTANTIATE_TEST_SUITE_P(Types, DecodeOracleTest, testing::ValuesIn(decoded_blocks()), type_name);
INSTANTIATE_TEST_SUITE_P(Types, AnyBitsOracleTest, testing::ValuesIn(encoded_without_grids()),
                         type_name);
INSTANTIATE_TEST_SUITE_P(Types, OracleTest, testing::ValuesIn(encoded_types()), type_name);

}  // namespace
}  // namespace quantize::test
