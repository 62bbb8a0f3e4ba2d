// Sixteen super-blocks of 256 values side by side. Sub-block j of super-block b is number 16 * j +
// b, so that what a search finds per sub-block lies, as [sub-block][super-block], ready for
// searches over the super-blocks' own sub-scales.
#pragma once

#include "quant/kernels/batch.hpp"
#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

constexpr int kBlocks = 16;
constexpr int kSuperBlock = 256;
using SuperBlocks = Batch<kBlocks>;

// Asks memory for one of `parts` of the next batch, to be called between searches: loading a batch
// reads from sixteen places at once, which hardware does not foresee.
inline void fetch_ahead(const SuperBlocks& batch, int part, int parts) noexcept {
  if (batch.next == nullptr) return;
  const int count = kBlocks * kSuperBlock / parts;
  for (int i = 0; i < count; i += 16) __builtin_prefetch(batch.next + part * count + i, 0, 2);
}

// All values, or all weights, with one sub-block per lane.
template <int kSubBlock>
struct Tiles {
  static constexpr int kSubBlocks = kSuperBlock / kSubBlock;
  static constexpr int kGroups = kSubBlocks * kBlocks / FF::kLanes;
  alignas(64) float at[kGroups][kSubBlock * FF::kLanes];

  void load(const float* const (&blocks)[kBlocks]) {
    for (int group = 0; group < kGroups; ++group) {
      const float* rows[FF::kLanes];
      for (int lane = 0; lane < FF::kLanes; ++lane) {
        const int number = group * FF::kLanes + lane;
        rows[lane] = blocks[number % kBlocks] + kSubBlock * (number / kBlocks);
      }
      transpose_rows<FF, kSubBlock>(rows, at[group]);
    }
  }

  // Value i of sub-block j, for super-blocks b ... b + kNativeLanes - 1.
  const float* place(int j, int i, int b) const {
    const int number = kBlocks * j + b;
    return at[number / FF::kLanes] + i * FF::kLanes + number % FF::kLanes;
  }
};

// For code that takes FF::kLanes numbers starting at any sub-block: the per-super-block figure
// twice.
struct PerBlock {
  alignas(64) float at[2 * kBlocks];

  void set(int b, F value) {
    store(at + b, value);
    store(at + kBlocks + b, value);
  }
  FF of_group(int group) const { return FF::load(at + group * FF::kLanes % kBlocks); }
};

// The sum of squares of each super-block, in order.
template <int kSubBlock>
inline F sum_of_squares(const Tiles<kSubBlock>& x, int b) {
  F sum = F::set(0);
  for (int j = 0; j < Tiles<kSubBlock>::kSubBlocks; ++j) {
    for (int i = 0; i < kSubBlock; ++i) {
      const F v = F::load(x.place(j, i, b));
      sum = sum + v * v;
    }
  }
  return sum;
}

// Turns the importance in `weights` into importance * sqrt(mean square + x^2).
template <int kSubBlock>
inline void combine_weights(const Tiles<kSubBlock>& x, const PerBlock& mean_square,
                            Tiles<kSubBlock>& weights) {
  for (int group = 0; group < Tiles<kSubBlock>::kGroups; ++group) {
    const FF mean = mean_square.of_group(group);
    for (int i = 0; i < kSubBlock * FF::kLanes; i += FF::kLanes) {
      const FF v = FF::load(x.at[group] + i);
      store(weights.at[group] + i, FF::load(weights.at[group] + i) * sqrt(mean + v * v));
    }
  }
}

// With (factor * sum of squares) / 256.
template <int kSubBlock>
inline void combine_weights(const Tiles<kSubBlock>& x, float factor, Tiles<kSubBlock>& weights) {
  PerBlock mean_square;
  for (int b = 0; b < kBlocks; b += kNativeLanes) {
    mean_square.set(b, F::set(factor) * sum_of_squares(x, b) / F::set(256));
  }
  combine_weights(x, mean_square, weights);
}

// encode_batch(batch, weighted, blocks) over all blocks of `in`.
template <class Block, class EncodeBatch>
inline void encode_super_blocks(const EncodeInput& in, std::byte* out, EncodeBatch encode_batch) {
  const bool weighted = in.importance != nullptr;
  for_each_batch<Block, kSuperBlock, kBlocks>(
      in, out, [weighted, encode_batch](const SuperBlocks& batch, Block(&blocks)[kBlocks]) {
        encode_batch(batch, weighted, blocks);
      });
}

}  // namespace
}  // namespace quantize::kernels
