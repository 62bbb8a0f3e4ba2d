// The 3-bit grid types: 256 values in 98 bytes (IQ3_XXS, 3.06 bits per value) or 110 (IQ3_S, 3.44).
// A point of four magnitudes, their signs, a 4-bit scale code s for 32 values:
//
//   both     0..1 scale (half)   2..65 (low bytes of) the grid indices
//   IQ3_XXS  66..97 per 32 values a word of four 7-bit sign codes and s
//            value = scale * (s + 1/2) / 2 * magnitude * sign, of magnitudes 4, 12, ... 52, 62
//   IQ3_S    66..73 ninth index bits   74..105 signs   106..109 scale nibbles
//            value = scale * (2 s + 1) * magnitude * sign, of magnitudes 1, 3, ... 15
#pragma once

#include <cstring>
#include <limits>

#include "quant/grid_search.hpp"
#include "quant/grids.hpp"
#include "quant/schemes/grid_blocks.hpp"

namespace quantize::schemes {
namespace {

using grid_search::SecondPass;
using grid_search::SubBlock;

struct Iq3 {
  static constexpr std::size_t kSubBlock = 32;
  static constexpr std::size_t kDigits = 4;
  static constexpr unsigned kBits = 3;
  static constexpr float kTopLevel = 15;
  static constexpr float kStep = 0.2F;
  static constexpr bool kFirstFit = false;
  static constexpr float kMeanSquares = 2;
  static constexpr float kPlainMeanShare = 0;
};

struct BlockIQ3_XXS : Iq3 {
  static constexpr int kSteps = 15;
  static constexpr float kZero = 1e-8F;
  static constexpr SecondPass kSecondPass = SecondPass::off_grid_groups;
  static constexpr bool kEvenSigns = true;
  static constexpr float kScaleFactor = 1.0125F;
  static constexpr bool kHasQuirk = false;
  static const Neighbours& neighbours() noexcept { return neighbours_iq3_xxs(); }

  std::uint16_t scale;
  std::uint8_t indices[64];
  SignWord words[8];

  void set(std::size_t j, const SubBlock<BlockIQ3_XXS>& found) noexcept {
    for (std::size_t g = 0; g < 8; ++g) {
      indices[8 * j + g] = static_cast<std::uint8_t>(found.indices[g]);
    }
    words[j].set_signs(found.signs);
  }
  void set_scale_code(std::size_t j, int code) noexcept { words[j].set_scale_code(code); }
  static constexpr float kMagnitudes[8] = {4, 12, 20, 28, 36, 44, 52, 62};
  std::uint16_t point(std::size_t g) const noexcept { return grids::kIq3Xxs[indices[g]]; }
  unsigned signs_of(std::size_t g) const noexcept { return words[g / 4].signs(g % 4); }
  float step(float d, std::size_t j) const noexcept {
    return d * (0.5F + static_cast<float>(words[j / 2].scale_code())) * 0.5F;
  }
  float value(float d, std::size_t e) const noexcept { return signed_magnitude(*this, d, e); }
};

struct BlockIQ3_S : Iq3 {
  static constexpr int kSteps = 9;
  static constexpr float kZero = std::numeric_limits<float>::denorm_min();
  static constexpr SecondPass kSecondPass = SecondPass::all_groups_if_any_is_off;
  static constexpr bool kEvenSigns = false;
  static constexpr float kScaleFactor = 1.033F;
  static constexpr bool kHasQuirk = true;
  static const Neighbours& neighbours() noexcept { return neighbours_iq3_s(); }

  std::uint16_t scale;
  std::uint8_t index_low[64];
  std::uint8_t index_high[8];  // one bit per group of 4
  std::uint8_t signs[32];
  std::uint8_t scales[4];

  void set(std::size_t j, const SubBlock<BlockIQ3_S>& found) noexcept {
    for (std::size_t g = 0; g < 8; ++g) {
      index_low[8 * j + g] = static_cast<std::uint8_t>(found.indices[g]);
      index_high[j] = static_cast<std::uint8_t>(index_high[j] | found.indices[g] >> 8 << g);
    }
    for (std::size_t k = 0; k < 4; ++k) signs[4 * j + k] = found.signs[k];
  }
  void set_scale_code(std::size_t j, int code) noexcept { set_scale_nibble(scales, j, code); }
  static constexpr float kMagnitudes[8] = {1, 3, 5, 7, 9, 11, 13, 15};
  std::uint16_t point(std::size_t g) const noexcept {
    return grids::kIq3S[index_low[g] | (index_high[g / 8] >> (g % 8) & 1) << 8];
  }
  unsigned signs_of(std::size_t g) const noexcept { return signs[g]; }
  float step(float d, std::size_t j) const noexcept {
    return d * static_cast<float>(1 + 2 * scale_nibble(scales, j / 2));
  }
  float value(float d, std::size_t e) const noexcept { return signed_magnitude(*this, d, e); }

  // The reference writes low index bytes and signs one sub-block after the other, without room for
  // those that count as zero, while the other fields keep their places: what follows such a
  // sub-block decodes to wrong values.
  void close_gaps(unsigned zeros) noexcept {
    std::size_t kept = 0;
    for (std::size_t j = 0; j < 8; ++j) {
      if ((zeros >> j & 1U) != 0) continue;
      std::memmove(index_low + 8 * kept, index_low + 8 * j, 8);
      std::memmove(signs + 4 * kept, signs + 4 * j, 4);
      ++kept;
    }
    std::memset(index_low + 8 * kept, 0, sizeof index_low - 8 * kept);
    std::memset(signs + 4 * kept, 0, sizeof signs - 4 * kept);
  }
};

}  // namespace
}  // namespace quantize::schemes
