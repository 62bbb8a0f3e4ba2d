// A generator of test values made of integer operations and exact conversions only, so that every
// target and compiler gets the same ones.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

namespace quantize::selftest {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 0x1234567ULL) {}

  std::uint64_t next() noexcept {  // splitmix64
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
  // About normal with standard deviation 1: the sum of twelve 16-bit integers, exact in float.
  float normal() noexcept {
    std::int64_t sum = 0;
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t bits = next();
      for (int k = 0; k < 4; ++k) sum += static_cast<std::int64_t>(bits >> (16 * k) & 0xFFFF);
    }
    return static_cast<float>(sum - 6 * 0xFFFF) * 0x1p-16F;
  }

 private:
  std::uint64_t state_;
};

// Rows that bite: each kind is one way to break an encoder.
enum class RowKind : int {
  normal,
  from_bf16,
  from_f16,
  coarse_grid,
  zeros,
  signed_zeros,
  constant,
  negative,
  positive,
  spike,
  zero_groups,
  denormal,
  tiny_scale,
  large_offset,
  alternating_peak,
  mixed_magnitude,
  below_power,
  outliers,
  overflowing_half,
  count
};
void fill_row(RowKind kind, Random& random, std::vector<float>& row);

// Importance weights: positive, with zeros, a whole zero group and outliers.
std::vector<float> importance_row(Random& random, std::size_t columns);

}  // namespace quantize::selftest
