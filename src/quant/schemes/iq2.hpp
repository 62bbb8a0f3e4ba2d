// The 2-bit grid types: 256 values in 66 bytes (IQ2_XXS, 2.06 bits per value), 74 (IQ2_XS, 2.31) or
// 82 (IQ2_S, 2.56). A point of eight magnitudes 8, 25 or 43, their signs, a 4-bit scale code s for
// 32 (IQ2_XXS) or 16 values:
//
//   all      0..1 scale (half)
//   IQ2_XXS  2..65 per 32 values: four grid indices, then a word of four 7-bit sign codes and s
//   IQ2_XS   2..65 per 8 values: nine bits of grid index, seven of signs   66..73 scale nibbles
//   IQ2_S    2..33 low bytes of the indices   34..65 signs   66..73 two more index bits per 8
//   values
//            74..81 scale nibbles
//
//   value = scale * (s + 1/2) / 4 * magnitude * sign
#pragma once

#include "quant/grid_search.hpp"
#include "quant/grids.hpp"
#include "quant/schemes/grid_blocks.hpp"

namespace quantize::schemes {
namespace {

using grid_search::SecondPass;
using grid_search::SubBlock;

struct Iq2 {
  static constexpr std::size_t kDigits = 8;
  static constexpr unsigned kBits = 2;
  static constexpr float kTopLevel = 5;
  static constexpr float kStep = 0.1F;
  static constexpr SecondPass kSecondPass = SecondPass::off_grid_groups;
  static constexpr bool kFirstFit = false;
  static constexpr float kPlainMeanShare = 0.25F;
  static constexpr bool kHasQuirk = false;

  static constexpr float kMagnitudes[8] = {8, 25, 43};

  static float quarter_step(float scale, int code) noexcept {
    return scale * (0.5F + static_cast<float>(code)) * 0.25F;
  }
};

// A scale is first fitted without the grid, and always used for a second choice of all points.
struct BlockIQ2_XXS : Iq2 {
  static constexpr std::size_t kSubBlock = 32;
  static constexpr int kSteps = 6;
  static constexpr float kZero = 1e-15F;
  static constexpr SecondPass kSecondPass = SecondPass::all_groups;
  static constexpr bool kEvenSigns = true;
  static constexpr bool kFirstFit = true;
  static constexpr float kMeanSquares = 1;
  static constexpr float kScaleFactor = 1;
  static const Neighbours& neighbours() noexcept { return neighbours_iq2_xxs(); }

  std::uint16_t scale;
  struct {
    std::uint8_t indices[4];
    SignWord word;
  } groups[8];

  void set(std::size_t j, const SubBlock<BlockIQ2_XXS>& found) noexcept {
    for (std::size_t g = 0; g < 4; ++g) {
      groups[j].indices[g] = static_cast<std::uint8_t>(found.indices[g]);
    }
    groups[j].word.set_signs(found.signs);
  }
  void set_scale_code(std::size_t j, int code) noexcept { groups[j].word.set_scale_code(code); }
  std::uint16_t point(std::size_t g) const noexcept {
    return grids::kIq2Xxs[groups[g / 4].indices[g % 4]];
  }
  unsigned signs_of(std::size_t g) const noexcept { return groups[g / 4].word.signs(g % 4); }
  float step(float d, std::size_t j) const noexcept {
    return quarter_step(d, groups[j / 2].word.scale_code());
  }
  float value(float d, std::size_t e) const noexcept { return signed_magnitude(*this, d, e); }
};

struct BlockIQ2_XS : Iq2 {
  static constexpr std::size_t kSubBlock = 16;
  static constexpr int kSteps = 9;
  static constexpr float kZero = 1e-15F;
  static constexpr bool kEvenSigns = true;
  static constexpr float kMeanSquares = 1;
  static constexpr float kScaleFactor = 1;
  static const Neighbours& neighbours() noexcept { return neighbours_iq2_xs(); }

  std::uint16_t scale;
  std::uint16_t groups[32];
  std::uint8_t scales[8];

  void set(std::size_t j, const SubBlock<BlockIQ2_XS>& found) noexcept {
    for (std::size_t g = 0; g < 2; ++g) {
      groups[2 * j + g] = static_cast<std::uint16_t>(found.indices[g] | found.signs[g] << 9);
    }
  }
  void set_scale_code(std::size_t j, int code) noexcept { set_scale_nibble(scales, j, code); }
  std::uint16_t point(std::size_t g) const noexcept { return grids::kIq2Xs[groups[g] & 511U]; }
  unsigned signs_of(std::size_t g) const noexcept {
    return all_signs(static_cast<unsigned>(groups[g] >> 9));
  }
  float step(float d, std::size_t j) const noexcept {
    return quarter_step(d, scale_nibble(scales, j));
  }
  float value(float d, std::size_t e) const noexcept { return signed_magnitude(*this, d, e); }
};

struct BlockIQ2_S : Iq2 {
  static constexpr std::size_t kSubBlock = 16;
  static constexpr int kSteps = 9;
  static constexpr float kZero = 1e-8F;
  static constexpr bool kEvenSigns = false;
  static constexpr float kMeanSquares = 2;
  static constexpr float kScaleFactor = 0.9875F;
  static const Neighbours& neighbours() noexcept { return neighbours_iq2_s(); }

  std::uint16_t scale;
  std::uint8_t index_low[32];
  std::uint8_t signs[32];
  std::uint8_t index_high[8];  // two bits per group of 8
  std::uint8_t scales[8];

  void set(std::size_t j, const SubBlock<BlockIQ2_S>& found) noexcept {
    for (std::size_t k = 0; k < 2; ++k) {
      const std::size_t g = 2 * j + k;
      index_low[g] = static_cast<std::uint8_t>(found.indices[k]);
      index_high[g / 4] =
          static_cast<std::uint8_t>(index_high[g / 4] | found.indices[k] >> 8 << (2 * (g % 4)));
      signs[g] = found.signs[k];
    }
  }
  void set_scale_code(std::size_t j, int code) noexcept { set_scale_nibble(scales, j, code); }
  std::uint16_t point(std::size_t g) const noexcept {
    return grids::kIq2S[index_low[g] | (index_high[g / 4] >> (2 * (g % 4)) & 3) << 8];
  }
  unsigned signs_of(std::size_t g) const noexcept { return signs[g]; }
  float step(float d, std::size_t j) const noexcept {
    return quarter_step(d, scale_nibble(scales, j));
  }
  float value(float d, std::size_t e) const noexcept { return signed_magnitude(*this, d, e); }
};

}  // namespace
}  // namespace quantize::schemes
