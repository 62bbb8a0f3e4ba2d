// Q3_K: 256 values in 110 bytes, 3.4375 bits per value; 16 sub-blocks of 16.
//
//   0..31 third bits: value e in byte e mod 32, bit e / 32   32..95 low codes of 2 bits
//   96..107 sub-scales of 6 bits: low nibbles of j and j + 8 share byte j, the four high pairs of
//   j, j + 4, j + 8, j + 12 share byte 8 + j   108..109 scale (half)
//
//   value = (scale * (s[sub-block] - 32)) * (code - 4)
#pragma once

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

constexpr int kSubBlocks = 16;
constexpr int kSubBlock = 16;

struct BlockQ3_K {
  std::uint8_t third_bits[32];
  std::uint8_t codes[64];
  std::uint8_t scales[12];
  std::uint16_t scale;

  void set_scale_code(int j, int code) noexcept {
    const int low = code & 15;
    scales[j % 8] = static_cast<std::uint8_t>(scales[j % 8] | (j < 8 ? low : low << 4));
    scales[8 + j % 4] = static_cast<std::uint8_t>(scales[8 + j % 4] | (code >> 4) << (2 * (j / 4)));
  }
  void set_codes(const std::uint8_t* all) noexcept {
    for (int i = 0; i < 32; ++i) {
      int bits = 0;
      for (int k = 0; k < 8; ++k) bits |= (all[32 * k + i] >> 2 & 1) << k;
      third_bits[i] = static_cast<std::uint8_t>(bits);
    }
    pack_two_bits(all, codes);
  }
  int scale_code(int j) const noexcept {
    const int low = j < 8 ? scales[j] & 15 : scales[j - 8] >> 4;
    return low | (scales[8 + j % 4] >> (2 * (j / 4)) & 3) << 4;
  }
};
static_assert(sizeof(BlockQ3_K) == 110);

}  // namespace
}  // namespace quantize::schemes
