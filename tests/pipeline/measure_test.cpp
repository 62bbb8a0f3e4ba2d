// The error figures against their definition: lane by lane, one value at a time.
#include "pipeline/measure.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/isa.hpp"

#include "support/random.hpp"

namespace quantize::test {
namespace {

ErrorStats defined(const std::vector<float>& source, const std::vector<float>& result) {
  double sums[4][16] = {};
  ErrorStats stats;
  stats.values = source.size();
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (!std::isfinite(source[i])) {
      ++stats.nonfinite;
    } else if (!std::isfinite(result[i])) {
      ++stats.saturated;
    } else {
      const auto s = static_cast<double>(source[i]);
      const auto r = static_cast<double>(result[i]);
      sums[0][i % 16] += (s - r) * (s - r);
      sums[1][i % 16] += s * s;
      sums[2][i % 16] += r * r;
      sums[3][i % 16] += s * r;
      stats.max_abs_error = std::fmax(stats.max_abs_error, std::fabs(s - r));
    }
  }
  double* const folded[] = {&stats.sum_squared_error, &stats.sum_squared_source,
                            &stats.sum_squared_result, &stats.sum_product};
  for (int f = 0; f < 4; ++f)
    for (const double lane : sums[f]) *folded[f] += lane;
  return stats;
}

TEST(Measure, EqualsTheDefinitionHoweverTheSlabIsCut) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Random random(5);
  for (const bool holes : {false, true}) {
    std::vector<float> source(5000), result(5000);
    for (std::size_t i = 0; i < source.size(); ++i) {
      source[i] = random.normal() * (random.below(9) == 0 ? 1e20F : 1.0F);
      result[i] = source[i] + 0.01F * random.normal();
      if (holes && random.below(300) == 0) source[i] = random.below(2) != 0 ? nan : -infinity;
      if (holes && random.below(300) == 0) result[i] = random.below(2) != 0 ? nan : infinity;
    }
    const ErrorStats expected = defined(source, result);
    EXPECT_EQ(expected.nonfinite != 0 && expected.saturated != 0, holes);
    for (const std::size_t piece : {1U, 7U, 16U, 33U, 64U, 1008U, 5000U}) {
      ErrorSums sums;
      for (std::size_t at = 0; at < source.size(); at += piece) {
        sums.add(at, source.data() + at, result.data() + at,
                 std::min<std::size_t>(piece, source.size() - at));
      }
      const ErrorStats stats = sums.total();
      EXPECT_EQ(stats.values, expected.values) << piece;
      EXPECT_EQ(stats.nonfinite, expected.nonfinite) << piece;
      EXPECT_EQ(stats.saturated, expected.saturated) << piece;
      EXPECT_EQ(stats.sum_squared_error, expected.sum_squared_error) << piece;
      EXPECT_EQ(stats.sum_squared_source, expected.sum_squared_source) << piece;
      EXPECT_EQ(stats.sum_squared_result, expected.sum_squared_result) << piece;
      EXPECT_EQ(stats.sum_product, expected.sum_product) << piece;
      EXPECT_EQ(stats.max_abs_error, expected.max_abs_error) << piece;
    }
  }
}

// What the instruction sets add to the same lanes, one after the other.
TEST(Measure, EveryInstructionSetAddsAlike) {
  Random random(6);
  std::vector<float> source(4096), result(4096);
  for (std::size_t i = 0; i < source.size(); ++i) {
    source[i] = random.normal() * 0x1p-120F * static_cast<float>(1ULL << random.below(60));
    result[i] = i % 3 == 0 ? source[i] : random.normal();
  }
  for (const Isa& isa : isas()) {
    if (!isa.usable) continue;
    ErrorLanes expected, actual;
    for (const std::uint64_t count : {0U, 16U, 48U, 4096U}) {
      EXPECT_TRUE(add_errors_by_definition(expected, source.data(), result.data(), count));
      EXPECT_TRUE(add_errors_of(isa.name)(actual, source.data(), result.data(), count));
    }
    EXPECT_EQ(std::memcmp(&expected, &actual, sizeof expected), 0) << isa.name;
    for (const std::size_t place : {0U, 15U, 31U, 2049U, 4095U}) {
      for (const float bad :
           {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::quiet_NaN()}) {
        std::vector<float> holed = result;
        holed[place] = bad;
        EXPECT_FALSE(add_errors_of(isa.name)(actual, source.data(), holed.data(), 4096));
        EXPECT_FALSE(add_errors_of(isa.name)(actual, holed.data(), result.data(), 4096));
      }
    }
    EXPECT_EQ(std::memcmp(&expected, &actual, sizeof expected), 0) << isa.name;
  }
}

}  // namespace
}  // namespace quantize::test
