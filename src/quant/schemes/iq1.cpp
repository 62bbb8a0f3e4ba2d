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
#include <array>
#include <limits>

#include "quant/grid_search.hpp"
#include "quant/grids.hpp"
#include "quant/schemes/grid_blocks.hpp"

namespace quantize::schemes {
namespace {

using grid_search::digit;

constexpr unsigned kBits = 2;
// What digits 0, 1, 2 stand for, shifted up and down.
constexpr float kLevels[2][3] = {{-0.875F, 0.125F, 1.125F}, {-1.125F, -0.125F, 0.875F}};

float level(std::uint16_t point, std::size_t e, bool down) noexcept {
  return kLevels[down][digit(point, e % 8, kBits)];
}

// Indices of the values in ascending order, equal ones (zeros of both signs too) as they come.
template <std::size_t kCount>
std::array<std::uint8_t, kCount> ascending(const float* x) noexcept {
  std::array<std::uint8_t, kCount> order;
  for (std::size_t i = 0; i < kCount; ++i) {
    std::size_t at = i;
    for (; at > 0 && x[i] < x[order[at - 1]]; --at) order[at] = order[at - 1];
    order[at] = static_cast<std::uint8_t>(i);
  }
  return order;
}

// What a sub-block becomes: a scale >= 0, and per group of eight a point and a direction.
template <std::size_t kGroups>
struct Ternary {
  float scale = 0;
  std::uint16_t points[kGroups] = {};
  bool down[kGroups] = {};
};

// A split of sorted values: below `first` digit 0, below `second` digit 1, the others 2.
struct Split {
  std::size_t first = 0;
  std::size_t second = 0;
};

template <std::size_t kGroups>
void set_digits(const std::array<std::uint8_t, 8 * kGroups>& order, const Split& split,
                Ternary<kGroups>& ternary) noexcept {
  const bool mirrored = ternary.scale < 0;
  for (std::size_t at = 0; at < order.size(); ++at) {
    const unsigned upward = at < split.first ? 0 : at < split.second ? 1 : 2;
    const unsigned d = mirrored ? 2 - upward : upward;
    std::uint16_t& point = ternary.points[order[at] / 8];
    point = static_cast<std::uint16_t>(point | d << (kBits * (order[at] % 8)));
  }
  if (mirrored) {
    ternary.scale = -ternary.scale;
    for (bool& down : ternary.down) down = !down;
  }
}

// Groups whose digits are no point take the nearest of their candidates; then the scale is fitted
// anew.
template <std::size_t kGroups>
void move_to_grid(const Neighbours& grid, const float* x, const float* weights,
                  Ternary<kGroups>& ternary) noexcept {
  bool moved = false;
  for (std::size_t g = 0; g < kGroups; ++g) {
    const Neighbours::Code& code = grid.at(grid.number(ternary.points[g]));
    if (code.index >= 0) continue;
    moved = true;
    float terms[8][4] = {};
    for (std::size_t i = 0; i < 8; ++i) {
      for (std::size_t d = 0; d < 3; ++d) {
        const float error = ternary.scale * kLevels[ternary.down[g]][d] - x[8 * g + i];
        terms[i][d] = weights[8 * g + i] * error * error;
      }
    }
    ternary.points[g] = grid_search::nearest_candidate<8, kBits>(grid, code, terms);
  }
  if (!moved) return;
  float sum_qx = 0;
  float sum_q2 = 0;
  for (std::size_t e = 0; e < 8 * kGroups; ++e) {
    const float q = level(ternary.points[e / 8], e, ternary.down[e / 8]);
    sum_qx = sum_qx + weights[e] * q * x[e];
    sum_q2 = sum_q2 + weights[e] * q * q;
  }
  if (sum_qx > 0 && sum_q2 > 0) ternary.scale = sum_qx / sum_q2;
}

template <std::size_t kCount>
float largest_magnitude(const float* x) noexcept {
  float largest = std::fabs(x[0]);
  for (std::size_t i = 1; i < kCount; ++i) {
    const float magnitude = std::fabs(x[i]);
    if (magnitude > largest) largest = magnitude;
  }
  return largest;
}

int grid_index(const Neighbours& grid, std::uint16_t point) noexcept {
  return grid.at(grid.number(point)).index;
}

// The better fit is the larger sum_qx^2 / sum_q2.
struct Best {
  float scale = 0;
  float score = -std::numeric_limits<float>::max();

  bool improve(float sum_qx, float sum_q2) noexcept {
    if (!(sum_q2 > 0 && sum_qx * sum_qx > score * sum_q2)) return false;
    scale = sum_qx / sum_q2;
    score = scale * sum_qx;
    return true;
  }
};

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

// One direction for all 32 values.
bool find_split(const float* x, const float* weights, Ternary<4>& ternary) noexcept {
  constexpr std::size_t kCount = 32;
  if (largest_magnitude<kCount>(x) < 1e-12F) return false;
  const auto order = ascending<kCount>(x);
  float sum_x[kCount + 1] = {};
  float sum_w[kCount + 1] = {};
  for (std::size_t at = 0; at < kCount; ++at) {
    const std::size_t i = order[at];
    sum_x[at + 1] = sum_x[at] + weights[i] * x[i];
    sum_w[at + 1] = sum_w[at] + weights[i];
  }
  Best best;
  Split split;
  bool down = false;
  bool found = false;
  for (std::size_t first = 0; first <= kCount; ++first) {
    for (std::size_t second = first; second <= kCount; ++second) {
      for (const bool try_down : {false, true}) {
        const float(&v)[3] = kLevels[try_down];
        const float sum_qx = sum_x[first] * v[0] + (sum_x[second] - sum_x[first]) * v[1] +
                             (sum_x[kCount] - sum_x[second]) * v[2];
        const float sum_q2 = sum_w[first] * v[0] * v[0] +
                             (sum_w[second] - sum_w[first]) * v[1] * v[1] +
                             (sum_w[kCount] - sum_w[second]) * v[2] * v[2];
        if (!best.improve(sum_qx, sum_q2)) continue;
        split = {first, second};
        down = try_down;
        found = true;
      }
    }
  }
  if (!found) return false;
  ternary.scale = best.scale;
  for (bool& d : ternary.down) d = down;
  set_digits(order, split, ternary);
  return true;
}

void encode_iq1_s(const Neighbours& grid, const float* x, const float* importance,
                  BlockIQ1_S& block) noexcept {
  constexpr std::size_t kSubBlocks = 8;
  const float mean_square = 2 * sum_of_squares(x, kSuperBlock) / 256.0F;
  Ternary<4> ternaries[kSubBlocks];
  float largest = 0;
  for (std::size_t j = 0; j < kSubBlocks; ++j) {
    const float* values = x + 32 * j;
    float weights[32];
    combine_weights(values, importance + 32 * j, mean_square, 32, weights);
    if (!find_split(values, weights, ternaries[j])) continue;
    move_to_grid(grid, values, weights, ternaries[j]);
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
  for (std::size_t j = 0; j < kSubBlocks; ++j) {
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

// Sums over one half of 16 sorted values: those before each place, the other half's left out.
struct HalfSums {
  float x[17] = {};
  float w[17] = {};

  // Of w x q and w q q at a split and a direction.
  float qx(const Split& split, bool down) const noexcept {
    return x[16] * kLevels[down][2] - (x[split.first] + x[split.second]);
  }
  float q2(const Split& split, bool down) const noexcept {
    const float(&v)[3] = kLevels[down];
    return w[16] * v[2] * v[2] + w[split.first] * (v[0] * v[0] - v[1] * v[1]) +
           w[split.second] * (v[1] * v[1] - v[2] * v[2]);
  }
};

// A direction for each eight of 16 values.
bool find_split(const float* x, const float* weights, Ternary<2>& ternary) noexcept {
  constexpr std::size_t kCount = 16;
  if (largest_magnitude<kCount>(x) < 1e-7F) return false;
  const auto order = ascending<kCount>(x);
  HalfSums halves[2];
  for (std::size_t at = 0; at < kCount; ++at) {
    const std::size_t i = order[at];
    for (std::size_t h = 0; h < 2; ++h) {
      HalfSums& half = halves[h];
      const bool here = i / 8 == h;
      half.x[at + 1] = here ? half.x[at] + weights[i] * x[i] : half.x[at];
      half.w[at + 1] = here ? half.w[at] + weights[i] : half.w[at];
    }
  }
  Best best;
  Split split;
  bool found = false;
  for (std::size_t first = 0; first <= kCount; ++first) {
    for (std::size_t second = first; second <= kCount; ++second) {
      const Split here{first, second};
      for (const bool down_0 : {false, true}) {
        for (const bool down_1 : {false, true}) {
          if (!best.improve(halves[0].qx(here, down_0) + halves[1].qx(here, down_1),
                            halves[0].q2(here, down_0) + halves[1].q2(here, down_1))) {
            continue;
          }
          split = here;
          ternary.down[0] = down_0;
          ternary.down[1] = down_1;
          found = true;
        }
      }
    }
  }
  if (!found) return false;
  ternary.scale = best.scale;
  set_digits(order, split, ternary);
  return true;
}

void encode_iq1_m(const Neighbours& grid, const float* x, const float* importance,
                  BlockIQ1_M& block) noexcept {
  constexpr std::size_t kSubBlocks = 16;
  float weights[kSuperBlock];
  if (importance) {
    combine_weights(x, importance, 2 * sum_of_squares(x, kSuperBlock) / 256.0F, kSuperBlock,
                    weights);
  } else {
    for (std::size_t e = 0; e < kSuperBlock; ++e) weights[e] = x[e] * x[e];
  }
  Ternary<2> ternaries[kSubBlocks];
  float largest = 0;
  for (std::size_t j = 0; j < kSubBlocks; ++j) {
    if (!find_split(x + 16 * j, weights + 16 * j, ternaries[j])) continue;
    move_to_grid(grid, x + 16 * j, weights + 16 * j, ternaries[j]);
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
  for (std::size_t j = 0; j < kSubBlocks; ++j) {
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

template <class Block, void (*kEncodeBlock)(const Neighbours&, const float*, const float*, Block&)>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  const Neighbours& grid = neighbours_iq1();
  for_each_block<Block, kSuperBlock>(
      in, out, [&grid](const float* x, const float* importance, float, Block& block) {
        kEncodeBlock(grid, x, importance, block);
      });
}

}  // namespace

extern const Quantizer iq1_s;
extern const Quantizer iq1_m;
const Quantizer iq1_s = grid_quantizer<BlockIQ1_S, 50>(DType::iq1_s, ImportanceUse::required,
                                                       encode<BlockIQ1_S, encode_iq1_s>);
const Quantizer iq1_m = grid_quantizer<BlockIQ1_M, 56>(DType::iq1_m, ImportanceUse::optional,
                                                       encode<BlockIQ1_M, encode_iq1_m>);

}  // namespace quantize::schemes
