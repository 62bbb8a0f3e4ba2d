// The generic integer scheme: a run of values (a group, a row) gets a scale and a zero point, every
// value the code max(0, min(2^bits - 1, round(x / scale) + zero)). Codes are unsigned here; signed
// formats subtract 2^(bits - 1).
#pragma once

#include <cstdint>

#include "quantize/dtype.hpp"

#include "quant/checkpoint/run_codecs.hpp"

namespace quantize {

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

GridScale fit_scale(const IntegerGrid& grid, const float* values, std::uint64_t count);
// How values are rounded to that scale.
GridRounding rounding_of(const IntegerGrid& grid, const GridScale& scale) noexcept;

// Rounds to what a plain type holds; stores it.
float round_to_type(DType type, float value) noexcept;
void store_plain(DType type, float value, std::byte* out) noexcept;

}  // namespace quantize
