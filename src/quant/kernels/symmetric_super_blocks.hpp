// What Q3_K and Q6_K share: sixteen sub-blocks of 16 values with a scale each and no minimum.
#pragma once

#include "quant/kernels/searches.hpp"
#include "quant/kernels/super_blocks.hpp"

namespace quantize::kernels {
namespace {

constexpr int kSubBlock = 16;
constexpr int kSubBlocks = 16;
using Tile = Tiles<kSubBlock>;

// [sub-block][super-block]
struct PerSubBlock {
  alignas(64) float at[kSubBlocks * kBlocks];
};

// The value of largest magnitude, the first of equals, among the sub-blocks of super-blocks b ...
inline F largest(const PerSubBlock& x, int b) {
  F magnitude = F::set(0);
  F found = F::set(0);
  for (int j = 0; j < kSubBlocks; ++j) {
    const F v = F::load(x.at + kBlocks * j + b);
    const M larger = magnitude < abs(v);
    magnitude = select(larger, abs(v), magnitude);
    found = select(larger, v, found);
  }
  return found;
}

// Codes 0 .. 2 * levels - 1 of one sub-block: nearest to x / scale.
inline void divide_to_codes(const float* x, float scale, int levels, std::uint8_t* codes) {
  for (int i = 0; i < kSubBlock; i += kNativeLanes) {
    const I level = nearest_int(F::load(x + i) / F::set(scale));
    store(codes + i, min(max(level, I::set(-levels)), I::set(levels - 1)) + I::set(levels));
  }
}

// The codes that symmetric_scale had found; all 0 where there was nothing to search.
inline void searched_codes(const float* x, float inverse, int levels, std::uint8_t* codes) {
  for (int i = 0; i < kSubBlock; ++i) {
    const int level = search::clamp(search::nearest_int(inverse * x[i]), -levels, levels - 1);
    codes[i] = static_cast<std::uint8_t>(inverse == 0 ? 0 : level + levels);
  }
}

}  // namespace
}  // namespace quantize::kernels
