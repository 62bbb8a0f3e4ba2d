// The codes of the blocks of 32 values.
#pragma once

#include "quant/blocks.hpp"

namespace quantize::schemes {
namespace {

// Value i in the low nibble of byte i, value i + 16 in the high one.
struct FourBitCodes {
  std::uint8_t nibbles[16];

  void set(const std::uint8_t* codes) noexcept { pack_nibbles(codes, nibbles); }
  int at(int e) const noexcept { return nibble(nibbles, e); }
};

// Before that, their fifth bits: bit i of value i.
struct FiveBitCodes {
  std::uint8_t fifth_bits[4];
  std::uint8_t nibbles[16];

  void set(const std::uint8_t* codes) noexcept {
    pack_fifth_bits(codes, fifth_bits);
    pack_nibbles(codes, nibbles);
  }
  int at(int e) const noexcept {
    return nibble(nibbles, e) | (fifth_bits[e / 8] >> (e % 8) & 1) << 4;
  }
};

}  // namespace
}  // namespace quantize::schemes
