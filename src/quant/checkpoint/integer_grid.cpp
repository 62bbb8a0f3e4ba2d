#include "quant/checkpoint/integer_grid.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/float16.hpp"
#include "quant/checkpoint/run_codecs.hpp"

namespace quantize {
namespace {

constexpr float kRounder =
    12582912.0F;  // 1.5 x 2^23: a sum with it rounds to an integer, half even

// NaN becomes `low`.
float clamped(float x, float low, float high) noexcept {
  const float above = x > low ? x : low;
  return above < high ? above : high;
}
float rounded(float x) noexcept { return (x + kRounder) - kRounder; }

Range clipped_extremes(const IntegerGrid& grid, const float* values, std::uint64_t count) {
  const auto cut = static_cast<std::size_t>(grid.clipped * static_cast<double>(count));
  if (cut == 0) return run_codecs().extremes(values, count);
  std::vector<float> left(values, values + count);
  if (grid.symmetric) {
    for (float& x : left) x = std::fabs(x);
  }
  const auto of_rank = [&](std::size_t rank) {
    const auto at = left.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(left.begin(), at, left.end());
    return *at;
  };
  const float high = std::max(0.0F, of_rank(left.size() - 1 - cut));
  return {grid.symmetric ? -high : std::min(0.0F, of_rank(cut)), high};
}

GridScale scale_of(const IntegerGrid& grid, Range range) noexcept {
  GridScale out;
  if (grid.symmetric) {
    out.scale = std::max(-range.low, range.high) / (grid.top() / 2);
    out.zero = grid.middle();
  } else {
    out.scale = (range.high - range.low) / grid.top();
  }
  out.scale = round_to_type(grid.scale_type, out.scale);
  if (out.scale == 0) out.scale = smallest_scale(grid.scale_type);
  if (!grid.symmetric) {
    const float shift = grid.rounds_sum ? grid.middle() : 0.0F;
    const float zero = (-shift) - range.low / out.scale;
    out.zero = rounded(clamped(zero, -shift, grid.top() - shift)) + shift;
  }
  return out;
}

// The scale of these extremes as they are. compressed-tensors divides by the scale before 0 is
// replaced: zeros alone give NaN, which becomes the middle, and what underflows the top.
GridScale scale_of_extremes(const IntegerGrid& grid, Range range) noexcept {
  GridScale out = scale_of(grid, range);
  const bool none = round_to_type(grid.scale_type, (range.high - range.low) / grid.top()) == 0;
  if (grid.rounds_sum && !grid.symmetric && none)
    out.zero = range.low < 0 ? grid.top() : grid.middle();
  return out;
}

double squared_error(const IntegerGrid& grid, const GridScale& scale, const float* values,
                     std::uint64_t count) noexcept {
  const GridRounding r = rounding_of(grid, scale);
  const float inverse = 1.0F / r.scale;
  double sum = 0;
  for (std::uint64_t at = 0; at < count; at += kErrorRun) {
    float part = 0;
    for (std::uint64_t i = at; i < std::min(at + kErrorRun, count); ++i) {
      const float code = rounded(clamped(values[i] * inverse + r.shift, r.low, r.high));
      const float error = r.scale * (code - r.shift) - values[i];
      part += error * error;
    }
    sum += static_cast<double>(part);
  }
  return sum;
}

}  // namespace

float smallest_scale(DType type) noexcept {
  return type == DType::f16 ? 0x1p-10F : type == DType::bf16 ? 0x1p-7F : 0x1p-23F;
}

float round_to_type(DType type, float value) noexcept {
  if (type == DType::f16) return half_to_float(float_to_half(value));
  if (type == DType::bf16) return bfloat16_to_float(float_to_bfloat16(value));
  return value;
}

void store_plain(DType type, float value, std::byte* out) noexcept {
  if (type == DType::f32) {
    std::memcpy(out, &value, sizeof value);
    return;
  }
  const std::uint16_t half = type == DType::f16 ? float_to_half(value) : float_to_bfloat16(value);
  std::memcpy(out, &half, sizeof half);
}

GridScale fit_scale(const IntegerGrid& grid, const float* values, std::uint64_t count) {
  if (grid.rule == ScaleRule::percentile)
    return scale_of_extremes(grid, clipped_extremes(grid, values, count));
  const RunCodecs& codecs = run_codecs();
  const Range range = codecs.extremes(values, count);
  if (grid.rule == ScaleRule::mse) return codecs.search_scale(grid, range, values, count);
  return scale_of_extremes(grid, range);
}

GridScale search_scale_by_definition(const IntegerGrid& grid, Range range, const float* values,
                                     std::uint64_t count) {
  GridScale best;
  double least = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kShrinks; ++i) {
    const float factor = shrink_factor(i);
    const GridScale next = scale_of(grid, {range.low * factor, range.high * factor});
    const double error = squared_error(grid, next, values, count);
    if (i != 0 && !(error < least)) continue;
    least = error;
    best = next;
  }
  return best;
}

GridRounding rounding_of(const IntegerGrid& grid, const GridScale& scale) noexcept {
  if (grid.rounds_sum) {
    return {scale.scale,    scale.zero - grid.middle(),
            -grid.middle(), grid.middle() - 1.0F,
            grid.middle(),  scale.zero};
  }
  return {scale.scale, 0, -scale.zero, grid.top() - scale.zero, scale.zero, scale.zero};
}

}  // namespace quantize
