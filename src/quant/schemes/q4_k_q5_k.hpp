// Q4_K: 256 values in 144 bytes, 4.5 bits per value. Q5_K: 176 bytes, 5.5. 8 sub-blocks of 32.
//
//   both   0..1 scale   2..3 min (halves)   4..15 eight pairs of 6-bit scale and min (see
//   SubScales) Q4_K   16..143 nibbles: sub-blocks 2c (low) and 2c + 1 (high) share 32 bytes
//   Q5_K   16..47 fifth bits: value e in byte e mod 32, bit e / 32   48..175 nibbles as Q4_K
//
//   value = (scale * s[sub-block]) * code - min * m[sub-block]
#pragma once

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

constexpr int kSubBlocks = 8;
constexpr int kSubBlock = 32;

// Sub-blocks 0..3 fill the low six bits of bytes 0..3 (scales) and 4..7 (mins); of sub-blocks 4..7
// the low nibbles share bytes 8..11 and the two high bits go on top of bytes 0..7.
struct SubScales {
  std::uint8_t bytes[12];

  void set(int j, int scale, int min) noexcept {
    const auto add = [this](int at, int bits) {
      bytes[at] = static_cast<std::uint8_t>(bytes[at] | bits);
    };
    if (j < 4) {
      add(j, scale);
      add(j + 4, min);
    } else {
      add(j + 4, (scale & 15) | (min & 15) << 4);
      add(j - 4, (scale >> 4) << 6);
      add(j, (min >> 4) << 6);
    }
  }
  int scale(int j) const noexcept {
    return j < 4 ? bytes[j] & 63 : (bytes[j + 4] & 15) | (bytes[j - 4] >> 6) << 4;
  }
  int min(int j) const noexcept {
    return j < 4 ? bytes[j + 4] & 63 : bytes[j + 4] >> 4 | (bytes[j] >> 6) << 4;
  }
};

void set_nibbles(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  for (int pair = 0; pair < 4; ++pair) {
    for (int i = 0; i < 32; ++i) {
      const std::uint8_t* c = codes + 64 * pair + i;
      bytes[32 * pair + i] = static_cast<std::uint8_t>((c[0] & 15) | (c[32] & 15) << 4);
    }
  }
}
int get_nibble(const std::uint8_t* bytes, int e) noexcept {
  return bytes[32 * (e / 64) + e % 32] >> (4 * (e / 32 % 2)) & 15;
}

struct BlockQ4_K {
  static constexpr int kTop = 15;
  static constexpr search::GridStep kSteps{-1.0F, 0.1F, 20, false};
  std::uint16_t scale;
  std::uint16_t min;
  SubScales sub;
  std::uint8_t nibbles[128];

  void set_codes(const std::uint8_t* codes) noexcept { set_nibbles(codes, nibbles); }
  int code(int e) const noexcept { return get_nibble(nibbles, e); }
};
static_assert(sizeof(BlockQ4_K) == 144);

struct BlockQ5_K {
  static constexpr int kTop = 31;
  static constexpr search::GridStep kSteps{-0.5F, 0.1F, 15, false};
  std::uint16_t scale;
  std::uint16_t min;
  SubScales sub;
  std::uint8_t fifth_bits[32];
  std::uint8_t nibbles[128];

  void set_codes(const std::uint8_t* codes) noexcept {
    set_nibbles(codes, nibbles);
    for (int i = 0; i < 32; ++i) {
      int bits = 0;
      for (int j = 0; j < kSubBlocks; ++j) bits |= (codes[32 * j + i] >> 4 & 1) << j;
      fifth_bits[i] = static_cast<std::uint8_t>(bits);
    }
  }
  int code(int e) const noexcept {
    return get_nibble(nibbles, e) | (fifth_bits[e % 32] >> (e / 32) & 1) << 4;
  }
};
static_assert(sizeof(BlockQ5_K) == 176);

constexpr search::GridStep kStepsWithImportance{-0.9F, 0.05F, 36, false};

}  // namespace
}  // namespace quantize::schemes
