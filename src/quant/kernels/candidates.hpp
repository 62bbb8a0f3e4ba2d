// Which of the candidates that a code has (quant/neighbours.hpp) is nearest to a group of values.
// What a candidate adds up depends only on place and digit, so that the terms come from a small
// table: one candidate per lane, and nothing is gathered from memory.
#pragma once

#include <bit>
#include <limits>

#include "quant/kernels/simd.hpp"
#include "quant/neighbours.hpp"

namespace quantize::kernels {
namespace {

constexpr int kTableSize = 32;  // places times digits: 8 * 4 or 4 * 8

// Odd levels by digit, and what place of a group an entry of the table belongs to.
template <unsigned kBits>
struct TablePattern {
  static constexpr int kDigitValues = 1 << kBits;
  alignas(64) float levels[kTableSize];
  alignas(64) std::int32_t places[kTableSize];

  constexpr TablePattern() : levels(), places() {
    for (int i = 0; i < kTableSize; ++i) {
      levels[i] = static_cast<float>(2 * (i % kDigitValues) + 1);
      places[i] = i / kDigitValues;
    }
  }
};
template <unsigned kBits>
constexpr TablePattern<kBits> kTablePattern;

template <unsigned kBits>
inline F lookup_digit(const float* table, I index) {
  if constexpr (kBits == 2) {
    return lookup4(table, index);
  } else {
    return lookup8(table, index);
  }
}

// For a candidate per lane, the sum of the terms that its digits choose, in order of place.
template <unsigned kBits>
inline F sum_terms(I digits, const float* terms) {
  F sum = lookup_digit<kBits>(terms, digits);
  for (int i = 1; i < kTableSize >> kBits; ++i) {
    digits = shift_right<kBits>(digits);
    sum = sum + lookup_digit<kBits>(terms + (i << kBits), digits);
  }
  return sum;
}

// Of a table just stored, reading entries by broadcast is cheaper than what compilers do instead:
// shuffling them out of the vectors that they still have.
inline void keep_in_memory(const float* table) noexcept {
  asm volatile("" : : "r"(table) : "memory");
}

// A group's values and roots of weights, each repeated for all digits.
struct GroupTable {
  alignas(64) float x[kTableSize];
  alignas(64) float roots[kTableSize];
};

template <unsigned kBits>
class NearestCandidate {
 public:
  explicit NearestCandidate(const Neighbours& grid) : grid_(grid) {}

  static void spread(const float* x, const float* roots, GroupTable& group) {
    for (int i = 0; i < kTableSize; i += kNativeLanes) {
      const I place = I::load(kTablePattern<kBits>.places + i);
      store(group.x + i, kBits == 2 ? lookup8(x, place) : lookup4(x, place));
      store(group.roots + i, kBits == 2 ? lookup8(roots, place) : lookup4(roots, place));
    }
  }

  // Of all candidates, or of the contenders only.
  std::uint16_t operator()(const Neighbours::Code& code, const GroupTable& group, float scale,
                           const float* levels = kTablePattern<kBits>.levels) const noexcept {
    return of(grid_.candidates(code)->points, code.count, group, scale, levels);
  }
  std::uint16_t of_contenders(const Neighbours::Code& code, const GroupTable& group,
                              float scale) const noexcept {
    return of(grid_.contenders(code)->points, code.contenders, group, scale,
              kTablePattern<kBits>.levels);
  }

 private:
  static std::uint16_t of(const std::uint16_t* points, int count, const GroupTable& group,
                          float scale, const float* levels) noexcept {
    alignas(64) float terms[kTableSize];
    for (int i = 0; i < kTableSize; i += kNativeLanes) {
      const F error = F::set(scale) * F::load(levels + i) - F::load(group.x + i);
      store(terms + i, F::load(group.roots + i) * error * error);
    }
    keep_in_memory(terms);
    F best = sum_terms<kBits>(I::load(points), terms);
    if (count <= kNativeLanes) return points[first(best == F::set(reduce_min(best)))];
    I at = I::set(0);
    for (int k = kNativeLanes; k < count; k += kNativeLanes) {
      const F other = sum_terms<kBits>(I::load(points + k), terms);
      const M nearer = other < best;
      best = select(nearer, other, best);
      at = select(nearer, I::set(k), at);
    }
    // Among equals the first of the list.
    alignas(64) std::int32_t chunk[kNativeLanes];
    store(chunk, at);
    unsigned lanes = bits(best == F::set(reduce_min(best)));
    int place = INT32_MAX;
    for (; lanes != 0; lanes &= lanes - 1) {
      const int lane = std::countr_zero(lanes);
      place = chunk[lane] + lane < place ? chunk[lane] + lane : place;
    }
    return points[place < count ? place : 0];
  }

  // Never beyond the lanes, even if no comparison held (NaN).
  static int first(M m) { return std::countr_zero(bits(m) | 1U << (kNativeLanes - 1)); }

  const Neighbours& grid_;
};

// The nearest of a code's contenders at several scales, one scale per lane. With roots r, levels l
// and values x, the distance at scale s is
//
//   D(s) = sum r (s l - x)^2 = s (A s - B) + C,   A = sum r l^2,   B = sum 2 r x l,
//
// and C is the same for all. So for s > 0 the nearest is the lowest of lines A s - B.
//
// The definition compares sums of rounded terms. With E = s l + |x| at its largest and u = 2^-24,
// such a sum of up to eight terms is off by less than 14 u E^2 sum r, and s (A s - B) as computed
// here by less than 12 u E^2 sum r. A line that is lowest by more than 52 u E^2 sum r / s therefore
// tells what the definition chooses; the margin here is 128 u. Where it is not kept, or where
// numbers are so small or large that underflow or overflow could matter, the lines do not tell.
template <unsigned kBits>
class CandidateLines {
 public:
  // Of a group: the terms of A and B.
  struct Terms {
    alignas(64) float slopes[kTableSize];
    alignas(64) float offsets[kTableSize];
    float margin;
  };

  // `low` <= s <= `high`, and no |x| is beyond `reach`.
  static void prepare(const float* roots, const GroupTable& group, float low, float high,
                      float reach, Terms& terms) {
    for (int i = 0; i < kTableSize; i += kNativeLanes) {
      const F level = F::load(kTablePattern<kBits>.levels + i);
      const F rl = F::load(group.roots + i) * level;
      store(terms.slopes + i, rl * level);
      store(terms.offsets + i, rl * F::load(group.x + i) * F::set(2));
    }
    float sum = 0;
    for (int i = 0; i < kDigits; ++i) sum = sum + roots[i];
    const float error = high * kTopLevel + reach;
    const bool ordinary = 0x1p-40F < sum && sum < 0x1p40F && 0x1p-40F < error && error < 0x1p40F;
    terms.margin =
        ordinary ? 0x1p-17F * error * error * sum / low : std::numeric_limits<float>::infinity();
  }

  void set(const std::uint16_t* points, int count, const Terms& terms) {
    count_ = count;
    margin_ = terms.margin;
    for (int k = 0; k < count; k += kNativeLanes) {
      const I digits = I::load(points + k);
      store(points_ + k, digits);
      store(slopes_ + k, sum_terms<kBits>(digits, terms.slopes));
      store(offsets_ + k, sum_terms<kBits>(digits, terms.offsets));
    }
    keep_in_memory(slopes_);
  }

  // Of the scale in each lane. True where the lines tell.
  M nearest(F scale, I& point) const {
    F least = F::set(slopes_[0]) * scale - F::set(offsets_[0]);
    F second = F::set(std::numeric_limits<float>::infinity());
    point = I::set(points_[0]);
    for (int k = 1; k < count_; ++k) {
      const F line = F::set(slopes_[k]) * scale - F::set(offsets_[k]);
      point = select(line < least, I::set(points_[k]), point);
      second = min(max(line, least), second);
      least = min(line, least);
    }
    return F::set(margin_) < second - least;
  }

  static constexpr int kMaxCount = 160;

 private:
  static constexpr int kDigits = kTableSize >> kBits;
  static constexpr float kTopLevel = kBits == 2 ? 5 : 15;

  int count_ = 0;
  float margin_ = 0;
  alignas(64) std::int32_t points_[kMaxCount];
  alignas(64) float slopes_[kMaxCount];
  alignas(64) float offsets_[kMaxCount];
};

}  // namespace
}  // namespace quantize::kernels
