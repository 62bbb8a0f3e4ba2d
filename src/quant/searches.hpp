// The searches for a block's scale that the schemes share. Float sums run in index order, every
// operator rounds once: the order is the definition of the bytes.
// Notation: x values, w weights, codes the resulting integers, `levels` the largest code.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace quantize::search {

// Below this magnitude a group counts as all zero.
inline constexpr float kTiny = 1e-15F;

// The integer nearest to `value`, ties to even, by adding 1.5 * 2^23 and taking the low bits.
// Outside +-4194303 the result is defined garbage that real data can reach, and that the bytes
// depend on; so it is these bits and no other rounding.
inline int nearest_int(float value) noexcept {
  const float shifted = value + 12582912.0F;
  return static_cast<int>(std::bit_cast<std::uint32_t>(shifted) & 0x007FFFFFU) - 0x00400000;
}

inline int clamp(int value, int low, int high) noexcept {
  return value < low ? low : value > high ? high : value;
}

// The first value of largest magnitude.
struct Peak {
  float magnitude = 0;
  float value = 0;
};
inline Peak find_peak(int count, const float* x) noexcept {
  Peak peak;
  for (int i = 0; i < count; ++i) {
    const float magnitude = std::fabs(x[i]);
    if (magnitude > peak.magnitude) peak = {magnitude, x[i]};
  }
  return peak;
}

// Symmetric codes -levels .. levels-1, stored with +levels. The value of largest magnitude maps to
// -levels; 18 neighbouring scales are tried, the best weighted fit wins. `weights` null: x * x.
float symmetric_scale(int count, int levels, const float* x, const float* weights,
                      std::uint8_t* codes) noexcept;

// Three-bit codes -4 .. 3 of 16 values, stored with +4: one scale, then up to five rounds that move
// single codes where that improves the fit (weights x * x).
float refined_scale(const float* x, std::uint8_t* codes) noexcept;

struct GridStep {
  float first, step;
  int count;      // steps 0 .. count are tried
  bool absolute;  // sum of weighted magnitudes instead of squares
};

struct ScaleMin {
  float scale;
  float min;  // value = scale * code - min
};

// Codes 0 .. levels with a scale and a minimum <= 0. The minimum moves with every accepted step,
// and the next step starts from it.
ScaleMin scale_and_min(int count, int levels, const float* x, const float* weights,
                       const GridStep& grid, std::uint8_t* codes) noexcept;

// Non-negative quantities (the scales and minima of sub-blocks) to 0 .. levels. Codes are kept in
// eight bits while candidates are signed: a negative one wraps, and takes part in the refinement
// so.
float positive_scale(int count, int levels, const float* x, const float* weights,
                     std::uint8_t* codes) noexcept;

// The same by the largest of them alone, without weights. Codes are cut to eight bits, then
// limited.
float scale_of_largest(int count, int levels, const float* x, std::uint8_t* codes) noexcept;

}  // namespace quantize::search
