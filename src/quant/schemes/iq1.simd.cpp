// IQ1_S and IQ1_M over the closed set; the definition is iq1.hpp and iq1.cpp.
//
// The splits are tried with one sub-block per lane: all lanes run through the same splits, and what
// a split needs are prefix sums and products that change with one of its two places only.
#include "quant/schemes/iq1.hpp"

#include <limits>

#include "quant/kernels/grid_search.hpp"
#include "quant/kernels/kernel.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

using schemes::kLevels;
using schemes::Ternary;

// Levels of digits 0, 1, 2 for every place, as tables of terms are laid out.
struct LevelTable {
  alignas(64) float at[kTableSize];
  constexpr explicit LevelTable(bool down) : at() {
    for (int i = 0; i < kTableSize; ++i) at[i] = i % 4 < 3 ? kLevels[down][i % 4] : 0.0F;
  }
};
constexpr LevelTable kLevelTables[2] = {LevelTable(false), LevelTable(true)};

// Place of each value in ascending order, equal values in order of index.
template <int kCount>
inline void rank_values(const float* x, std::int32_t* ranks) {
  for (int i = 0; i < kCount; ++i) {
    const F value = F::set(x[i]);
    std::uint32_t less = 0;
    std::uint32_t equal = 0;
    for (int v = 0; v < kCount; v += kNativeLanes) {
      const F others = F::load(x + v);
      less |= static_cast<std::uint32_t>(bits(others < value)) << v;
      equal |= static_cast<std::uint32_t>(bits(others == value)) << v;
    }
    ranks[i] = std::popcount(less | (equal & ((std::uint32_t{1} << i) - 1)));
  }
}

// The better fit is the larger sum_qx^2 / sum_q2. Per lane: what was accepted last.
struct BestSplits {
  F score = F::set(-std::numeric_limits<float>::max());
  F scale = F::set(0);
  I code = I::set(-1);

  M is_better(F sum_qx, F sum_q2) const { return score * sum_q2 < sum_qx * sum_qx; }
  void take(F sum_qx, F sum_q2, int split_code) {
    const M better = is_better(sum_qx, sum_q2) & (F::set(0) < sum_q2);
    const F fitted = sum_qx / sum_q2;
    scale = select(better, fitted, scale);
    score = select(better, fitted * sum_qx, score);
    code = select(better, I::set(split_code), code);
  }
};

// first, second, directions
constexpr int split_code(int first, int second, int down) {
  return first | second << 8 | down << 16;
}

// Sub-blocks of kNativeLanes lanes, sorted: [place][lane].
template <int kCount>
struct SortedTile {
  alignas(64) float wx[kCount * kNativeLanes];
  alignas(64) float w[kCount * kNativeLanes];
};

struct SplitIQ1_S {
  using Block = schemes::BlockIQ1_S;
  static constexpr int kCount = 32;
  static constexpr float kZero = schemes::kZeroS;

  static BestSplits find(const SortedTile<kCount>& sorted, const std::int32_t*) {
    constexpr int L = kNativeLanes;
    alignas(64) float x[(kCount + 1) * L];
    alignas(64) float w[(kCount + 1) * L];
    store(x, F::set(0));
    store(w, F::set(0));
    for (int i = 0; i < kCount; ++i) {
      store(x + (i + 1) * L, F::load(x + i * L) + F::load(sorted.wx + i * L));
      store(w + (i + 1) * L, F::load(w + i * L) + F::load(sorted.w + i * L));
    }
    // The terms of the highest digits.
    alignas(64) float high_x[2][(kCount + 1) * L];
    alignas(64) float high_w[2][(kCount + 1) * L];
    for (int i = 0; i <= kCount; ++i) {
      const F rest_x = F::load(x + kCount * L) - F::load(x + i * L);
      const F rest_w = F::load(w + kCount * L) - F::load(w + i * L);
      for (int down = 0; down < 2; ++down) {
        const F v = F::set(kLevels[down][2]);
        store(high_x[down] + i * L, rest_x * v);
        store(high_w[down] + i * L, rest_w * v * v);
      }
    }
    BestSplits best;
    for (int first = 0; first <= kCount; ++first) {
      const F x_first = F::load(x + first * L);
      const F w_first = F::load(w + first * L);
      const F low_x[2] = {x_first * F::set(kLevels[0][0]), x_first * F::set(kLevels[1][0])};
      const F low_w[2] = {w_first * F::set(kLevels[0][0]) * F::set(kLevels[0][0]),
                          w_first * F::set(kLevels[1][0]) * F::set(kLevels[1][0])};
      for (int second = first; second <= kCount; ++second) {
        // The middle levels are the same number with either sign.
        const F v = F::set(kLevels[0][1]);
        const F middle_x = (F::load(x + second * L) - x_first) * v;
        const F middle_w = (F::load(w + second * L) - w_first) * v * v;
        const F qx_up = low_x[0] + middle_x + F::load(high_x[0] + second * L);
        const F q2_up = low_w[0] + middle_w + F::load(high_w[0] + second * L);
        const F qx_down = low_x[1] - middle_x + F::load(high_x[1] + second * L);
        const F q2_down = low_w[1] + middle_w + F::load(high_w[1] + second * L);
        if (any(best.is_better(qx_up, q2_up)))
          best.take(qx_up, q2_up, split_code(first, second, 0));
        if (any(best.is_better(qx_down, q2_down))) {
          best.take(qx_down, q2_down, split_code(first, second, 15));
        }
      }
    }
    return best;
  }

  static void finish(const Neighbours& grid, const float*, const float*,
                     const Ternary<4> (&ternaries)[8], Block& block) {
    schemes::finish(grid, ternaries, block);
  }
};

struct SplitIQ1_M {
  using Block = schemes::BlockIQ1_M;
  static constexpr int kCount = 16;
  static constexpr float kZero = schemes::kZeroM;

  // `halves`: [place][lane], which half of the sub-block the value is from.
  static BestSplits find(const SortedTile<kCount>& sorted, const std::int32_t* halves) {
    constexpr int L = kNativeLanes;
    alignas(64) float x[2][(kCount + 1) * L];
    alignas(64) float w[2][(kCount + 1) * L];
    for (int h = 0; h < 2; ++h) {
      store(x[h], F::set(0));
      store(w[h], F::set(0));
      for (int i = 0; i < kCount; ++i) {
        const M here = I::load(halves + i * L) == I::set(h);
        const F last_x = F::load(x[h] + i * L);
        const F last_w = F::load(w[h] + i * L);
        store(x[h] + (i + 1) * L, select(here, last_x + F::load(sorted.wx + i * L), last_x));
        store(w[h] + (i + 1) * L, select(here, last_w + F::load(sorted.w + i * L), last_w));
      }
    }
    BestSplits best;
    for (int first = 0; first <= kCount; ++first) {
      F whole_x[2][2];  // [half][direction]
      F low_w[2][2];
      F x_first[2];
      for (int h = 0; h < 2; ++h) {
        x_first[h] = F::load(x[h] + first * L);
        for (int down = 0; down < 2; ++down) {
          const float(&v)[3] = kLevels[down];
          whole_x[h][down] = F::load(x[h] + kCount * L) * F::set(v[2]);
          low_w[h][down] = F::load(w[h] + kCount * L) * F::set(v[2]) * F::set(v[2]) +
                           F::load(w[h] + first * L) * F::set(v[0] * v[0] - v[1] * v[1]);
        }
      }
      for (int second = first; second <= kCount; ++second) {
        F qx[2][2];
        F q2[2][2];
        for (int h = 0; h < 2; ++h) {
          const F both = x_first[h] + F::load(x[h] + second * L);
          const F w_second = F::load(w[h] + second * L);
          for (int down = 0; down < 2; ++down) {
            const float(&v)[3] = kLevels[down];
            qx[h][down] = whole_x[h][down] - both;
            q2[h][down] = low_w[h][down] + w_second * F::set(v[1] * v[1] - v[2] * v[2]);
          }
        }
        M better = best.is_better(qx[0][0] + qx[1][0], q2[0][0] + q2[1][0]);
        for (int c = 1; c < 4; ++c) {
          better =
              better | best.is_better(qx[0][c >> 1] + qx[1][c & 1], q2[0][c >> 1] + q2[1][c & 1]);
        }
        if (!any(better)) continue;
        for (int c = 0; c < 4; ++c) {
          // Bit g of the directions is group g's.
          best.take(qx[0][c >> 1] + qx[1][c & 1], q2[0][c >> 1] + q2[1][c & 1],
                    split_code(first, second, c >> 1 | (c & 1) << 1));
        }
      }
    }
    return best;
  }

  static void finish(const Neighbours& grid, const float* x, const float* weights,
                     const Ternary<2> (&ternaries)[16], Block& block) {
    schemes::finish(grid, x, weights, ternaries, block);
  }
};

template <class Split>
class Iq1Encoder {
 public:
  static constexpr int kCount = Split::kCount;
  static constexpr int kGroups = kCount / 8;
  static constexpr int kSubBlocks = 256 / kCount;
  using Block = typename Split::Block;

  explicit Iq1Encoder(const Neighbours& grid) : grid_(grid), nearest_(grid) {}

  void encode(const Batch<kGridBatch>& batch, bool weighted, Block (&blocks)[kGridBatch]) noexcept {
    float sums[kGridBatch] = {};
    for (int e = 0; e < 256; ++e) {
      for (int b = 0; b < kGridBatch; ++b) {
        sums[b] = sums[b] + batch.values[b][e] * batch.values[b][e];
      }
    }
    for (int b = 0; b < kGridBatch; ++b) {
      const F mean_square = F::set(2 * sums[b] / 256.0F);
      for (int e = 0; e < 256; e += kNativeLanes) {
        const F v = F::load(batch.values[b] + e);
        F weight = v * v;
        if (weighted) weight = F::load(batch.importance[b] + e) * sqrt(mean_square + weight);
        store(weights_[b] + e, weight);
      }
    }
    for (int number = 0; number < kGridBatch * kSubBlocks; number += kNativeLanes) {
      find_splits(batch, number);
    }
    for (int b = 0; b < kGridBatch; ++b) {
      for (int j = 0; j < kSubBlocks; ++j) {
        if (ternaries_[b][j].found) move_to_grid(batch.values[b] + kCount * j, b, j);
      }
      blocks[b] = {};
      Split::finish(grid_, batch.values[b], weights_[b], ternaries_[b], blocks[b]);
    }
  }

 private:
  // Of as many sub-blocks as there are lanes.
  void find_splits(const Batch<kGridBatch>& batch, int number) {
    SortedTile<kCount> sorted;
    alignas(64) std::int32_t halves[kCount * kNativeLanes];
    alignas(64) std::int32_t ranks[kNativeLanes][kCount];
    for (int l = 0; l < kNativeLanes; ++l) {
      const int b = (number + l) / kSubBlocks;
      const int at = kCount * ((number + l) % kSubBlocks);
      const float* x = batch.values[b] + at;
      rank_values<kCount>(x, ranks[l]);
      for (int i = 0; i < kCount; ++i) {
        const int place = ranks[l][i] * kNativeLanes + l;
        const float w = weights_[b][at + i];
        sorted.w[place] = w;
        sorted.wx[place] = w * x[i];
        halves[place] = i / 8;
      }
    }
    const BestSplits best = Split::find(sorted, halves);
    alignas(64) float scales[kNativeLanes];
    alignas(64) std::int32_t codes[kNativeLanes];
    store(scales, best.scale);
    store(codes, best.code);
    for (int l = 0; l < kNativeLanes; ++l) {
      const int b = (number + l) / kSubBlocks;
      const int j = (number + l) % kSubBlocks;
      const float* x = batch.values[b] + kCount * j;
      F largest = abs(F::load(x));
      for (int i = kNativeLanes; i < kCount; i += kNativeLanes) {
        largest = max(largest, abs(F::load(x + i)));
      }
      Ternary<kGroups>& ternary = ternaries_[b][j];
      ternary = {};
      if (reduce_max(largest) < Split::kZero || codes[l] < 0) continue;
      ternary.found = true;
      set_digits(ranks[l], scales[l], codes[l], ternary);
    }
  }

  // A scale below zero turns digits and directions around.
  static void set_digits(const std::int32_t* ranks, float scale, int code,
                         Ternary<kGroups>& ternary) {
    const bool mirrored = scale < 0;
    ternary.scale = mirrored ? -scale : scale;
    const int first = code & 255;
    const int second = code >> 8 & 255;
    for (int g = 0; g < kGroups; ++g) {
      int point = 0;
      for (int i = 7; i >= 0; --i) {
        const int rank = ranks[8 * g + i];
        const int upward = static_cast<int>(first <= rank) + static_cast<int>(second <= rank);
        point = point << 2 | (mirrored ? 2 - upward : upward);
      }
      ternary.points[g] = static_cast<std::uint16_t>(point);
      ternary.down[g] = ((code >> 16 >> g & 1) != 0) != mirrored;
    }
  }

  void move_to_grid(const float* x, int b, int j) {
    Ternary<kGroups>& ternary = ternaries_[b][j];
    const float* weights = weights_[b] + kCount * j;
    bool moved = false;
    for (int g = 0; g < kGroups; ++g) {
      const Neighbours::Code& code = grid_.at(grid_.number(ternary.points[g]));
      if (code.index >= 0) continue;
      moved = true;
      GroupTable group;
      NearestCandidate<2>::spread(x + 8 * g, weights + 8 * g, group);
      ternary.points[g] = nearest_(code, group, ternary.scale, kLevelTables[ternary.down[g]].at);
    }
    if (!moved) return;
    float sum_qx = 0;
    float sum_q2 = 0;
    for (int e = 0; e < kCount; ++e) {
      const float q = schemes::level(ternary.points[e / 8], e, ternary.down[e / 8]);
      sum_qx = sum_qx + weights[e] * q * x[e];
      sum_q2 = sum_q2 + weights[e] * q * q;
    }
    if (sum_qx > 0 && sum_q2 > 0) ternary.scale = sum_qx / sum_q2;
  }

  const Neighbours& grid_;
  NearestCandidate<2> nearest_;
  alignas(64) float weights_[kGridBatch][256];
  Ternary<kGroups> ternaries_[kGridBatch][kSubBlocks];
};

template <class Split>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  using Block = typename Split::Block;
  Iq1Encoder<Split> encoder(neighbours_iq1());
  for_each_batch<Block, 256, kGridBatch>(
      in, out, [&](const Batch<kGridBatch>& batch, Block(&blocks)[kGridBatch]) noexcept {
        encoder.encode(batch, in.importance != nullptr, blocks);
      });
}

}  // namespace

extern const Kernel iq1_s;
extern const Kernel iq1_m;
const Kernel iq1_s{DType::iq1_s, encode<SplitIQ1_S>, nullptr};
const Kernel iq1_m{DType::iq1_m, encode<SplitIQ1_M>, nullptr};

}  // namespace quantize::kernels::QUANTIZE_ISA
