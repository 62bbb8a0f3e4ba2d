// IQ1_S and IQ1_M as encoders; their blocks are described in iq1.hpp.
#include "quant/schemes/iq1.hpp"

#include <array>
#include <limits>

namespace quantize::schemes {
namespace {

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
    point = static_cast<std::uint16_t>(point | d << (2 * (order[at] % 8)));
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
    ternary.points[g] = grid_search::nearest_candidate<8, 2>(grid, code, terms);
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

// One direction for all 32 values.
void find_split(const float* x, const float* weights, Ternary<4>& ternary) noexcept {
  constexpr std::size_t kCount = 32;
  if (largest_magnitude<kCount>(x) < kZeroS) return;
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
        ternary.found = true;
      }
    }
  }
  if (!ternary.found) return;
  ternary.scale = best.scale;
  for (bool& d : ternary.down) d = down;
  set_digits(order, split, ternary);
}

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
void find_split(const float* x, const float* weights, Ternary<2>& ternary) noexcept {
  constexpr std::size_t kCount = 16;
  if (largest_magnitude<kCount>(x) < kZeroM) return;
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
          ternary.found = true;
        }
      }
    }
  }
  if (!ternary.found) return;
  ternary.scale = best.scale;
  set_digits(order, split, ternary);
}

void encode_iq1_s(const Neighbours& grid, const float* x, const float* importance,
                  BlockIQ1_S& block) noexcept {
  const float mean_square = 2 * sum_of_squares(x, kSuperBlock) / 256.0F;
  Ternary<4> ternaries[8];
  for (std::size_t j = 0; j < 8; ++j) {
    const float* values = x + 32 * j;
    float weights[32];
    combine_weights(values, importance + 32 * j, mean_square, 32, weights);
    find_split(values, weights, ternaries[j]);
    if (ternaries[j].found) move_to_grid(grid, values, weights, ternaries[j]);
  }
  finish(grid, ternaries, block);
}

void encode_iq1_m(const Neighbours& grid, const float* x, const float* importance,
                  BlockIQ1_M& block) noexcept {
  float weights[kSuperBlock];
  if (importance) {
    combine_weights(x, importance, 2 * sum_of_squares(x, kSuperBlock) / 256.0F, kSuperBlock,
                    weights);
  } else {
    for (std::size_t e = 0; e < kSuperBlock; ++e) weights[e] = x[e] * x[e];
  }
  Ternary<2> ternaries[16];
  for (std::size_t j = 0; j < 16; ++j) {
    find_split(x + 16 * j, weights + 16 * j, ternaries[j]);
    if (ternaries[j].found) move_to_grid(grid, x + 16 * j, weights + 16 * j, ternaries[j]);
  }
  finish(grid, x, weights, ternaries, block);
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
