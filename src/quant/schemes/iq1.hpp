// The 1-bit grid types: 256 values in 50 bytes (IQ1_S, 1.56 bits per value) or 56 (IQ1_M, 1.75). A
// point is eight ternary digits -1, 0, 1, all shifted up or down by an eighth:
//
//   both    0..31 low bytes of the grid indices, one per 8 values
//   IQ1_S   before them 0..1 scale (half); after, 34..49 per 32 values a word: three more index
//   bits
//           of each group, scale code s of 3 bits, direction of the shift (set: down)
//   IQ1_M   32..47 per 8 values a nibble: three more index bits, direction   48..55 four words of
//           four scale codes of 3 bits (one per 16 values), and a nibble of the scale (half) on top
//
//   value = scale * (2 s + 1) * (digit + shift)
//
// The best split of the sorted values into lowest, middle and highest digits is found by trying
// all: with prefix sums each costs a few operations. Only then the groups move to points of the
// grid.
#pragma once

#include "quant/grid_search.hpp"
#include "quant/grids.hpp"
#include "quant/schemes/grid_blocks.hpp"

namespace quantize::schemes {
namespace {

// Below these magnitudes a sub-block counts as zero.
constexpr float kZeroS = 1e-12F;
constexpr float kZeroM = 1e-7F;
// What digits 0, 1, 2 stand for, shifted up and down.
constexpr float kLevels[2][3] = {{-0.875F, 0.125F, 1.125F}, {-1.125F, -0.125F, 0.875F}};

inline float level(std::uint16_t point, std::size_t e, bool down) noexcept {
  return kLevels[down][grid_search::digit(point, e % 8, 2)];
}

// What a sub-block becomes: a scale >= 0, and per group of eight a point and a direction.
template <std::size_t kGroups>
struct Ternary {
  float scale = 0;
  std::uint16_t points[kGroups] = {};
  bool down[kGroups] = {};
  bool found = false;  // false: it counts as zero
};

inline int grid_index(const Neighbours& grid, std::uint16_t point) noexcept {
  return grid.at(grid.number(point)).index;
}

struct BlockIQ1_S {
  std::uint16_t scale;
  std::uint8_t index_low[32];
  std::uint16_t groups[8];

  float value(float d, std::size_t e) const noexcept {
    const int group = groups[e / 32];
    const int index = index_low[e / 8] | (group >> (3 * (e % 32 / 8)) & 7) << 8;
    return d * static_cast<float>(2 * (group >> 12 & 7) + 1) *
           level(grids::kIq1[index], e, (group & 0x8000) != 0);
  }
};

// Indices, directions and scales, once all sub-blocks are settled. Those without a split keep
// zeros.
inline void finish(const Neighbours& grid, const Ternary<4> (&ternaries)[8],
                   BlockIQ1_S& block) noexcept {
  float largest = 0;
  for (std::size_t j = 0; j < 8; ++j) {
    if (!ternaries[j].found) continue;
    for (std::size_t g = 0; g < 4; ++g) {
      const int index = grid_index(grid, ternaries[j].points[g]);
      block.index_low[4 * j + g] = static_cast<std::uint8_t>(index);
      block.groups[j] = static_cast<std::uint16_t>(block.groups[j] | index >> 8 << (3 * g));
    }
    if (ternaries[j].scale > largest) largest = ternaries[j].scale;
  }
  if (largest == 0) return;
  const float step = largest / 15;
  block.scale = float_to_half(step * 1.125F);
  const float inverse = 1 / step;
  for (std::size_t j = 0; j < 8; ++j) {
    const int code = grid_search::nearest_odd(inverse * ternaries[j].scale, 7);
    const int direction = ternaries[j].down[0] ? 8 : 0;
    block.groups[j] = static_cast<std::uint16_t>(block.groups[j] | (code | direction) << 12);
  }
}

struct BlockIQ1_M {
  std::uint8_t index_low[32];
  std::uint8_t groups[16];
  std::uint16_t scales[4];

  void add_to_group(std::size_t g, int bits) noexcept { set_scale_nibble(groups, g, bits); }
  void add_scale_code(std::size_t j, int code) noexcept {
    scales[j / 4] = static_cast<std::uint16_t>(scales[j / 4] | code << (3 * (j % 4)));
  }
  void set_scale(std::uint16_t half) noexcept {
    for (std::size_t k = 0; k < 4; ++k) {
      scales[k] = static_cast<std::uint16_t>(scales[k] | (half >> (4 * k) & 15) << 12);
    }
  }
  std::uint16_t scale() const noexcept {
    unsigned half = 0;
    for (std::size_t k = 0; k < 4; ++k) half |= static_cast<unsigned>(scales[k] >> 12) << (4 * k);
    return static_cast<std::uint16_t>(half);
  }
  float value(float d, std::size_t e) const noexcept {
    const std::size_t j = e / 16;
    const int group = scale_nibble(groups, e / 8);
    const int index = index_low[e / 8] | (group & 7) << 8;
    return d * static_cast<float>(2 * (scales[j / 4] >> (3 * (j % 4)) & 7) + 1) *
           level(grids::kIq1[index], e, (group & 8) != 0);
  }
};

// The scale is fitted once more, with the codes of the sub-blocks' scales as they will be stored.
inline void finish(const Neighbours& grid, const float* x, const float* weights,
                   const Ternary<2> (&ternaries)[16], BlockIQ1_M& block) noexcept {
  float largest = 0;
  for (std::size_t j = 0; j < 16; ++j) {
    if (!ternaries[j].found) continue;
    for (std::size_t k = 0; k < 2; ++k) {
      const int index = grid_index(grid, ternaries[j].points[k]);
      block.index_low[2 * j + k] = static_cast<std::uint8_t>(index);
      block.add_to_group(2 * j + k, index >> 8);
    }
    if (ternaries[j].scale > largest) largest = ternaries[j].scale;
  }
  if (largest == 0) return;
  float step = largest / 15;
  const float inverse = 1 / step;
  float sum_qx = 0;
  float sum_q2 = 0;
  for (std::size_t j = 0; j < 16; ++j) {
    const Ternary<2>& ternary = ternaries[j];
    const int code = grid_search::nearest_odd(inverse * ternary.scale, 7);
    block.add_scale_code(j, code);
    for (std::size_t k = 0; k < 2; ++k) block.add_to_group(2 * j + k, ternary.down[k] ? 8 : 0);
    for (std::size_t i = 0; i < 16; ++i) {
      const std::size_t e = 16 * j + i;
      const float q =
          level(ternary.points[i / 8], i, ternary.down[i / 8]) * static_cast<float>(2 * code + 1);
      sum_qx = sum_qx + weights[e] * q * x[e];
      sum_q2 = sum_q2 + weights[e] * q * q;
    }
  }
  if (sum_q2 > 0) step = sum_qx / sum_q2;
  block.set_scale(float_to_half(step * 1.1125F));
}

}  // namespace
}  // namespace quantize::schemes
