// Q4_0: 32 values in 18 bytes, 4.5 bits per value. Q5_0: 32 values in 22 bytes, 5.5.
//
//   Q4_0   0..1 scale (half)   2..17 nibbles: value i low in byte i, value i + 16 high
//   Q5_0   0..1 scale (half)   2..5 fifth bits, bit i of value i   6..21 nibbles as Q4_0
//
//   value = scale * (code - N), N = 8 or 16. The scale's sign makes the peak map to code 0.
#pragma once

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

struct BlockQ4_0 {
  static constexpr int kLevels = 8;
  std::uint16_t scale;
  std::uint8_t nibbles[16];

  void set_codes(const std::uint8_t* codes) noexcept { pack_nibbles(codes, nibbles); }
  int code(int e) const noexcept { return nibble(nibbles, e); }
};
static_assert(sizeof(BlockQ4_0) == 18);

struct BlockQ5_0 {
  static constexpr int kLevels = 16;
  std::uint16_t scale;
  std::uint8_t fifth_bits[4];
  std::uint8_t nibbles[16];

  void set_codes(const std::uint8_t* codes) noexcept {
    pack_nibbles(codes, nibbles);
    pack_fifth_bits(codes, fifth_bits);
  }
  int code(int e) const noexcept {
    return nibble(nibbles, e) | (fifth_bits[e / 8] >> (e % 8) & 1) << 4;
  }
};
static_assert(sizeof(BlockQ5_0) == 22);

}  // namespace
}  // namespace quantize::schemes
