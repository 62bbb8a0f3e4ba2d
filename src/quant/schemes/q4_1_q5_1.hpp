// Q4_1: 32 values in 20 bytes, 5 bits per value. Q5_1: 32 values in 24 bytes, 6.
//
//   Q4_1   0..1 scale   2..3 min (halves)   4..19 nibbles: value i low in byte i, value i + 16 high
//   Q5_1   0..1 scale   2..3 min            4..7 fifth bits, bit i of value i   8..23 nibbles
//
//   value = scale * code + min
#pragma once

#include "quant/schemes/small_codes.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

struct BlockQ4_1 {
  static constexpr int kTop = 15;
  std::uint16_t scale;
  std::uint16_t min;
  FourBitCodes codes;

  static std::uint8_t to_code(float level) noexcept {
    const int code = static_cast<std::int8_t>(truncate(level));
    return static_cast<std::uint8_t>(code < 15 ? code : 15);
  }
};
static_assert(sizeof(BlockQ4_1) == 20);

struct BlockQ5_1 {
  static constexpr int kTop = 31;
  std::uint16_t scale;
  std::uint16_t min;
  FiveBitCodes codes;

  static std::uint8_t to_code(float level) noexcept {
    return static_cast<std::uint8_t>(truncate(level));
  }
};
static_assert(sizeof(BlockQ5_1) == 24);

constexpr search::GridStep kSteps{-0.9F, 0.05F, 36, false};

}  // namespace
}  // namespace quantize::schemes
