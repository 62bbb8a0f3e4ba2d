// Q2_K: 256 values in 84 bytes, 2.625 bits per value; 16 sub-blocks of 16.
//
//   0..15 per sub-block: scale in the low nibble, min in the high one
//   16..79 codes of 2 bits (pack_two_bits)   80..81 scale   82..83 min (halves)
//
//   value = (scale * s[sub-block]) * code - min * m[sub-block]
#pragma once

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

constexpr int kSubBlocks = 16;
constexpr int kSubBlock = 16;

struct BlockQ2_K {
  std::uint8_t scales[kSubBlocks];
  std::uint8_t codes[64];
  std::uint16_t scale;
  std::uint16_t min;

  void set_codes(const std::uint8_t* all) noexcept { pack_two_bits(all, codes); }
};
static_assert(sizeof(BlockQ2_K) == 84);

constexpr search::GridStep kSteps{-0.5F, 0.1F, 15, true};
constexpr search::GridStep kStepsWithImportance{-0.9F, 0.05F, 36, false};

}  // namespace
}  // namespace quantize::schemes
