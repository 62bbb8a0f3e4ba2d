// Q4_0: 32 values in 18 bytes, 4.5 bits per value. Q5_0: 32 values in 22 bytes, 5.5.
//
//   Q4_0   0..1 scale (half)   2..17 nibbles: value i low in byte i, value i + 16 high
//   Q5_0   0..1 scale (half)   2..5 fifth bits, bit i of value i   6..21 nibbles as Q4_0
//
//   value = scale * (code - N), N = 8 or 16. The scale's sign makes the peak map to code 0.
#pragma once

#include "quant/schemes/small_codes.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

struct BlockQ4_0 {
  static constexpr int kLevels = 8;
  std::uint16_t scale;
  FourBitCodes codes;
};
static_assert(sizeof(BlockQ4_0) == 18);

struct BlockQ5_0 {
  static constexpr int kLevels = 16;
  std::uint16_t scale;
  FiveBitCodes codes;
};
static_assert(sizeof(BlockQ5_0) == 22);

}  // namespace
}  // namespace quantize::schemes
