// The generic integer scheme: a run of values (a group, a row) gets a scale and a zero point, every
// value the code max(0, min(2^bits - 1, round(x / scale) + zero)). Codes are unsigned here; signed
// formats subtract 2^(bits - 1).
#pragma once

#include <cstdint>

#include "quantize/dtype.hpp"

namespace quantize {

struct Range {
  float low = 0, high = 0;  // low <= 0 <= high
};

// Integer codes: code = round(min(max(x / scale + shift, low), high)) + offset, half to even; it
// decodes to scale x (code - zero). NaN becomes `low`.
struct GridRounding {
  float scale = 0, shift = 0, low = 0, high = 0, offset = 0, zero = 0;
};

// What the scale is made from.
enum class ScaleRule : std::uint8_t {
  absmax,      // the extremes
  percentile,  // the extremes after a share of the values at each end is clipped
  mse,         // of several shrunken extremes, those with the least squared error
};

struct IntegerGrid {
  unsigned bits = 4;  // 2 to 8
  bool symmetric = true;
  ScaleRule rule = ScaleRule::absmax;
  double clipped = 0.001;         // percentile: the share at each end
  DType scale_type = DType::f16;  // f32, f16 or bf16: scales are used as they are stored
  // compressed-tensors adds the zero point before it rounds and counts codes from -2^(bits - 1);
  // the others round first.
  bool rounds_sum = false;

  float top() const noexcept { return static_cast<float>((1U << bits) - 1U); }
  float middle() const noexcept { return static_cast<float>(1U << (bits - 1U)); }
};

struct GridScale {
  float scale = 0;
  float zero = 0;  // an unsigned code
};

// ScaleRule::mse: of the ranges shrunken by i/48, i = 0 to 23, the first with the least squared
// error. What a range loses is rounded by products with 1 / scale, not by quotients, and summed in
// floats over runs of 128 values, in doubles over these.
inline constexpr int kShrinks = 24;
inline constexpr std::uint64_t kErrorRun = 128;
inline float shrink_factor(int i) noexcept { return 1.0F - static_cast<float>(i) * (1.0F / 48); }
GridScale search_scale_by_definition(const IntegerGrid& grid, Range range, const float* values,
                                     std::uint64_t count);
// In place of 0, as in compressed-tensors: the distance from 1 to the next value of the type.
float smallest_scale(DType type) noexcept;

GridScale fit_scale(const IntegerGrid& grid, const float* values, std::uint64_t count);
// How values are rounded to that scale.
GridRounding rounding_of(const IntegerGrid& grid, const GridScale& scale) noexcept;

// Rounds to what a plain type holds; stores it.
float round_to_type(DType type, float value) noexcept;
void store_plain(DType type, float value, std::byte* out) noexcept;

}  // namespace quantize
