// The search for the scale with the least squared error over the closed set: a lane is a candidate.
// The definition is search_scale_by_definition().
#include "quant/checkpoint/integer_grid.hpp"
#include "quant/kernels/simd.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

F nearest(F x) { return (x + F::set(kRoundingShift)) - F::set(kRoundingShift); }

F rounded_to(DType type, F x) {
  if (type == DType::f16) return half_to_float(float_to_half(x));
  if (type == DType::bf16) return bfloat16_to_float(float_to_bfloat16(x));
  return x;
}

constexpr int kPadded = (kShrinks + 2 * kNativeLanes - 1) / (2 * kNativeLanes) * 2 * kNativeLanes;

struct Candidates {
  float scale[kPadded], zero[kPadded];
  double error[kPadded];
};

void make_scales(const IntegerGrid& grid, float smallest, Range range, Candidates& out) {
  float factors[kPadded];
  for (int i = 0; i < kPadded; ++i) factors[i] = shrink_factor(i < kShrinks ? i : 0);
  const float lowest_code = grid.rounds_sum ? -grid.middle() : 0.0F;
  for (int i = 0; i < kPadded; i += kNativeLanes) {
    const F factor = F::load(factors + i);
    const F low = F::set(range.low) * factor, high = F::set(range.high) * factor;
    F scale = grid.symmetric ? max(high, -low) / F::set(grid.top() / 2)
                             : (high - low) / F::set(grid.top());
    scale = rounded_to(grid.scale_type, scale);
    scale = select(scale == F::set(0), F::set(smallest), scale);
    F zero = F::set(grid.middle());
    if (!grid.symmetric) {
      const F bottom = F::set(lowest_code);
      const F at = bottom - low / scale;
      zero = nearest(min(max(at, bottom), F::set(grid.top() + lowest_code))) - bottom;
    }
    store(out.scale + i, scale);
    store(out.zero + i, zero);
  }
}

// Candidates [first, first + Fv::kLanes).
template <bool kShifted, class Fv>
void add_errors(const IntegerGrid& grid, int first, const float* values, std::uint64_t count,
                Candidates& all) {
  const Fv scale = Fv::load(all.scale + first), zero = Fv::load(all.zero + first);
  const Fv inverse = Fv::set(1) / scale;
  const Fv middle = Fv::set(grid.middle()), shifter = Fv::set(kRoundingShift);
  const Fv shift = zero - middle;  // only where it is added before rounding
  const Fv low = kShifted ? -middle : -zero;
  const Fv high = kShifted ? middle - Fv::set(1) : Fv::set(grid.top()) - zero;
  for (int l = 0; l < Fv::kLanes; ++l) all.error[first + l] = 0;
  for (std::uint64_t at = 0; at < count; at += kErrorRun) {
    const std::uint64_t end = at + kErrorRun < count ? at + kErrorRun : count;
    Fv part = Fv::set(0);
    for (std::uint64_t i = at; i < end; ++i) {
      const Fv x = Fv::set(values[i]);
      Fv code = x * inverse;
      if constexpr (kShifted) code = code + shift;
      code = (min(max(code, low), high) + shifter) - shifter;
      if constexpr (kShifted) code = code - shift;
      const Fv error = scale * code - x;
      part = part + error * error;
    }
    float parts[Fv::kLanes];
    store(parts, part);
    for (int l = 0; l < Fv::kLanes; ++l) all.error[first + l] += static_cast<double>(parts[l]);
  }
}

}  // namespace

GridScale search_scale(const IntegerGrid& grid, Range range, const float* values,
                       std::uint64_t count) {
  Candidates all;
  make_scales(grid, smallest_scale(grid.scale_type), range, all);
  for (int i = 0; i < kShrinks; i += FF::kLanes) {
    if (grid.rounds_sum)
      add_errors<true, FF>(grid, i, values, count, all);
    else
      add_errors<false, FF>(grid, i, values, count, all);
  }
  int best = 0;
  for (int i = 1; i < kShrinks; ++i)
    if (all.error[i] < all.error[best]) best = i;
  return {all.scale[best], all.zero[best]};
}

}  // namespace quantize::kernels::QUANTIZE_ISA
