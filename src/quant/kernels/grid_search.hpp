// The search of the 2- and 3-bit grid types (quant/grid_search.hpp is the definition) in vectors.
//
// The tried scales do not depend on each other: rounding, the choice of points, and the sums of a
// fit have one try per lane. Tries next to each other mostly round to the same code, and a code's
// contenders are compared for a whole run of them (kernels/candidates.hpp).
#pragma once

#include <algorithm>
#include <bit>

#include "quant/grid_search.hpp"
#include "quant/kernels/batch.hpp"
#include "quant/kernels/candidates.hpp"
#include "quant/kernels/searches.hpp"
#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

constexpr int kGridBatch = 4;

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

// Numbers the lanes of vectors one after the other.
template <int kCount>
struct Places {
  alignas(64) std::int32_t at[kCount];
  constexpr Places() : at() {
    for (int k = 0; k < kCount; ++k) at[k] = k;
  }
};
template <int kCount>
constexpr Places<kCount> kPlaces;

template <class Block>
class GridSearch {
 public:
  static constexpr int kSubBlock = Block::kSubBlock;
  static constexpr int kDigits = Block::kDigits;
  static constexpr unsigned kBits = Block::kBits;
  static constexpr int kGroups = kSubBlock / kDigits;
  static constexpr int kTop = kBits == 2 ? 2 : 7;
  static constexpr int kTries = 2 * Block::kSteps + 1;
  static constexpr float kHalfWay = 0.5F - 0x1p-14F;
  static constexpr int kPadded = (kTries + kNativeLanes - 1) / kNativeLanes * kNativeLanes;

  explicit GridSearch(const Neighbours& grid)
      : grid_(grid), codes_(grid.codes().data()), nearest_(grid) {
    for (int k = 0; k < kPadded; ++k) {
      const int step = k < kTries ? k - Block::kSteps : Block::kSteps;
      tries_[k] = Block::kTopLevel + static_cast<float>(step) * Block::kStep;
    }
    for (auto& numbers : numbers_) numbers[0] = -1;
  }

  // `scale` is what is left if no try fits, `reach` what the tries are relative to.
  void find(const float* x, const float* weights, const float* roots, float scale, float reach,
            grid_search::SubBlock<Block>& found) {
    for (int g = 0; g < kGroups; ++g) {
      NearestCandidate<kBits>::spread(x + kDigits * g, roots + kDigits * g, groups_[g]);
    }
    const float farthest = round_tries(x, reach);
    for (int g = 0; g < kGroups; ++g) {
      CandidateLines<kBits>::prepare(roots + kDigits * g, groups_[g], try_scales_[kTries - 1],
                                     try_scales_[0], farthest, terms_[g]);
    }
    choose_points();
    fit_tries(x, weights);

    std::uint16_t points[kGroups] = {};
    bool on_grid[kGroups];
    for (bool& on : on_grid) on = Block::kSecondPass == grid_search::SecondPass::off_grid_groups;
    const int best = best_try();
    if (best >= 0) {
      scale = scales_[best];
      for (int g = 0; g < kGroups; ++g) {
        points[g] = static_cast<std::uint16_t>(points_[g][best]);
        on_grid[g] = codes_[numbers_[g][1 + best]].index >= 0;
      }
    }
    second_pass(x, weights, on_grid, points, scale);
    found.scale = scale;
    for (int g = 0; g < kGroups; ++g) {
      found.indices[g] = static_cast<std::uint16_t>(grid_.at(grid_.number(points[g])).index);
    }
  }

 private:
  // The number of every group's code at every try. Returns the largest magnitude.
  float round_tries(const float* x, float reach) {
    F low = F::load(x);
    F high = low;
    for (int i = kNativeLanes; i < kSubBlock; i += kNativeLanes) {
      low = min(low, F::load(x + i));
      high = max(high, F::load(x + i));
    }
    // What rounding has a short form for, and halves that are no subnormal numbers.
    const float limit = reach * 0x1p16F;
    const float farthest = std::max(-reduce_min(low), reduce_max(high));
    const bool plain = farthest < limit && reach < 0x1p100F;
    for (auto& half_way : half_way_) half_way = 0;
    for (int v = 0; v < kPadded; v += kNativeLanes) {
      const F inverse = F::load(tries_ + v) / F::set(reach);
      store(try_scales_ + v, F::set(1) / inverse);
      if (plain) {
        // 0.5 * (inverse * x - 1), with the factor moved to where it costs nothing.
        const F half = F::set(0.5F) * inverse;
        number_codes(x, v, [half](F value, F& level) {
          level = limited(half * value - F::set(0.5F));
          return nearest_level<false, false>(level, 0, kTop);
        });
      } else {
        number_codes(x, v, [inverse](F value, F& level) {
          level = F::set(0.5F) * (inverse * value - F::set(1));
          const F digit = nearest_level_of_any(level, 0, kTop);
          level = limited(level);
          return digit;
        });
      }
    }
    return farthest;
  }

  // The cells of the lowest and the highest digit have no end. Without a fit before it, no try
  // leaves the highest 2-bit cell.
  static F limited(F level) {
    constexpr bool kBeyond = Block::kFirstFit || kBits != 2;
    const F positive = max(level, F::set(0));
    return kBeyond ? min(positive, F::set(kTop)) : positive;
  }

  template <class Round>
  void number_codes(const float* x, int v, Round round) {
    for (int g = 0; g < kGroups; ++g) {
      F number = F::set(0);
      F farthest = F::set(0);
      for (int i = kDigits - 1; i >= 0; --i) {
        F level;
        const F digit = round(F::set(x[kDigits * g + i]), level);
        number = i == kDigits - 1 ? digit : number * F::set(kTop + 1) + digit;
        farthest = max(abs(level - digit), farthest);
      }
      store(numbers_[g] + 1 + v, truncate(number));
      half_way_[g] |= static_cast<std::uint64_t>(bits(~(farthest < F::set(kHalfWay)))) << v;
    }
  }

  // Tries of a group next to each other whose code is the same.
  struct Run {
    const Neighbours::Code* code;
    int group;
    int first;
    int last;
  };

  // Digits that are no point are replaced by the nearest candidate. First the runs are listed, with
  // no branch on what they are.
  void choose_points() {
    Run runs[kGroups * kTries + 1];
    int count = 0;
    for (int g = 0; g < kGroups; ++g) {
      const std::int32_t* numbers = numbers_[g] + 1;
      // A try with a value half-way between two digits is looked at by itself.
      std::uint64_t starts = 1 | half_way_[g] | half_way_[g] << 1;
      for (int v = 0; v < kPadded; v += kNativeLanes) {
        const M same = I::load(numbers + v) == I::load(numbers + v - 1);
        starts |= static_cast<std::uint64_t>(bits(~same)) << v;
      }
      starts &= (std::uint64_t{1} << kTries) - 1;
      while (starts != 0) {
        const int first = std::countr_zero(starts);
        starts &= starts - 1;
        const int last = std::countr_zero(starts | std::uint64_t{1} << kTries) - 1;
        const Neighbours::Code& code = codes_[numbers[first]];
        // What is written after `last` is overwritten by the next run.
        for (int k = first; k <= last; k += kNativeLanes) {
          store(points_[g] + k, I::set(code.packed));
        }
        runs[count] = {&code, g, first, last};
        count += code.index < 0;
      }
    }
    for (int i = 0; i < count; ++i) choose_candidates(runs[i]);
  }

  void choose_candidates(const Run& run) {
    const GroupTable& group = groups_[run.group];
    std::int32_t* points = points_[run.group];
    const Neighbours::Code& code = *run.code;
    if ((half_way_[run.group] >> run.first & 1U) != 0) {
      points[run.first] = nearest_(code, group, try_scales_[run.first]);
      return;
    }
    if (run.first == run.last || code.contenders > CandidateLines<kBits>::kMaxCount) {
      for (int k = run.first; k <= run.last; ++k) {
        points[k] = nearest_.of_contenders(code, group, try_scales_[k]);
      }
      return;
    }
    lines_.set(grid_.contenders(code)->points, code.contenders, terms_[run.group]);
    for (int v = run.first; v <= run.last; v += kNativeLanes) {
      const M inside = I::load(kPlaces<kNativeLanes>.at) < I::set(run.last - v + 1);
      I nearest;
      const M told = lines_.nearest(F::load(try_scales_ + v), nearest);
      store(points + v, select(inside, nearest, I::load(points + v)));
      for (unsigned open = bits(inside & ~told); open != 0; open &= open - 1) {
        const int k = v + std::countr_zero(open);
        points[k] = nearest_.of_contenders(code, group, try_scales_[k]);
      }
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
      const M tried = I::load(kPlaces<kPadded>.at + v) < I::set(kTries);
      store(scores_ + v, select(tried, scale * sum_xq, F::set(0)));
    }
  }

  // The accepted tries form a chain, each better than the last; -1 if there is none. It ends with
  // the best, if this is the best by more than rounding can hide.
  int best_try() const {
    F highest = F::set(0);
    for (int v = 0; v < kPadded; v += kNativeLanes) highest = max(F::load(scores_ + v), highest);
    const float top = reduce_max(highest);
    const F limit = F::set(top * (1 - 0x1p-20F));
    std::uint64_t best_ones = 0;
    for (int v = 0; v < kPadded; v += kNativeLanes) {
      best_ones |= static_cast<std::uint64_t>(bits(limit <= F::load(scores_ + v))) << v;
    }
    // All sums of w q q are within a factor of 15^2, so that nothing underflows in the chain.
    const bool ordinary =
        0x1p-40F < top && top < 0x1p40F && 0x1p-40F < sum_qq_[0] && sum_qq_[0] < 0x1p40F;
    if (ordinary && std::has_single_bit(best_ones)) {
      return std::countr_zero(best_ones);
    }
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
    std::uint32_t half_way = 0;
    const F inverse = F::set(1 / scale);
    for (int i = 0; i < kSubBlock; i += kNativeLanes) {
      const F level = F::set(0.5F) * (inverse * F::load(x + i) - F::set(1));
      const I digit = min(max(nearest_int(level), I::set(0)), I::set(kTop));
      store(digits + i, digit);
      const F cell = min(max(level, F::set(0)), F::set(kTop));
      half_way |= bits(~(abs(cell - to_float(digit)) < F::set(kHalfWay))) << i;
    }
    for (int g = 0; g < kGroups; ++g) {
      if (Block::kSecondPass == SecondPass::off_grid_groups && on_grid[g]) continue;
      int number = 0;
      for (int i = kDigits - 1; i >= 0; --i) number = number * (kTop + 1) + digits[kDigits * g + i];
      const Neighbours::Code& code = codes_[number];
      if (code.index >= 0) {
        points[g] = code.packed;
      } else if ((half_way >> (kDigits * g) & ((1U << kDigits) - 1)) != 0) {
        points[g] = nearest_(code, groups_[g], scale);
      } else {
        points[g] = nearest_.of_contenders(code, groups_[g], scale);
      }
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
  CandidateLines<kBits> lines_;
  GroupTable groups_[kGroups];
  typename CandidateLines<kBits>::Terms terms_[kGroups];
  alignas(64) float tries_[kPadded];
  alignas(64) float try_scales_[kPadded + kNativeLanes] = {};
  alignas(64) float squares_[kPadded];
  alignas(64) float sum_qq_[kPadded];
  alignas(64) float scales_[kPadded];
  alignas(64) float scores_[kPadded];
  std::int32_t numbers_[kGroups][1 + kPadded];  // after one that no code has
  alignas(64) std::int32_t points_[kGroups][kPadded + kNativeLanes] = {};
  std::uint64_t half_way_[kGroups];  // bit k: at try k a value is near the middle of two digits
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
