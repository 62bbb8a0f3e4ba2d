// Q3_K over the closed set; the definition is q3_k.cpp.
#include "quant/schemes/q3_k.hpp"

#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/symmetric_super_blocks.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

constexpr int kLevels = 4;
constexpr int kScaleLevels = 32;
using schemes::BlockQ3_K;

// search::refined_scale of one group. A lane that had a round without a change is done: another
// round would only repeat it.
FF refined_scale(const float* x, float* levels) {
  constexpr int kLanes = FF::kLanes;
  const FF zero = FF::set(0);
  FF magnitude = zero;
  FF peak = zero;
  for (int i = 0; i < kSubBlock; ++i) {
    const FF v = FF::load(x + i * kLanes);
    const MM larger = magnitude < abs(v);
    magnitude = select(larger, abs(v), magnitude);
    peak = select(larger, v, peak);
  }
  const MM alive = ~(magnitude < FF::set(kTiny));
  const FF inverse = select(alive, FF::set(-kLevels) / peak, zero);
  FF sum_lx = zero;
  FF sum_l2 = zero;
  for (int i = 0; i < kSubBlock; ++i) {
    const FF v = FF::load(x + i * kLanes);
    const FF level = nearest_level(inverse * v, -kLevels, kLevels - 1);
    const FF w = v * v;
    store(levels + i * kLanes, level);
    sum_lx = sum_lx + w * v * level;
    sum_l2 = sum_l2 + w * level * level;
  }
  MM active = alive;
  for (int round = 0; round < 5 && any(active); ++round) {
    MM changed = active & ~active;
    for (int i = 0; i < kSubBlock; ++i) {
      const FF v = FF::load(x + i * kLanes);
      const FF w = v * v;
      const FF wx = w * v;
      const FF level = FF::load(levels + i * kLanes);
      FF rest_lx = sum_lx - wx * level;
      FF rest_l2 = sum_l2 - w * level * level;
      const FF moved = nearest_level_of_any(v * rest_l2 / rest_lx, -kLevels, kLevels - 1);
      MM moves = active & (zero < rest_lx) & ~(moved == level);
      if (!any(moves)) continue;
      rest_lx = rest_lx + wx * moved;
      rest_l2 = rest_l2 + w * moved * moved;
      moves = moves & (zero < rest_l2) & (sum_lx * sum_lx * rest_l2 < rest_lx * rest_lx * sum_l2);
      store(levels + i * kLanes, select(moves, moved, level));
      sum_lx = select(moves, rest_lx, sum_lx);
      sum_l2 = select(moves, rest_l2, sum_l2);
      changed = changed | moves;
    }
    active = changed;
  }
  // Codes of a lane with nothing to refine are 0, as level -4 is.
  for (int i = 0; i < kSubBlock; ++i) {
    const FF level = FF::load(levels + i * kLanes);
    store(levels + i * kLanes, select(alive, level, FF::set(-kLevels)));
  }
  return select(alive & (zero < sum_l2), sum_lx / sum_l2, zero);
}

void encode_batch(const SuperBlocks& batch, bool weighted, BlockQ3_K (&blocks)[kBlocks]) {
  Tile x;
  Tile weights;  // without importance: the levels that the refinement ends with
  PerSubBlock scales;
  PerSubBlock sums;
  PerSubBlock inverses;
  x.load(batch.values);
  if (weighted) {
    weights.load(batch.importance);
    combine_weights(x, 2, weights);
  }
  for (int group = 0; group < Tile::kGroups; ++group) {
    fetch_ahead(batch, group, Tile::kGroups);
    const int at = group * FF::kLanes;
    if (weighted) {
      FF sum = FF::set(0);
      for (int i = 0; i < kSubBlock * FF::kLanes; i += FF::kLanes) {
        sum = sum + FF::load(weights.at[group] + i);
      }
      store(sums.at + at, sum);
      const SymmetricFit<FF> fit =
          symmetric_scale<kSubBlock, FF>(x.at[group], weights.at[group], kLevels);
      store(scales.at + at, fit.scale);
      store(inverses.at + at, fit.inverse);
    } else {
      store(scales.at + at, refined_scale(x.at[group], weights.at[group]));
    }
  }
  alignas(64) std::int32_t half_scales[kBlocks];
  PerSubBlock codes;  // 0 .. 63
  for (int b = 0; b < kBlocks; b += kNativeLanes) {
    F scale;
    if (weighted) {
      alignas(64) float tile[kSubBlocks * kNativeLanes];
      alignas(64) float tile_sums[kSubBlocks * kNativeLanes];
      for (int j = 0; j < kSubBlocks; ++j) {
        store(tile + j * kNativeLanes, F::load(scales.at + kBlocks * j + b));
        store(tile_sums + j * kNativeLanes, F::load(sums.at + kBlocks * j + b));
      }
      const SymmetricFit<F> fit = symmetric_scale<kSubBlocks, F>(tile, tile_sums, kScaleLevels);
      const M searched = ~(fit.inverse == F::set(0));
      for (int j = 0; j < kSubBlocks; ++j) {
        const F level = nearest_level(fit.inverse * F::load(tile + j * kNativeLanes), -kScaleLevels,
                                      kScaleLevels - 1);
        store(codes.at + kBlocks * j + b,
              select(searched, level + F::set(kScaleLevels), F::set(0)));
      }
      scale = fit.scale;
    } else {
      const F peak = largest(scales, b);
      const M alive = ~(peak == F::set(0));
      const F inverse = select(alive, F::set(-kScaleLevels) / peak, F::set(0));
      for (int j = 0; j < kSubBlocks; ++j) {
        const int at = kBlocks * j + b;
        const F level = nearest_level_of_any(inverse * F::load(scales.at + at), -kScaleLevels,
                                             kScaleLevels - 1);
        store(codes.at + at, select(alive, level + F::set(kScaleLevels), F::set(0)));
      }
      scale = select(alive, F::set(1) / inverse, F::set(0));
    }
    const I half = float_to_half(scale);
    store(half_scales + b, half);
    for (int j = 0; j < kSubBlocks; ++j) {
      const int at = kBlocks * j + b;
      store(scales.at + at, half_to_float(half) * (F::load(codes.at + at) - F::set(kScaleLevels)));
    }
  }
  for (int b = 0; b < kBlocks; ++b) {
    BlockQ3_K& block = blocks[b];
    block = {};
    block.scale = static_cast<std::uint16_t>(half_scales[b]);
    std::uint8_t all[kSuperBlock];
    for (int j = 0; j < kSubBlocks; ++j) {
      const int at = kBlocks * j + b;
      const float* values = batch.values[b] + kSubBlock * j;
      std::uint8_t* found = all + kSubBlock * j;
      block.set_scale_code(j, static_cast<int>(codes.at[at]));
      if (!(scales.at[at] == 0)) {
        divide_to_codes(values, scales.at[at], kLevels, found);
      } else if (weighted) {
        searched_codes(values, inverses.at[at], kLevels, found);
      } else {
        for (int i = 0; i < kSubBlock; ++i) {
          found[i] = static_cast<std::uint8_t>(*weights.place(j, i, b) + kLevels);
        }
      }
    }
    block.set_codes(all);
  }
}

void encode(const EncodeInput& in, std::byte* out) noexcept {
  encode_super_blocks<BlockQ3_K>(in, out, encode_batch);
}

// Values 32 * kQuarter ... of one half of a block.
template <int kQuarter>
void decode_quarter(const BlockQ3_K& block, int half, F scale, float* x) {
  for (int i = 0; i < 32; i += kNativeLanes) {
    const int at = 128 * half + 32 * kQuarter + i;
    const I pairs = shift_right<2 * kQuarter>(I::load(block.codes + 32 * half + i)) & I::set(3);
    const I third = where_bits(I::load(block.third_bits + i), 1 << (at / 32), 4);
    const F sub_scale = scale * F::set(static_cast<float>(block.scale_code(at / 16) - 32));
    store(x + at, sub_scale * to_float((pairs | third) - I::set(4)));
  }
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockQ3_K, kSuperBlock>(in, values, out, [](const BlockQ3_K& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    for (int half = 0; half < 2; ++half) {
      decode_quarter<0>(block, half, scale, x);
      decode_quarter<1>(block, half, scale, x);
      decode_quarter<2>(block, half, scale, x);
      decode_quarter<3>(block, half, scale, x);
    }
  });
}

}  // namespace

extern const Kernel q3_k;
const Kernel q3_k{DType::q3_k, encode, decode};

}  // namespace quantize::kernels::QUANTIZE_ISA
