// Blocks from all rows of an EncodeInput, handed to a kernel in fixed numbers, so that the lanes
// are full on short rows too. A last, short batch is filled up with blocks of zeros whose results
// are dropped; lanes are independent, so they reach nothing.
#pragma once

#include <cstring>

#include "quantize/quantizer.hpp"

namespace quantize::kernels {
namespace {

template <int kCount>
struct Batch {
  const float* values[kCount];
  const float* importance[kCount];  // meaningful only if the input has importance weights
  float statistic[kCount];
  const float* next;  // the values of the next batch, all of them; null at the end
};

alignas(64) constexpr float kZeros[256] = {};

// encode_batch(const Batch<kCount>&, Block (&)[kCount]) sets every byte of its blocks.
template <class Block, int kBlockValues, int kCount, class EncodeBatch>
inline void for_each_batch(const EncodeInput& in, std::byte* out, EncodeBatch encode_batch) {
  static_assert(kBlockValues <= 256);
  Batch<kCount> batch;
  Block blocks[kCount];
  int count = 0;
  std::uint64_t left = in.rows * in.row_values;
  const auto flush = [&] {
    constexpr std::uint64_t kBatchValues = std::uint64_t{kCount} * kBlockValues;
    left -= left < kBatchValues ? left : kBatchValues;
    batch.next = left < kBatchValues ? nullptr : batch.values[kCount - 1] + kBlockValues;
    for (int i = count; i < kCount; ++i) {
      batch.values[i] = kZeros;
      batch.importance[i] = kZeros;
      batch.statistic[i] = 0;
    }
    encode_batch(batch, blocks);
    std::memcpy(out, blocks, sizeof(Block) * static_cast<std::size_t>(count));
    out += sizeof(Block) * static_cast<std::size_t>(count);
    count = 0;
  };
  for (std::uint64_t row = 0; row < in.rows; ++row) {
    const float* values = in.values + row * in.row_values;
    for (std::uint64_t at = 0; at < in.row_values; at += kBlockValues) {
      batch.values[count] = values + at;
      batch.importance[count] = in.importance ? in.importance + at : kZeros;
      batch.statistic[count] = in.row_statistic ? in.row_statistic[row] : 0.0F;
      if (++count == kCount) flush();
    }
  }
  if (count != 0) flush();
}

}  // namespace
}  // namespace quantize::kernels
