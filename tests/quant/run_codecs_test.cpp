// The run codecs of every compiled instruction set against the definitions, bit for bit, over
// lengths that leave vectors and groups short.
#include "quant/checkpoint/run_codecs.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "quantize/isa.hpp"

#include "core/float16.hpp"
#include "core/small_floats.hpp"
#include "quant/checkpoint/integer_grid.hpp"
#include "support/per_isa.hpp"
#include "support/random.hpp"

namespace quantize::test {
namespace {

constexpr std::uint64_t kLengths[] = {1, 2, 7, 15, 16, 31, 64, 100, 256, 515};

class RunCodecsTest : public PerIsa {
 protected:
  const RunCodecs& kernels() const { return run_codecs_of(GetParam()); }
};

// Of normal size, tiny and huge, with zeros of both signs and ties of steps of 1/2.
std::vector<float> values_of(std::uint64_t count, int kind) {
  Random random(count * 31 + static_cast<std::uint64_t>(kind));
  std::vector<float> values(count);
  for (float& x : values) {
    x = random.normal();
    if (kind == 1) x = std::ldexp(x, static_cast<int>(random.next() % 280) - 150);
    if (kind == 2) x = static_cast<float>(static_cast<int>(random.next() % 41) - 20) / 4;
    if (random.next() % 16 == 0) x = std::copysign(0.0F, x);
  }
  return values;
}

struct Result {
  std::vector<std::uint8_t> codes;
  std::vector<std::uint32_t> decoded;
  bool operator==(const Result&) const = default;
};

template <class Encode>
Result result_of(std::uint64_t count, Encode encode) {
  Result out;
  out.codes.resize(count + 1, 0xA5);  // one more: nothing is written behind
  std::vector<float> decoded(count + 1, -77.0F);
  encode(out.codes.data(), decoded.data());
  for (const float x : decoded)
    out.decoded.push_back(std::isnan(x) ? 0x7FC00000U : std::bit_cast<std::uint32_t>(x));
  return out;
}

template <class Work>
void for_all_values(Work work) {
  for (const std::uint64_t count : kLengths) {
    for (int kind = 0; kind < 3; ++kind) {
      SCOPED_TRACE("count " + std::to_string(count) + ", kind " + std::to_string(kind));
      work(values_of(count, kind));
    }
  }
}

TEST_P(RunCodecsTest, FindTheExtremes) {
  const RunCodecs &definition = kRunCodecDefinitions, &kernel = kernels();
  for_all_values([&](const std::vector<float>& x) {
    EXPECT_EQ(definition.largest(x.data(), x.size()), kernel.largest(x.data(), x.size()));
    const Range expected = definition.extremes(x.data(), x.size());
    const Range actual = kernel.extremes(x.data(), x.size());
    EXPECT_EQ(expected.low, actual.low);
    EXPECT_EQ(expected.high, actual.high);
    for (const std::uint64_t group : {16U, 32U, 64U, 100U}) {
      std::vector<float> groups((x.size() + group - 1) / group), by_kernel(groups.size());
      definition.largest_of_groups(x.data(), x.size(), group, groups.data());
      kernel.largest_of_groups(x.data(), x.size(), group, by_kernel.data());
      EXPECT_EQ(groups, by_kernel) << "groups of " << group;
    }
  });
}

TEST_P(RunCodecsTest, RoundToHalves) {
  for_all_values([&](const std::vector<float>& x) {
    float most[2] = {};
    const auto halves = [&](const RunCodecs& codecs, float& largest) {
      return result_of(x.size(), [&](std::uint8_t*, float* out) {
        largest = codecs.halves(x.data(), x.size(), out);
      });
    };
    EXPECT_EQ(halves(kRunCodecDefinitions, most[0]), halves(kernels(), most[1]));
    EXPECT_EQ(most[0], most[1]);
  });
}

TEST_P(RunCodecsTest, RoundToIntegers) {
  for_all_values([&](const std::vector<float>& x) {
    for (unsigned bits = 2; bits <= 8; ++bits) {
      for (const bool symmetric : {false, true}) {
        for (const bool rounds_sum : {false, true}) {
          IntegerGrid grid;
          grid.bits = bits;
          grid.symmetric = symmetric;
          grid.rounds_sum = rounds_sum;
          grid.scale_type = DType::f32;
          GridScale scale = fit_scale(grid, x.data(), x.size());
          for (const float shrink : {1.0F, 0.25F}) {
            scale.scale *= shrink;
            const GridRounding rounding = rounding_of(grid, scale);
            const auto encode = [&](const RunCodecs& codecs) {
              return result_of(x.size(), [&](std::uint8_t* codes, float* decoded) {
                codecs.grid(rounding, x.data(), x.size(), codes, decoded);
              });
            };
            EXPECT_EQ(encode(kRunCodecDefinitions), encode(kernels()));
          }
        }
      }
    }
    const float largest = kRunCodecDefinitions.largest(x.data(), x.size());
    for (const float of : {largest, largest / 2}) {  // the second: codes beyond 127
      const float inverse = of == 0 ? 0.0F : (1.0F / of) * 127.0F;
      const auto encode = [&](const RunCodecs& codecs) {
        return result_of(x.size(), [&](std::uint8_t* codes, float* decoded) {
          codecs.llm_int8(inverse, of, x.data(), x.size(), codes, decoded);
        });
      };
      EXPECT_EQ(encode(kRunCodecDefinitions), encode(kernels()));
    }
  });
}

TEST_P(RunCodecsTest, SearchTheSameScale) {
  for (const std::uint64_t count : {16U, 100U, 128U, 300U, 2048U}) {
    for (int kind = 0; kind < 3; ++kind) {
      const std::vector<float> x = values_of(count, kind);
      const Range range = kRunCodecDefinitions.extremes(x.data(), count);
      for (unsigned bits = 2; bits <= 8; ++bits) {
        for (const bool symmetric : {false, true}) {
          for (const bool rounds_sum : {false, true}) {
            for (const DType type : {DType::f16, DType::bf16, DType::f32}) {
              const IntegerGrid grid{bits, symmetric, ScaleRule::mse, 0.001, type, rounds_sum};
              const GridScale expected =
                  kRunCodecDefinitions.search_scale(grid, range, x.data(), count);
              const GridScale actual = kernels().search_scale(grid, range, x.data(), count);
              EXPECT_EQ(std::bit_cast<std::uint32_t>(expected.scale),
                        std::bit_cast<std::uint32_t>(actual.scale))
                  << count << " values of kind " << kind << ", " << bits << " bits";
              EXPECT_EQ(expected.zero, actual.zero);
            }
          }
        }
      }
    }
  }
  // Nothing to search in.
  const std::vector<float> zeros(32, 0.0F);
  const IntegerGrid grid{4, false, ScaleRule::mse, 0.001, DType::f16, false};
  EXPECT_EQ(kernels().search_scale(grid, {}, zeros.data(), 32).scale, smallest_scale(DType::f16));
}

// Against a search that knows nothing of lanes: every candidate's error, by hand.
TEST_P(RunCodecsTest, FindTheLeastSquaredError) {
  std::vector<float> x = {10};  // one that is worth clipping for the others' sake
  for (int i = 1; i < 300; ++i) x.push_back(std::fmod(static_cast<float>(i) * 8.66F, 14.0F) - 7);
  IntegerGrid grid{4, true, ScaleRule::mse, 0.001, DType::f32, false};
  double least = std::numeric_limits<double>::infinity();
  float best = 0;
  for (int i = 0; i < 24; ++i) {
    const double scale = 10.0 * (1 - i / 48.0) / 7.5;
    double error = 0;
    for (const float v : x) {
      const double code = std::clamp(std::nearbyint(static_cast<double>(v) / scale), -8.0, 7.0);
      error += (code * scale - static_cast<double>(v)) * (code * scale - static_cast<double>(v));
    }
    if (error >= least) continue;
    least = error;
    best = static_cast<float>(scale);
  }
  EXPECT_LT(best, 10 / 7.5F);
  EXPECT_NEAR(kernels().search_scale(grid, {-7, 10}, x.data(), x.size()).scale, best, 1e-5F);
}

TEST_P(RunCodecsTest, RoundToTablesAndSmallFloats) {
  SortedTable<16> table;
  table.values = kNF4;
  table.set_bounds();
  for (std::size_t i = 0; i < 16; ++i) table.codes[i] = static_cast<std::uint8_t>(i * 7 % 16);
  for_all_values([&](std::vector<float> x) {
    if (x.size() > 20) x[20] = table.bounds[3];  // exactly on a bound: not above it
    const auto same = [&](const char* what, auto encode) {
      EXPECT_EQ(result_of(x.size(), [&](auto... to) { encode(kRunCodecDefinitions, to...); }),
                result_of(x.size(), [&](auto... to) { encode(kernels(), to...); }))
          << what;
    };
    for (const std::uint64_t group : {16U, 64U}) {
      std::vector<float> scales((x.size() + group - 1) / group), inverses(scales.size());
      kRunCodecDefinitions.largest_of_groups(x.data(), x.size(), group, scales.data());
      for (std::size_t g = 0; g < scales.size(); ++g)
        inverses[g] = g % 2 == 0 ? 1.0F : 1.0F / std::max(scales[g], 1e-38F);
      same("table", [&](const RunCodecs& codecs, std::uint8_t* codes, float* decoded) {
        codecs.table(table, inverses.data(), scales.data(), group, x.data(), x.size(), codes,
                     decoded);
      });
      for (std::size_t g = 0; g < scales.size(); ++g)
        scales[g] = g % 2 == 0 ? 1.0F : std::max(scales[g] / 6, 1e-38F);
      same("E2M1", [&](const RunCodecs& codecs, std::uint8_t* codes, float* decoded) {
        codecs.e2m1(scales.data(), group, x.data(), x.size(), codes, decoded);
      });
    }
    for (const float scale : {1.0F, 0x1p-9F, 0.013F}) {
      same("E4M3", [&](const RunCodecs& codecs, std::uint8_t* codes, float* decoded) {
        codecs.e4m3(scale, x.data(), x.size(), codes, decoded);
      });
    }
  });
}

// Every float that is near a change of the code, and those that no scale should bring.
TEST_P(RunCodecsTest, RoundToE4M3AtEveryEdge) {
  std::vector<float> x = {std::numeric_limits<float>::infinity(), -INFINITY, NAN, -NAN, 1e-45F};
  for (unsigned code = 0; code < 0x7E; ++code) {
    const float low = e4m3_to_float(static_cast<std::uint8_t>(code));
    const float middle = (low + e4m3_to_float(static_cast<std::uint8_t>(code + 1))) / 2;
    for (const float at : {low, middle}) {
      for (const float near : {std::nextafter(at, 0.0F), at, std::nextafter(at, 1e9F)}) {
        x.push_back(near);
        x.push_back(-near);
      }
    }
  }
  const auto encode = [&](const RunCodecs& codecs) {
    return result_of(x.size(), [&](std::uint8_t* codes, float* decoded) {
      codecs.e4m3(1.0F, x.data(), x.size(), codes, decoded);
    });
  };
  EXPECT_EQ(encode(kRunCodecDefinitions), encode(kernels()));
}

TEST_P(RunCodecsTest, MoveWords) {
  Random random(5);
  for (const std::uint64_t rows : {1U, 4U, 16U, 33U, 64U}) {
    for (const std::uint64_t columns : {1U, 8U, 20U, 48U, 67U}) {
      const std::uint64_t step = rows + 3;
      std::vector<std::uint32_t> words(rows * columns), expected(columns * step + 1, 7U), actual;
      for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random.next());
      words[0] = 0x7F800001U;  // a signalling NaN, were it a float
      actual = expected;
      kRunCodecDefinitions.transpose(words.data(), rows, columns, expected.data(), step);
      kernels().transpose(words.data(), rows, columns, actual.data(), step);
      EXPECT_EQ(expected, actual) << rows << " x " << columns;
      EXPECT_EQ(expected[(columns - 1) * step + rows - 1], words.back());
    }
  }
  const std::array<unsigned, 8> shifts = {0, 16, 4, 20, 8, 24, 12, 28};
  for (const std::uint64_t count : kLengths) {
    std::vector<std::uint8_t> codes(8 * count);
    for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random.next() % 16);
    std::vector<std::uint32_t> expected(count + 1, 7U), actual = expected;
    kRunCodecDefinitions.interleave(codes.data(), count, shifts, expected.data());
    kernels().interleave(codes.data(), count, shifts, actual.data());
    EXPECT_EQ(expected, actual) << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, RunCodecsTest, testing::ValuesIn(isa_names()),
                         [](const auto& set) { return set.param; });

}  // namespace
}  // namespace quantize::test
