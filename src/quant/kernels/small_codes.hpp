// The codes of schemes/small_codes.hpp as numbers in lanes.
#pragma once

#include "quant/kernels/decode.hpp"
#include "quant/schemes/small_codes.hpp"

namespace quantize::kernels {
namespace {

// Of the values i ... and i + 16 ...
struct CodeLanes {
  I low, high;
};
inline CodeLanes code_lanes(const schemes::FourBitCodes& codes, int i) {
  const I bytes = I::load(codes.nibbles + i);
  return {bytes & I::set(15), shift_right<4>(bytes)};
}
inline CodeLanes code_lanes(const schemes::FiveBitCodes& codes, int i) {
  std::uint32_t fifth_bits;
  std::memcpy(&fifth_bits, codes.fifth_bits, sizeof fifth_bits);
  const auto fifth = [place = I::load(kBits + i)](std::uint32_t word) {
    const I found = I::set(static_cast<std::int32_t>(word)) & place;
    return select(found == I::set(0), I::set(0), I::set(16));
  };
  const I bytes = I::load(codes.nibbles + i);
  return {(bytes & I::set(15)) | fifth(fifth_bits),
          shift_right<4>(bytes) | fifth(fifth_bits >> 16)};
}

}  // namespace
}  // namespace quantize::kernels
