// Every compiled instruction set against the scalar definitions, byte for byte, and against the
// committed hashes. What this CPU cannot run is skipped aloud.
#include "quantize/isa.hpp"

#include <cmath>
#include <cstring>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "quantize/selftest.hpp"

#include "support/per_isa.hpp"
#include "support/quantize_rows.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

class IsaTest : public PerIsa {};

// All kinds of rows, in numbers that leave the last batch of blocks short.
TEST_P(IsaTest, EncodesAsTheDefinitions) {
  const auto definitions = quantizers_of("scalar");
  const auto kernels = quantizers_of(GetParam());
  ASSERT_EQ(definitions.size(), kernels.size());
  for (std::size_t q = 0; q < kernels.size(); ++q) {
    const Quantizer& kernel = kernels[q];
    ASSERT_EQ(kernel.type, definitions[q].type);
    if (kernel.encode == definitions[q].encode) continue;
    const std::uint64_t block = info(kernel.type).block_values;
    for (const std::uint64_t wanted : {32U, 64U, 160U, 256U, 512U, 1280U}) {
      const std::uint64_t columns = wanted / block * block;
      if (columns == 0) continue;
      for (int kind = 0; kind < static_cast<int>(RowKind::count); ++kind) {
        Random random(static_cast<std::uint64_t>(kind) * 77 + wanted);
        std::vector<float> values;
        std::vector<float> row(columns);
        for (int r = 0; r < 11; ++r) {
          fill_row(static_cast<RowKind>(kind), random, row);
          values.insert(values.end(), row.begin(), row.end());
        }
        const std::vector<float> importance = importance_row(random, columns);
        for (const bool weighted : {false, true}) {
          if (weighted && kernel.importance == ImportanceUse::unused) continue;
          if (!weighted && kernel.importance == ImportanceUse::required) continue;
          const float* weights = weighted ? importance.data() : nullptr;
          const auto expected = encode_rows(definitions[q], values, columns, weights);
          const auto actual = encode_rows(kernel, values, columns, weights);
          ASSERT_EQ(first_difference(expected, actual), -1)
              << info(kernel.type).name << ", columns " << columns << ", row kind " << kind
              << ", weighted " << weighted;
        }
      }
    }
  }
}

// Multiples of one number: many are half-way between two digits, and many candidates are equally
// near, up to the last bit.
TEST_P(IsaTest, ChoosesPointsAsTheDefinitionsWhereLittleDecides) {
  const auto definitions = quantizers_of("scalar");
  const auto kernels = quantizers_of(GetParam());
  constexpr std::uint64_t kColumns = 256;
  for (std::size_t q = 0; q < kernels.size(); ++q) {
    if (kernels[q].encode == definitions[q].encode) continue;
    const std::string_view name = info(kernels[q].type).name;
    const bool two_bits = name.starts_with("iq2"), three_bits = name.starts_with("iq3");
    if (!two_bits && !three_bits) continue;
    const std::uint32_t top = two_bits ? 5 : 14;
    for (std::uint64_t seed = 0; seed < 60; ++seed) {
      Random random(seed);
      std::vector<float> values;
      for (int r = 0; r < 12; ++r) {
        const float unit = 0.01F * (1 + std::abs(random.normal()));
        for (std::uint64_t e = 0; e < kColumns; ++e) {
          const auto multiple = static_cast<float>(random.next() % (top + 1));
          values.push_back(random.next() % 2 == 0 ? multiple * unit : -multiple * unit);
        }
      }
      const std::vector<float> importance =
          seed % 2 == 0 ? importance_row(random, kColumns) : std::vector<float>(kColumns, 1.0F);
      for (const bool weighted : {false, true}) {
        if (!weighted && kernels[q].importance == ImportanceUse::required) continue;
        const float* weights = weighted ? importance.data() : nullptr;
        ASSERT_EQ(first_difference(encode_rows(definitions[q], values, kColumns, weights),
                                   encode_rows(kernels[q], values, kColumns, weights)),
                  -1)
            << name << ", seed " << seed << ", weighted " << weighted;
      }
    }
  }
}

TEST_P(IsaTest, DecodesAsTheDefinitions) {
  const auto definitions = quantizers_of("scalar");
  const auto kernels = quantizers_of(GetParam());
  for (std::size_t q = 0; q < kernels.size(); ++q) {
    if (kernels[q].decode == definitions[q].decode) continue;
    const TypeInfo& type = info(kernels[q].type);
    for (const std::size_t blocks : {1U, 3U, 16U, 37U, 2048U}) {
      Random random(blocks);
      std::vector<std::byte> bytes(blocks * type.block_bytes);
      for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
      const std::size_t values = blocks * type.block_values;
      std::vector<float> expected(values);
      std::vector<float> actual(values);
      definitions[q].decode(bytes.data(), values, expected.data());
      kernels[q].decode(bytes.data(), values, actual.data());
      for (std::size_t i = 0; i < values; ++i) {
        // Any NaN is as good as another.
        if (expected[i] != expected[i] && actual[i] != actual[i]) continue;
        ASSERT_EQ(std::bit_cast<std::uint32_t>(expected[i]),
                  std::bit_cast<std::uint32_t>(actual[i]))
            << type.name << ", value " << i << " of " << values;
      }
    }
  }
}

TEST_P(IsaTest, PassesTheSelfTest) {
  for (const SelftestSet& set : run_selftest()) {
    if (set.isa != GetParam()) continue;
    EXPECT_TRUE(set.passed());
    EXPECT_GE(set.encodings, 40U);
    EXPECT_THAT(set.differ, testing::IsEmpty());
  }
}

TEST_P(IsaTest, IsActiveWhenForced) {
  const std::string before(active_isa());
  ASSERT_TRUE(force_isa(GetParam()));
  EXPECT_EQ(active_isa(), GetParam());
  EXPECT_EQ(quantizers().data(), quantizers_of(GetParam()).data());
  EXPECT_TRUE(force_isa(before));
}

INSTANTIATE_TEST_SUITE_P(Sets, IsaTest, testing::ValuesIn(isa_names()),
                         [](const auto& set) { return set.param; });

TEST(Isas, AnUnknownNameIsRefused) { EXPECT_FALSE(force_isa("avx1024")); }
TEST(Isas, TheDefinitionsAreLastAndAlwaysUsable) {
  EXPECT_EQ(isas().back().name, "scalar");
  EXPECT_TRUE(isas().back().usable);
}

}  // namespace
}  // namespace quantize::test
