// What the 2- and 3-bit grid types share. A super-block of 256 values is cut into sub-blocks, each
// with a scale. Signs are taken apart; groups of eight or four magnitudes become points of a grid,
// whose digits d stand for the odd levels 2 d + 1 during the search. The scales are stored as odd
// multiples of a step as well.
//
// A type is described by its block, which has, besides its fields and set():
//   kSubBlock, kDigits, kBits      values that share a scale, digits of a point, bits of a digit
//   kTopLevel, kStep, kSteps       the largest value is tried at kTopLevel + k kStep, |k| <= kSteps
//   kZero                          below it a sub-block counts as all zero
//   kSecondPass                    which groups get new points at the scale that was found
//   kEvenSigns                     only seven of eight signs are stored, an even number is negative
//   kFirstFit                      a scale is fitted without the grid, and the tries start from it
//   kMeanSquares                   multiple of the mean square in weights with importance
//   kScaleFactor                   correction of the stored scale
//   kPlainMeanShare                of the mean square that is added to weights without importance
//   kHasQuirk                      the reference has its own way with zeros: close_gaps()
//   neighbours()
// Float sums run in index order, every operator rounds once: the order is the definition of the
// bytes.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "quant/blocks.hpp"
#include "quant/neighbours.hpp"
#include "quant/searches.hpp"

namespace quantize::grid_search {
namespace {

enum class SecondPass : std::uint8_t {
  off_grid_groups,           // those whose digits were no point, at the scale that was accepted
  all_groups_if_any_is_off,  // all, if there was one such
  all_groups,
};

inline unsigned digit(std::uint16_t point, std::size_t i, unsigned bits) noexcept {
  return static_cast<unsigned>(point) >> (bits * i) & ((1U << bits) - 1);
}

// The c in 0 .. top whose odd number 2 c + 1 is nearest.
inline int nearest_odd(float value, int top) noexcept {
  return search::clamp(search::nearest_int(0.5F * (value - 1)), 0, top);
}

// The candidate with the smallest sum of terms[i][digit i], the first among equals.
template <std::size_t kDigits, unsigned kBits>
std::uint16_t nearest_candidate(const Neighbours& grid, const Neighbours::Code& code,
                                const float (&terms)[kDigits][std::size_t{1} << kBits]) noexcept {
  const std::uint16_t* list = grid.candidates(code)->points;
  std::uint16_t nearest = list[0];
  float smallest = std::numeric_limits<float>::max();
  for (int k = 0; k < code.count; ++k) {
    float distance = 0;
    for (std::size_t i = 0; i < kDigits; ++i)
      distance = distance + terms[i][digit(list[k], i, kBits)];
    if (distance < smallest) {
      smallest = distance;
      nearest = list[k];
    }
  }
  return nearest;
}

// Magnitudes of eight values, and their signs: bit i set where value i is negative. Where only even
// numbers of signs can be stored, the value that costs least gives in and its magnitude becomes
// negative; the eighth bit is then implied.
inline std::uint8_t take_signs(const float* x, const float* weights, bool even,
                               float* magnitudes) noexcept {
  unsigned signs = 0;
  for (int i = 0; i < 8; ++i) {
    const bool negative = !(x[i] >= 0);
    magnitudes[i] = negative ? -x[i] : x[i];
    signs |= static_cast<unsigned>(negative) << i;
  }
  if (!even) return static_cast<std::uint8_t>(signs);
  if ((std::popcount(signs) & 1) != 0) {
    int cheapest = 0;
    float smallest = weights[0] * x[0] * x[0];
    for (int i = 1; i < 8; ++i) {
      const float energy = weights[i] * x[i] * x[i];
      if (energy < smallest) {
        smallest = energy;
        cheapest = i;
      }
    }
    magnitudes[cheapest] = -magnitudes[cheapest];
    signs ^= 1U << cheapest;
  }
  return static_cast<std::uint8_t>(signs & 127U);
}

// One sub-block as it will be stored.
template <class Block>
struct SubBlock {
  static constexpr std::size_t kGroups = Block::kSubBlock / Block::kDigits;
  float scale;
  std::uint16_t indices[kGroups];
  std::uint8_t signs[Block::kSubBlock / 8];
};

// The magnitudes of a sub-block, and what points say about them at a scale.
template <class Block>
class PointChooser {
 public:
  static constexpr std::size_t kGroups = SubBlock<Block>::kGroups;
  struct Choice {
    std::uint16_t points[kGroups] = {};
    bool on_grid[kGroups] = {};
  };
  struct Fit {  // sums of w x q and w q q over the levels q of a choice
    float xq = 0;
    float qq = 0;
  };

  PointChooser(const Neighbours& grid, const float* magnitudes, const float* weights) noexcept
      : grid_(grid), x_(magnitudes), weights_(weights) {
    for (std::size_t i = 0; i < Block::kSubBlock; ++i) roots_[i] = std::sqrt(weights[i]);
  }

  // The digits nearest to group g, if they are a point; otherwise the nearest of its candidates.
  void choose(std::size_t g, float inverse, float scale, Choice& choice) const noexcept {
    const float* x = x_ + Block::kDigits * g;
    const float* roots = roots_ + Block::kDigits * g;
    unsigned packed = 0;
    for (std::size_t i = 0; i < Block::kDigits; ++i) {
      packed |= static_cast<unsigned>(nearest_odd(inverse * x[i], kTopDigit)) << (Block::kBits * i);
    }
    choice.points[g] = static_cast<std::uint16_t>(packed);
    const Neighbours::Code& code = grid_.at(grid_.number(choice.points[g]));
    choice.on_grid[g] = code.index >= 0;
    if (choice.on_grid[g]) return;
    float terms[Block::kDigits][std::size_t{1} << Block::kBits] = {};
    for (std::size_t i = 0; i < Block::kDigits; ++i) {
      for (int d = 0; d <= kTopDigit; ++d) {
        const float error = scale * static_cast<float>(2 * d + 1) - x[i];
        terms[i][d] = roots[i] * error * error;
      }
    }
    choice.points[g] = nearest_candidate<Block::kDigits, Block::kBits>(grid_, code, terms);
  }

  Fit fit(const Choice& choice) const noexcept {
    Fit sums;
    for (std::size_t e = 0; e < Block::kSubBlock; ++e) {
      const unsigned d = digit(choice.points[e / Block::kDigits], e % Block::kDigits, Block::kBits);
      const auto level = static_cast<float>(2 * d + 1);
      sums.xq = sums.xq + weights_[e] * x_[e] * level;
      sums.qq = sums.qq + weights_[e] * level * level;
    }
    return sums;
  }

 private:
  static constexpr int kTopDigit = Block::kBits == 2 ? 2 : 7;

  const Neighbours& grid_;
  const float* x_;
  const float* weights_;
  float roots_[Block::kSubBlock];
};

// False if the sub-block counts as zero: then nothing of it is stored.
template <class Block>
bool find_sub_block(const Neighbours& grid, const float* x, const float* weights,
                    SubBlock<Block>& found) noexcept {
  using Chooser = PointChooser<Block>;
  constexpr std::size_t kGroups = Chooser::kGroups;
  float magnitudes[Block::kSubBlock];
  for (std::size_t k = 0; k < Block::kSubBlock / 8; ++k) {
    found.signs[k] = take_signs(x + 8 * k, weights + 8 * k, Block::kEvenSigns, magnitudes + 8 * k);
  }
  float reach = magnitudes[0];
  for (std::size_t i = 1; i < Block::kSubBlock; ++i)
    reach = magnitudes[i] > reach ? magnitudes[i] : reach;
  if (reach < Block::kZero) return false;
  float scale = reach / Block::kTopLevel;
  if constexpr (Block::kFirstFit) {
    std::uint8_t codes[Block::kSubBlock];
    scale =
        search::positive_scale(static_cast<int>(Block::kSubBlock), 4, magnitudes, weights, codes);
    reach = scale * 3;
    if (!(reach > 0)) return false;
  }

  const Chooser chooser(grid, magnitudes, weights);
  typename Chooser::Choice best_choice;
  for (bool& on_grid : best_choice.on_grid) {
    on_grid = Block::kSecondPass == SecondPass::off_grid_groups;
  }
  float best = 0;
  for (int k = -Block::kSteps; k <= Block::kSteps; ++k) {
    const float inverse = (Block::kTopLevel + static_cast<float>(k) * Block::kStep) / reach;
    typename Chooser::Choice choice;
    for (std::size_t g = 0; g < kGroups; ++g) chooser.choose(g, inverse, 1 / inverse, choice);
    const auto sums = chooser.fit(choice);
    if (sums.qq > 0 && sums.xq * sums.xq > best * sums.qq) {
      scale = sums.xq / sums.qq;
      best = scale * sums.xq;
      best_choice = choice;
    }
  }

  bool again[kGroups];
  bool any = false;
  for (std::size_t g = 0; g < kGroups; ++g) {
    again[g] = Block::kSecondPass == SecondPass::all_groups || !best_choice.on_grid[g];
    any = any || again[g];
  }
  if (any && scale > 0) {
    const float inverse = 1 / scale;
    for (std::size_t g = 0; g < kGroups; ++g) {
      if (again[g] || Block::kSecondPass == SecondPass::all_groups_if_any_is_off) {
        chooser.choose(g, inverse, scale, best_choice);
      }
    }
    const auto sums = chooser.fit(best_choice);
    if (sums.qq > 0) scale = sums.xq / sums.qq;
  }
  if (scale < 0) {
    scale = -scale;
    for (std::uint8_t& signs : found.signs) {
      signs = static_cast<std::uint8_t>(~signs & (Block::kEvenSigns ? 127 : 255));
    }
  }
  found.scale = scale;
  for (std::size_t g = 0; g < kGroups; ++g) {
    found.indices[g] =
        static_cast<std::uint16_t>(grid.at(grid.number(best_choice.points[g])).index);
  }
  return true;
}

// The end of a super-block: its scale, and the codes of its sub-blocks'. The codes follow from the
// float step, not from the half that is stored.
template <class Block>
void set_scales(const float* scales, Block& block) noexcept {
  constexpr std::size_t kSubBlocks = schemes::kSuperBlock / Block::kSubBlock;
  float largest = 0;
  for (std::size_t j = 0; j < kSubBlocks; ++j) largest = largest > scales[j] ? largest : scales[j];
  if (largest == 0) {
    if constexpr (Block::kEvenSigns) block = {};
    return;
  }
  const float step = largest / 31;
  block.scale = float_to_half(step * Block::kScaleFactor);
  const float inverse = 1 / step;
  for (std::size_t j = 0; j < kSubBlocks; ++j) {
    block.set_scale_code(j, nearest_odd(inverse * scales[j], 15));
  }
}

// Encodes 256 values. Bit j of the result is set if sub-block j counted as zero.
template <class Block>
unsigned encode_block(const Neighbours& grid, const float* x, const float* importance,
                      Block& block) noexcept {
  using schemes::kSuperBlock;
  constexpr std::size_t kSubBlocks = kSuperBlock / Block::kSubBlock;
  const float mean_square = Block::kMeanSquares * schemes::sum_of_squares(x, kSuperBlock) / 256.0F;
  unsigned zeros = 0;
  float scales[kSubBlocks] = {};
  for (std::size_t j = 0; j < kSubBlocks; ++j) {
    const float* values = x + Block::kSubBlock * j;
    float weights[Block::kSubBlock];
    if (importance) {
      schemes::combine_weights(values, importance + Block::kSubBlock * j, mean_square,
                               static_cast<int>(Block::kSubBlock), weights);
    } else {
      for (std::size_t i = 0; i < Block::kSubBlock; ++i) {
        weights[i] = values[i] * values[i];
        if (Block::kPlainMeanShare != 0) {
          weights[i] = Block::kPlainMeanShare * mean_square + weights[i];
        }
      }
    }
    SubBlock<Block> found;
    if (find_sub_block(grid, values, weights, found)) {
      block.set(j, found);
      scales[j] = found.scale;
    } else {
      zeros |= 1U << j;
    }
  }
  set_scales(scales, block);
  return zeros;
}

}  // namespace
}  // namespace quantize::grid_search
