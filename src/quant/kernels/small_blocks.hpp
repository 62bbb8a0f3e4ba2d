// Blocks of 32 values, one per lane while a block's scale is sought; codes are then computed along
// each block.
#pragma once

#include "quant/kernels/batch.hpp"
#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

constexpr int kSmallBlock = 32;
constexpr int kSmallBlocks = FF::kLanes;
using SmallBlocks = Batch<kSmallBlocks>;

struct SmallTile {
  alignas(64) float at[kSmallBlock * kSmallBlocks];

  void load(const float* const (&blocks)[kSmallBlocks]) {
    transpose_rows<FF, kSmallBlock>(blocks, at);
  }
  FF value(int i) const { return FF::load(at + i * kSmallBlocks); }
};

// The codes of all blocks, packed once all are there: the packing's wide loads would wait for the
// narrow stores right before them.
struct SmallCodes {
  alignas(64) std::uint8_t at[kSmallBlocks * kSmallBlock];

  std::uint8_t* of(int block) { return at + kSmallBlock * block; }
  template <class Block>
  void set(Block (&blocks)[kSmallBlocks]) {
    for (int b = 0; b < kSmallBlocks; ++b) blocks[b].codes.set(of(b));
  }
};

// importance * sqrt(mean square of the row + x^2)
inline void combine_weights(const SmallTile& x, const SmallBlocks& batch, SmallTile& weights) {
  weights.load(batch.importance);
  const FF mean_square = FF::load(batch.statistic);
  for (int i = 0; i < kSmallBlock; ++i) {
    const FF v = x.value(i);
    store(weights.at + i * kSmallBlocks, weights.value(i) * sqrt(mean_square + v * v));
  }
}

// Mean squares of up to kNativeLanes rows, each summed in order.
inline void mean_squares(const float* values, std::uint64_t rows, std::uint64_t row_values,
                         float* out) {
  const float* at[kNativeLanes];
  for (int lane = 0; lane < kNativeLanes; ++lane) {
    const auto row = static_cast<std::uint64_t>(lane);
    at[lane] = values + (row < rows ? row : 0) * row_values;
  }
  alignas(64) float tile[kNativeLanes * kNativeLanes];
  F sum = F::set(0);
  for (std::uint64_t column = 0; column < row_values; column += kNativeLanes) {
    transpose(at, 0, tile, kNativeLanes);
    for (int i = 0; i < kNativeLanes; ++i) {
      const F v = F::load(tile + i * kNativeLanes);
      sum = sum + v * v;
    }
    for (const float*& p : at) p += kNativeLanes;
  }
  store(out, sum / F::set(static_cast<float>(row_values)));
}

// for_each_batch for types whose weights need the mean square of the row: taken here for many rows
// at once, unless the rows are pieces of longer ones and it was handed in.
template <class Block, class EncodeBatch>
inline void for_each_small_batch(const EncodeInput& in, std::byte* out, EncodeBatch encode_batch) {
  if (!in.importance || in.row_statistic) {
    for_each_batch<Block, kSmallBlock, kSmallBlocks>(in, out, encode_batch);
    return;
  }
  for (std::uint64_t row = 0; row < in.rows; row += kNativeLanes) {
    EncodeInput some = in;
    some.values = in.values + row * in.row_values;
    some.rows = in.rows - row < kNativeLanes ? in.rows - row : kNativeLanes;
    alignas(64) float statistic[kNativeLanes];
    mean_squares(some.values, some.rows, in.row_values, statistic);
    some.row_statistic = statistic;
    for_each_batch<Block, kSmallBlock, kSmallBlocks>(some, out, encode_batch);
    out += some.rows * (in.row_values / kSmallBlock) * sizeof(Block);
  }
}

// The low byte, sign-extended: what a C cast to int8_t keeps.
inline I low_byte(I value) { return ((value & I::set(255)) ^ I::set(128)) - I::set(128); }

}  // namespace
}  // namespace quantize::kernels
