// The search of the 2- and 3-bit grid types (quant/grid_search.hpp is the definition) in vectors.
//
// The tried scales do not depend on each other: rounding, and the sums of a fit, have one try per
// lane. The search for the nearest candidate of one try has one candidate per lane; what it adds up
// depends only on place and digit, so that the terms come from a small table. The lists of
// candidates are long enough to fill the lanes, and nothing is gathered from memory.
#pragma once

#include <bit>

#include "quant/grid_search.hpp"
#include "quant/kernels/batch.hpp"
#include "quant/kernels/searches.hpp"
#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

constexpr int kGridBatch = 4;
constexpr int kTableSize = 32;  // places times digits: 8 * 4 or 4 * 8

// What a super-block's values are before the search.
template <class Block>
struct GridInput {
  static constexpr int kSubBlocks = 256 / static_cast<int>(Block::kSubBlock);
  alignas(64) float magnitudes[256];
  alignas(64) float weights[256];
  alignas(64) float roots[256];
  std::uint8_t signs[32] = {};
  float reach[kSubBlocks];
};

template <class Block>
inline void prepare(const float* x, const float* importance, float mean_square,
                    GridInput<Block>& in) {
  alignas(64) float energies[256];
  for (int e = 0; e < 256; e += kNativeLanes) {
    const F v = F::load(x + e);
    const F square = v * v;
    F weight = square;
    if (importance) {
      weight = F::load(importance + e) * sqrt(F::set(mean_square) + square);
    } else if (Block::kPlainMeanShare != 0) {
      weight = F::set(Block::kPlainMeanShare * mean_square) + square;
    }
    store(in.weights + e, weight);
    store(in.roots + e, sqrt(weight));
    store(in.magnitudes + e, select(F::set(0) <= v, v, -v));
    store(energies + e, weight * v * v);
    const unsigned negative = bits(~(F::set(0) <= v));
    for (int l = 0; l < kNativeLanes; l += 8) {
      in.signs[(e + l) / 8] =
          static_cast<std::uint8_t>(in.signs[(e + l) / 8] | negative >> l << (e % 8));
    }
  }
  if constexpr (Block::kEvenSigns) {
    for (int g = 0; g < 32; ++g) {
      unsigned signs = in.signs[g];
      if ((std::popcount(signs) & 1) != 0) {
        const float* energy = energies + 8 * g;
        int cheapest = 0;
        for (int i = 1; i < 8; ++i) cheapest = energy[i] < energy[cheapest] ? i : cheapest;
        in.magnitudes[8 * g + cheapest] = -in.magnitudes[8 * g + cheapest];
        signs ^= 1U << cheapest;
      }
      in.signs[g] = static_cast<std::uint8_t>(signs & 127U);
    }
  }
  constexpr int kSubBlock = Block::kSubBlock;
  for (int j = 0; j < GridInput<Block>::kSubBlocks; ++j) {
    F largest = F::load(in.magnitudes + kSubBlock * j);
    for (int i = kNativeLanes; i < kSubBlock; i += kNativeLanes) {
      largest = max(largest, F::load(in.magnitudes + kSubBlock * j + i));
    }
    in.reach[j] = reduce_max(largest);
  }
}

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

  std::uint16_t operator()(const Neighbours::Code& code, const GroupTable& group, float scale,
                           const float* levels = kTablePattern<kBits>.levels) const noexcept {
    alignas(64) float terms[kTableSize];
    for (int i = 0; i < kTableSize; i += kNativeLanes) {
      const F error = F::set(scale) * F::load(levels + i) - F::load(group.x + i);
      store(terms + i, F::load(group.roots + i) * error * error);
    }
    keep_in_memory(terms);
    const std::uint16_t* points = grid_.candidates(code)->points;
    F best = distances(points, terms);
    if (code.count <= kNativeLanes) return points[first(best == F::set(reduce_min(best)))];
    I at = I::set(0);
    for (int k = kNativeLanes; k < code.count; k += kNativeLanes) {
      const F other = distances(points + k, terms);
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
    return points[place < code.count ? place : 0];
  }

 private:
  static constexpr int kDigits = kTableSize >> kBits;

  // Never beyond the lanes, even if no comparison held (NaN).
  static int first(M m) { return std::countr_zero(bits(m) | 1U << (kNativeLanes - 1)); }

  static F distances(const std::uint16_t* points, const float* terms) {
    I digits = I::load(points);
    F sum = lookup_digit<kBits>(terms, digits);
    for (int i = 1; i < kDigits; ++i) {
      digits = shift_right<kBits>(digits);
      sum = sum + lookup_digit<kBits>(terms + (i << kBits), digits);
    }
    return sum;
  }

  const Neighbours& grid_;
};

template <class Block>
class GridSearch {
 public:
  static constexpr int kSubBlock = Block::kSubBlock;
  static constexpr int kDigits = Block::kDigits;
  static constexpr unsigned kBits = Block::kBits;
  static constexpr int kGroups = kSubBlock / kDigits;
  static constexpr int kTop = kBits == 2 ? 2 : 7;
  static constexpr int kTries = 2 * Block::kSteps + 1;
  static constexpr int kPadded = (kTries + kNativeLanes - 1) / kNativeLanes * kNativeLanes;

  explicit GridSearch(const Neighbours& grid)
      : grid_(grid), codes_(grid.codes().data()), nearest_(grid) {
    for (int k = 0; k < kPadded; ++k) {
      const int step = k < kTries ? k - Block::kSteps : Block::kSteps;
      tries_[k] = Block::kTopLevel + static_cast<float>(step) * Block::kStep;
    }
  }

  // `scale` is what is left if no try fits, `reach` what the tries are relative to.
  void find(const float* x, const float* weights, const float* roots, float scale, float reach,
            grid_search::SubBlock<Block>& found) {
    for (int g = 0; g < kGroups; ++g) {
      NearestCandidate<kBits>::spread(x + kDigits * g, roots + kDigits * g, groups_[g]);
    }
    round_tries(x, reach);
    for (int g = 0; g < kGroups; ++g) choose_points(g);
    fit_tries(x, weights);

    std::uint16_t points[kGroups] = {};
    bool on_grid[kGroups];
    for (bool& on : on_grid) on = Block::kSecondPass == grid_search::SecondPass::off_grid_groups;
    const int best = best_try();
    if (best >= 0) {
      scale = scales_[best];
      for (int g = 0; g < kGroups; ++g) {
        points[g] = static_cast<std::uint16_t>(points_[g][best]);
        on_grid[g] = codes_[numbers_[g][best]].index >= 0;
      }
    }
    second_pass(x, weights, on_grid, points, scale);
    found.scale = scale;
    for (int g = 0; g < kGroups; ++g) {
      found.indices[g] = static_cast<std::uint16_t>(grid_.at(grid_.number(points[g])).index);
    }
  }

 private:
  // The number of every group's code at every try.
  void round_tries(const float* x, float reach) {
    F low = F::load(x);
    F high = low;
    for (int i = kNativeLanes; i < kSubBlock; i += kNativeLanes) {
      low = min(low, F::load(x + i));
      high = max(high, F::load(x + i));
    }
    // What rounding has a short form for, and halves that are no subnormal numbers.
    const float limit = reach * 0x1p16F;
    const bool plain = -limit < reduce_min(low) && reduce_max(high) < limit && reach < 0x1p100F;
    for (int v = 0; v < kPadded; v += kNativeLanes) {
      const F inverse = F::load(tries_ + v) / F::set(reach);
      store(try_scales_ + v, F::set(1) / inverse);
      if (plain) {
        // 0.5 * (inverse * x - 1), with the factor moved to where it costs nothing.
        const F half = F::set(0.5F) * inverse;
        number_codes(x, v, [half](F value) {
          return nearest_level(half * value - F::set(0.5F), 0, static_cast<float>(kTop));
        });
      } else {
        number_codes(x, v, [inverse](F value) {
          return nearest_level_of_any(F::set(0.5F) * (inverse * value - F::set(1)), 0, kTop);
        });
      }
    }
  }

  template <class Round>
  void number_codes(const float* x, int v, Round round) {
    for (int g = 0; g < kGroups; ++g) {
      F number = round(F::set(x[kDigits * g + kDigits - 1]));
      F packed = number;
      for (int i = kDigits - 2; i >= 0; --i) {
        const F digit = round(F::set(x[kDigits * g + i]));
        number = number * F::set(kTop + 1) + digit;
        if constexpr (kBits == 2) packed = packed * F::set(4) + digit;
      }
      store(numbers_[g] + v, truncate(number));
      store(points_[g] + v, truncate(kBits == 2 ? packed : number));
    }
  }

  // Digits that are no point are replaced by the nearest candidate.
  void choose_points(int g) {
    int off[kTries + 1];
    int count = 0;
    for (int k = 0; k < kTries; ++k) {
      off[count] = k;
      count += codes_[numbers_[g][k]].index < 0;
    }
    for (int i = 0; i < count; ++i) {
      const int k = off[i];
      points_[g][k] = nearest_(codes_[numbers_[g][k]], groups_[g], try_scales_[k]);
    }
  }

  void fit_tries(const float* x, const float* weights) {
    alignas(64) float wx[kSubBlock];
    for (int e = 0; e < kSubBlock; e += kNativeLanes) {
      store(wx + e, F::load(weights + e) * F::load(x + e));
    }
    for (int v = 0; v < kPadded; v += kNativeLanes) {
      F sum_xq = F::set(0);
      F sum_qq = F::set(0);
      for (int g = 0; g < kGroups; ++g) {
        I digits = I::load(points_[g] + v);
        for (int i = 0; i < kDigits; ++i) {
          const int e = kDigits * g + i;
          const F level = lookup_digit<kBits>(kTablePattern<kBits>.levels, digits);
          digits = shift_right<kBits>(digits);
          sum_xq = sum_xq + F::set(wx[e]) * level;
          sum_qq = sum_qq + F::set(weights[e]) * level * level;
        }
      }
      store(squares_ + v, sum_xq * sum_xq);
      store(sum_qq_ + v, sum_qq);
      const F scale = sum_xq / sum_qq;
      store(scales_ + v, scale);
      store(scores_ + v, scale * sum_xq);
    }
  }

  // The accepted tries form a chain, each better than the last; -1 if there is none.
  int best_try() const {
    int best_try = -1;
    float best = 0;
    for (int v = 0; v < kPadded; v += kNativeLanes) {
      const F squares = F::load(squares_ + v);
      const F sum_qq = F::load(sum_qq_ + v);
      std::uint64_t open = ((std::uint64_t{1} << kTries) - 1) >> v;
      for (;;) {
        const M better = (F::set(0) < sum_qq) & (F::set(best) * sum_qq < squares);
        open &= bits(better);
        if (open == 0) break;
        const int lane = std::countr_zero(open);
        best_try = v + lane;
        best = scores_[best_try];
        open &= open - 1;
      }
    }
    return best_try;
  }

  // The groups that need it choose anew at the scale that was found.
  void second_pass(const float* x, const float* weights, const bool (&on_grid)[kGroups],
                   std::uint16_t (&points)[kGroups], float& scale) const {
    using grid_search::SecondPass;
    bool any_off = false;
    for (const bool on : on_grid) any_off = any_off || !on;
    if (!(scale > 0) || !(any_off || Block::kSecondPass == SecondPass::all_groups)) return;
    alignas(64) std::int32_t digits[kSubBlock];
    const F inverse = F::set(1 / scale);
    for (int i = 0; i < kSubBlock; i += kNativeLanes) {
      const F value = F::set(0.5F) * (inverse * F::load(x + i) - F::set(1));
      store(digits + i, min(max(nearest_int(value), I::set(0)), I::set(kTop)));
    }
    for (int g = 0; g < kGroups; ++g) {
      if (Block::kSecondPass == SecondPass::off_grid_groups && on_grid[g]) continue;
      int number = 0;
      for (int i = kDigits - 1; i >= 0; --i) number = number * (kTop + 1) + digits[kDigits * g + i];
      const Neighbours::Code& code = codes_[number];
      points[g] = code.index >= 0 ? code.packed : nearest_(code, groups_[g], scale);
    }
    float sum_xq = 0;
    float sum_qq = 0;
    for (int e = 0; e < kSubBlock; ++e) {
      const unsigned d = grid_search::digit(points[e / kDigits], e % kDigits, kBits);
      const float level = kTablePattern<kBits>.levels[d];
      sum_xq = sum_xq + weights[e] * x[e] * level;
      sum_qq = sum_qq + weights[e] * level * level;
    }
    if (sum_qq > 0) scale = sum_xq / sum_qq;
  }

  const Neighbours& grid_;
  const Neighbours::Code* codes_;
  NearestCandidate<kBits> nearest_;
  GroupTable groups_[kGroups];
  alignas(64) float tries_[kPadded];
  alignas(64) float try_scales_[kPadded];
  alignas(64) float squares_[kPadded];
  alignas(64) float sum_qq_[kPadded];
  alignas(64) float scales_[kPadded];
  alignas(64) float scores_[kPadded];
  alignas(64) std::int32_t numbers_[kGroups][kPadded];
  alignas(64) std::int32_t points_[kGroups][kPadded];
};

// A first fit without the grid, one sub-block per lane.
template <class Block>
inline void first_fit(const GridInput<Block> (&inputs)[kGridBatch], float* scales) {
  constexpr int kSubBlock = Block::kSubBlock;
  constexpr int kSubBlocks = GridInput<Block>::kSubBlocks;
  alignas(64) float x[kSubBlock * kNativeLanes];
  alignas(64) float weights[kSubBlock * kNativeLanes];
  alignas(64) float codes[kSubBlock * kNativeLanes];
  for (int first = 0; first < kGridBatch * kSubBlocks; first += kNativeLanes) {
    const float* x_rows[kNativeLanes];
    const float* weight_rows[kNativeLanes];
    for (int l = 0; l < kNativeLanes; ++l) {
      const GridInput<Block>& in = inputs[(first + l) / kSubBlocks];
      x_rows[l] = in.magnitudes + kSubBlock * ((first + l) % kSubBlocks);
      weight_rows[l] = in.weights + kSubBlock * ((first + l) % kSubBlocks);
    }
    transpose_rows<F, kSubBlock>(x_rows, x);
    transpose_rows<F, kSubBlock>(weight_rows, weights);
    store(scales + first, positive_scale<kSubBlock, F>(x, weights, 4, codes));
  }
}

template <class Block>
void encode_grid(const EncodeInput& in, std::byte* out) noexcept {
  constexpr int kSubBlock = Block::kSubBlock;
  constexpr int kSubBlocks = GridInput<Block>::kSubBlocks;
  GridSearch<Block> search(Block::neighbours());
  for_each_batch<Block, 256, kGridBatch>(
      in, out, [&](const Batch<kGridBatch>& batch, Block(&blocks)[kGridBatch]) noexcept {
        // Four chains of additions at a time.
        float sums[kGridBatch] = {};
        for (int e = 0; e < 256; ++e) {
          for (int b = 0; b < kGridBatch; ++b) {
            sums[b] = sums[b] + batch.values[b][e] * batch.values[b][e];
          }
        }
        GridInput<Block> inputs[kGridBatch];
        for (int b = 0; b < kGridBatch; ++b) {
          prepare(batch.values[b], in.importance ? batch.importance[b] : nullptr,
                  Block::kMeanSquares * sums[b] / 256.0F, inputs[b]);
        }
        alignas(64) float fitted[kGridBatch * kSubBlocks];
        if constexpr (Block::kFirstFit) first_fit(inputs, fitted);
        for (int b = 0; b < kGridBatch; ++b) {
          blocks[b] = {};
          float scales[kSubBlocks] = {};
          unsigned zeros = 0;
          for (int j = 0; j < kSubBlocks; ++j) {
            float reach = inputs[b].reach[j];
            float scale = reach / Block::kTopLevel;
            bool zero = reach < Block::kZero;
            if constexpr (Block::kFirstFit) {
              scale = fitted[kSubBlocks * b + j];
              reach = scale * 3;
              zero = zero || !(reach > 0);
            }
            if (zero) {
              zeros |= 1U << j;
              continue;
            }
            grid_search::SubBlock<Block> found;
            const int at = kSubBlock * j;
            search.find(inputs[b].magnitudes + at, inputs[b].weights + at, inputs[b].roots + at,
                        scale, reach, found);
            const unsigned flip = found.scale < 0 ? (Block::kEvenSigns ? 127U : 255U) : 0U;
            if (found.scale < 0) found.scale = -found.scale;
            for (int k = 0; k < kSubBlock / 8; ++k) {
              found.signs[k] = static_cast<std::uint8_t>(inputs[b].signs[at / 8 + k] ^ flip);
            }
            blocks[b].set(j, found);
            scales[j] = found.scale;
          }
          grid_search::set_scales(scales, blocks[b]);
          if constexpr (Block::kHasQuirk) {
            if (in.reference_quirks) blocks[b].close_gaps(zeros);
          }
        }
      });
}

}  // namespace
}  // namespace quantize::kernels
