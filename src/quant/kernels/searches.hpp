// The searches of quant/searches.hpp with one sub-block per lane: every lane performs the scalar
// algorithm in the scalar order, so that no sum crosses lanes. Branches become masks: both ways are
// computed, and the lane takes its own.
//
// Tiles: value i of lane l is at [i * Fv::kLanes + l]. Codes are not kept: a search returns what
// they are computed from (`inverse`, `base`), and the few callers that need them do so.
#pragma once

#include <type_traits>

#include "quant/kernels/simd.hpp"
#include "quant/searches.hpp"

namespace quantize::kernels {
namespace {

using search::GridStep;
using search::kTiny;

template <class Fv>
struct AffineFit {
  Fv scale;
  Fv min;      // value = scale * code - min
  Fv inverse;  // code = clamp(nearest_int(inverse * (x - base)), 0, levels)
  Fv base;
};

// search::scale_and_min.
template <int kCount, bool kAbsolute, class Fv>
inline AffineFit<Fv> scale_and_min(const float* x, const float* weights, int levels,
                                   const GridStep& grid) {
  constexpr int kLanes = Fv::kLanes;
  const Fv zero = Fv::set(0);
  const float top = static_cast<float>(levels);
  Fv low = Fv::load(x);
  Fv high = low;
  Fv sum_w = Fv::load(weights);
  Fv sum_x = sum_w * low;
  for (int i = 1; i < kCount; ++i) {
    const Fv v = Fv::load(x + i * kLanes);
    const Fv w = Fv::load(weights + i * kLanes);
    low = min(v, low);
    high = max(v, high);
    sum_w = sum_w + w;
    sum_x = sum_x + w * v;
  }
  Fv base = select(zero < low, zero, low);
  const auto alive = base < high;

  alignas(64) float level[kCount * kLanes];
  Fv sum_l;
  Fv sum_l2;
  Fv sum_xl;
  // Levels of all values, and on request with the sums of the fit.
  const auto round_levels = [&](Fv inverse, auto level_of, auto with_sums) {
    sum_l = sum_l2 = sum_xl = zero;
    for (int i = 0; i < kCount; ++i) {
      const Fv v = Fv::load(x + i * kLanes);
      const Fv l = level_of(inverse * (v - base));
      store(level + i * kLanes, l);
      if constexpr (decltype(with_sums)::value) {
        const Fv wl = Fv::load(weights + i * kLanes) * l;
        sum_l = sum_l + wl;
        sum_l2 = sum_l2 + wl * l;
        sum_xl = sum_xl + wl * v;
      }
    }
  };
  // The levels grow with the values, so the two ends tell whether the short form of rounding holds,
  // and whether a clamp can matter.
  const auto fit = [&](Fv inverse, auto with_sums) {
    const Fv first = inverse * (low - base);
    const Fv last = inverse * (high - base);
    const Fv limit = Fv::set(4194303.0F);
    if (!all((abs(first) < limit) & (abs(last) < limit))) {
      round_levels(
          inverse, [levels](Fv v) { return nearest_level_of_any(v, 0, levels); }, with_sums);
    } else if (!all(last < Fv::set(top + 0.5F))) {
      round_levels(
          inverse, [top](Fv v) { return nearest_level<true, true>(v, 0, top); }, with_sums);
    } else if (!all(Fv::set(-0.5F) <= first)) {
      round_levels(
          inverse, [top](Fv v) { return nearest_level<true, false>(v, 0, top); }, with_sums);
    } else {
      round_levels(
          inverse, [top](Fv v) { return nearest_level<false, false>(v, 0, top); }, with_sums);
    }
  };
  const auto error_of = [&](Fv scale, Fv offset) {
    Fv error = zero;
    for (int i = 0; i < kCount; ++i) {
      const Fv difference =
          scale * Fv::load(level + i * kLanes) + offset - Fv::load(x + i * kLanes);
      const Fv w = Fv::load(weights + i * kLanes);
      error = error + w * (kAbsolute ? abs(difference) : difference * difference);
    }
    return error;
  };
  AffineFit<Fv> found;
  found.inverse = select(alive, Fv::set(top) / (high - base), zero);
  found.base = base;
  found.scale = select(alive, Fv::set(1) / found.inverse, zero);
  fit(found.inverse, std::false_type{});
  Fv best = error_of(found.scale, base);
  const auto inverse_of = [&](int step) {
    const float range = grid.first + grid.step * static_cast<float>(step) + top;
    return select(alive, Fv::set(range) / (high - base), zero);
  };
  // An accepted step moves `base`, and the next steps start from there: they are a chain. The next
  // inverse is computed as if nothing were accepted, which is so more often than not, to keep its
  // division out of the chain.
  Fv next_inverse = inverse_of(0);
  for (int step = 0; step <= grid.count; ++step) {
    const Fv inverse = next_inverse;
    next_inverse = inverse_of(step + 1);
    fit(inverse, std::true_type{});
    const Fv determinant = sum_w * sum_l2 - sum_l * sum_l;
    const auto solvable = alive & (zero < determinant);
    if (!any(solvable)) continue;
    Fv scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
    Fv offset = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
    const auto positive = zero < offset;
    if (any(positive)) {
      offset = select(positive, zero, offset);
      scale = select(positive, sum_xl / sum_l2, scale);
    }
    const Fv error = error_of(scale, offset);
    const auto better = solvable & (error < best);
    if (!any(better)) continue;
    best = select(better, error, best);
    found.scale = select(better, scale, found.scale);
    found.inverse = select(better, inverse, found.inverse);
    found.base = select(better, base, found.base);
    base = select(better, offset, base);
    next_inverse = inverse_of(step + 1);
  }
  found.min = -base;
  return found;
}

// search::positive_scale. `codes` is a tile of levels as floats.
template <int kCount, class Fv>
inline Fv positive_scale(const float* x, const float* weights, int levels, float* codes) {
  constexpr int kLanes = Fv::kLanes;
  using Iv = typename Fv::Int;
  const Fv zero = Fv::set(0);
  const float top = static_cast<float>(levels);
  Fv high = zero;
  for (int i = 0; i < kCount; ++i) high = max(Fv::load(x + i * kLanes), high);
  const auto alive = ~(high < Fv::set(kTiny));
  const auto limited = [levels](Fv v) { return to_float(min(nearest_int(v), Iv::set(levels))); };
  const auto wrapped = [](Fv level) { return to_float(truncate(level) & Iv::set(255)); };

  Fv inverse = Fv::set(top) / high;
  Fv best = zero;
  {
    const Fv scale = Fv::set(1) / inverse;
    for (int i = 0; i < kCount; ++i) {
      const Fv v = Fv::load(x + i * kLanes);
      const Fv level = to_float(nearest_int(inverse * v) & Iv::set(255));
      const Fv difference = v - scale * level;
      best = best + Fv::load(weights + i * kLanes) * difference * difference;
    }
  }
  for (int k = -4; k <= 4; ++k) {
    if (k == 0) continue;
    const Fv candidate = Fv::set(0.1F * static_cast<float>(k) + top) / high;
    const Fv scale = Fv::set(1) / candidate;
    Fv error = zero;
    for (int i = 0; i < kCount; ++i) {
      const Fv v = Fv::load(x + i * kLanes);
      const Fv difference = v - scale * limited(candidate * v);
      error = error + Fv::load(weights + i * kLanes) * difference * difference;
    }
    const auto better = error < best;
    best = select(better, error, best);
    inverse = select(better, candidate, inverse);
  }
  Fv sum_lx = zero;
  Fv sum_l2 = zero;
  for (int i = 0; i < kCount; ++i) {
    const Fv v = Fv::load(x + i * kLanes);
    const Fv w = Fv::load(weights + i * kLanes);
    const Fv level = limited(inverse * v);
    store(codes + i * kLanes, select(alive, wrapped(level), zero));
    sum_lx = sum_lx + w * v * level;
    sum_l2 = sum_l2 + w * level * level;
  }
  auto active = alive;
  for (int round = 0; round < 5 && any(active); ++round) {
    auto changed = active & ~active;
    for (int i = 0; i < kCount; ++i) {
      const Fv v = Fv::load(x + i * kLanes);
      const Fv w = Fv::load(weights + i * kLanes);
      const Fv level = Fv::load(codes + i * kLanes);
      Fv rest_lx = sum_lx - w * v * level;
      Fv rest_l2 = sum_l2 - w * level * level;
      auto moves = active & (zero < rest_lx) & (zero < rest_l2);
      const Fv moved = limited(v * rest_l2 / rest_lx);
      moves = moves & ~(moved == level);
      if (!any(moves)) continue;
      rest_lx = rest_lx + w * v * moved;
      rest_l2 = rest_l2 + w * moved * moved;
      moves = moves & (sum_lx * sum_lx * rest_l2 < rest_lx * rest_lx * sum_l2);
      store(codes + i * kLanes, select(moves, wrapped(moved), level));
      sum_lx = select(moves, rest_lx, sum_lx);
      sum_l2 = select(moves, rest_l2, sum_l2);
      changed = changed | moves;
    }
    active = changed;
  }
  return select(alive & (zero < sum_l2), sum_lx / sum_l2, zero);
}

template <class Fv>
struct SymmetricFit {
  Fv scale;
  Fv inverse;  // code = clamp(nearest_int(inverse * x), -levels, levels - 1)
};

// search::symmetric_scale. Levels stay within levels + 1, so rounding has its short form. Both
// null: weights x * x.
template <int kCount, class Fv>
inline SymmetricFit<Fv> symmetric_scale(const float* x, const float* weights, int levels) {
  constexpr int kLanes = Fv::kLanes;
  const Fv zero = Fv::set(0);
  const float top = static_cast<float>(levels);
  Fv magnitude = zero;
  Fv peak = zero;
  alignas(64) float wx[kCount * kLanes];
  alignas(64) float squares[kCount * kLanes];
  for (int i = 0; i < kCount; ++i) {
    const Fv v = Fv::load(x + i * kLanes);
    const auto larger = magnitude < abs(v);
    magnitude = select(larger, abs(v), magnitude);
    peak = select(larger, v, peak);
    const Fv w = weights ? Fv::load(weights + i * kLanes) : v * v;
    if (!weights) store(squares + i * kLanes, w);
    store(wx + i * kLanes, w * v);
  }
  const auto alive = ~(magnitude < Fv::set(kTiny));
  const float* w_tile = weights ? weights : squares;
  Fv sum_lx;
  Fv sum_l2;
  // |inverse * x| is at most that of the peak, which tells where a clamp cannot matter.
  const auto fit = [&](Fv inverse, auto clamp_low, auto clamp_high) {
    sum_lx = sum_l2 = zero;
    for (int i = 0; i < kCount; ++i) {
      const Fv level = nearest_level<decltype(clamp_low)::value, decltype(clamp_high)::value>(
          inverse * Fv::load(x + i * kLanes), -top, top - 1);
      sum_lx = sum_lx + Fv::load(wx + i * kLanes) * level;
      sum_l2 = sum_l2 + Fv::load(w_tile + i * kLanes) * level * level;
    }
  };
  SymmetricFit<Fv> found;
  found.inverse = select(alive, Fv::set(-top) / peak, zero);
  fit(found.inverse, std::false_type{}, std::true_type{});
  found.scale = select(sum_l2 == zero, zero, sum_lx / sum_l2);
  Fv best = found.scale * sum_lx;
  for (int k = -9; k <= 9; ++k) {
    if (k == 0) continue;
    const Fv inverse = select(alive, Fv::set(-(top + 0.1F * static_cast<float>(k))) / peak, zero);
    if (k <= -6) {  // up to levels - 0.6
      fit(inverse, std::false_type{}, std::false_type{});
    } else if (k <= 4) {  // up to levels + 0.4
      fit(inverse, std::false_type{}, std::true_type{});
    } else {
      fit(inverse, std::true_type{}, std::true_type{});
    }
    const auto better = alive & (zero < sum_l2) & (best * sum_l2 < sum_lx * sum_lx);
    if (!any(better)) continue;
    found.scale = select(better, sum_lx / sum_l2, found.scale);
    best = select(better, found.scale * sum_lx, best);
    found.inverse = select(better, inverse, found.inverse);
  }
  found.scale = select(alive, found.scale, zero);
  return found;
}

}  // namespace
}  // namespace quantize::kernels
