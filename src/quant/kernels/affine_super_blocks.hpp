// The encoder that Q2_K, Q4_K and Q5_K share: a scale and a minimum per sub-block, both quantized
// again with a scale of the super-block, then the codes anew from what is stored. A Scheme says
// what differs.
#pragma once

#include "quant/kernels/searches.hpp"
#include "quant/kernels/super_blocks.hpp"

namespace quantize::kernels {
namespace {

// [sub-block][super-block]
template <int kSubBlocks>
struct PerSubBlock {
  alignas(64) float at[kSubBlocks * kBlocks];
};

// The sub-scales `x` of super-blocks b ... as codes: with weights by search, else by the largest.
// Returns the bits of the super-blocks' half.
template <class Scheme, int kSubBlocks>
inline I quantize_scales(const PerSubBlock<kSubBlocks>& x, const PerSubBlock<kSubBlocks>* sums,
                         int b, PerSubBlock<kSubBlocks>& codes) {
  alignas(64) float tile[kSubBlocks * kNativeLanes];
  alignas(64) float weights[kSubBlocks * kNativeLanes];
  alignas(64) float found[kSubBlocks * kNativeLanes];
  for (int j = 0; j < kSubBlocks; ++j) {
    store(tile + j * kNativeLanes, F::load(x.at + kBlocks * j + b));
    if (sums) store(weights + j * kNativeLanes, F::load(sums->at + kBlocks * j + b));
  }
  F scale;
  if (sums) {
    scale = positive_scale<kSubBlocks, F>(tile, weights, Scheme::kScaleTop, found);
  } else {
    const F top = F::set(Scheme::kScaleTop);
    F high = F::set(0);
    for (int j = 0; j < kSubBlocks; ++j) high = max(F::load(tile + j * kNativeLanes), high);
    const M alive = F::set(0) < high;
    const F inverse = select(alive, top / high, F::set(0));
    for (int j = 0; j < kSubBlocks; ++j) {
      const I code = nearest_int(inverse * F::load(tile + j * kNativeLanes));
      store(found + j * kNativeLanes, to_float(Scheme::limit_scale_code(code)));
    }
    scale = select(alive, high / top, F::set(0));
  }
  for (int j = 0; j < kSubBlocks; ++j) {
    store(codes.at + kBlocks * j + b, F::load(found + j * kNativeLanes));
  }
  return float_to_half(scale);
}

template <class Scheme>
inline void encode_affine_batch(const SuperBlocks& batch, bool weighted,
                                typename Scheme::BlockType (&blocks)[kBlocks]) {
  constexpr int kSubBlock = Scheme::kSubBlock;
  using Tile = Tiles<kSubBlock>;
  constexpr int kSubBlocks = Tile::kSubBlocks;
  Tile x;
  Tile weights;
  PerSubBlock<kSubBlocks> scales;
  PerSubBlock<kSubBlocks> mins;
  PerSubBlock<kSubBlocks> sums;
  PerSubBlock<kSubBlocks> inverses;
  PerSubBlock<kSubBlocks> bases;
  x.load(batch.values);
  if (weighted) {
    weights.load(batch.importance);
    combine_weights(x, Scheme::kMeanSquareFactor, weights);
  }
  for (int group = 0; group < Tile::kGroups; ++group) {
    fetch_ahead(batch, group, Tile::kGroups);
    const int at = group * FF::kLanes;
    AffineFit<FF> fit;
    if (weighted) {
      FF sum = FF::set(0);
      for (int i = 0; i < kSubBlock * FF::kLanes; i += FF::kLanes) {
        sum = sum + FF::load(weights.at[group] + i);
      }
      store(sums.at + at, sum);
      fit = scale_and_min<kSubBlock, false, FF>(x.at[group], weights.at[group], Scheme::kTop,
                                                Scheme::kStepsWithImportance);
    } else {
      Scheme::plain_weights(x.at[group], weights.at[group]);
      fit = scale_and_min<kSubBlock, Scheme::kAbsolute, FF>(x.at[group], weights.at[group],
                                                            Scheme::kTop, Scheme::kSteps);
    }
    store(scales.at + at, fit.scale);
    store(mins.at + at, fit.min);
    store(inverses.at + at, fit.inverse);
    store(bases.at + at, fit.base);
  }

  alignas(64) std::int32_t half_scales[kBlocks];
  alignas(64) std::int32_t half_mins[kBlocks];
  PerSubBlock<kSubBlocks> scale_codes;
  PerSubBlock<kSubBlocks> min_codes;
  for (int b = 0; b < kBlocks; b += kNativeLanes) {
    const PerSubBlock<kSubBlocks>* used = weighted ? &sums : nullptr;
    const I half_scale = quantize_scales<Scheme>(scales, used, b, scale_codes);
    const I half_min = quantize_scales<Scheme>(mins, used, b, min_codes);
    store(half_scales + b, half_scale);
    store(half_mins + b, half_min);
    // From here on `scales` and `mins` are what a decoder will use.
    for (int j = 0; j < kSubBlocks; ++j) {
      const int at = kBlocks * j + b;
      Scheme::settle(scale_codes.at + at, min_codes.at + at);
      store(scales.at + at, half_to_float(half_scale) * F::load(scale_codes.at + at));
      store(mins.at + at, half_to_float(half_min) * F::load(min_codes.at + at));
    }
  }

  // Packed once all are there: the packing's wide loads would wait for narrow stores right before.
  alignas(64) std::uint8_t codes[kBlocks][kSuperBlock];
  for (int b = 0; b < kBlocks; ++b) {
    int block_scales[kSubBlocks];
    int block_mins[kSubBlocks];
    for (int j = 0; j < kSubBlocks; ++j) {
      const int at = kBlocks * j + b;
      block_scales[j] = static_cast<int>(scale_codes.at[at]);
      block_mins[j] = static_cast<int>(min_codes.at[at]);
      const float* values = batch.values[b] + kSubBlock * j;
      // A scale of zero keeps the codes that the search had found.
      const bool searched = scales.at[at] == 0;
      const F divisor = F::set(searched ? 1 : scales.at[at]);
      const F min_value = F::set(searched ? -bases.at[at] : mins.at[at]);
      const F inverse = F::set(inverses.at[at]);
      for (int i = 0; i < kSubBlock; i += kNativeLanes) {
        const F shifted = F::load(values + i) + min_value;
        const F level = searched ? inverse * shifted : shifted / divisor;
        store(codes[b] + kSubBlock * j + i,
              min(max(nearest_int(level), I::set(0)), I::set(Scheme::kTop)));
      }
    }
    auto& block = blocks[b];
    block = {};
    block.scale = static_cast<std::uint16_t>(half_scales[b]);
    block.min = static_cast<std::uint16_t>(half_mins[b]);
    Scheme::set_scales(block, block_scales, block_mins);
  }
  for (int b = 0; b < kBlocks; ++b) blocks[b].set_codes(codes[b]);
}

template <class Scheme>
inline void encode_affine_super_blocks(const EncodeInput& in, std::byte* out) {
  encode_super_blocks<typename Scheme::BlockType>(in, out, encode_affine_batch<Scheme>);
}

}  // namespace
}  // namespace quantize::kernels
