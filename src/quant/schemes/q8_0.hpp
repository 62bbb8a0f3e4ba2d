// Q8_0: 32 values in 34 bytes, 8.5 bits per value.
//
//   0..1 scale (half)   2..33 signed codes
//
//   value = scale * code, code = x / scale rounded half away from zero
#pragma once

#include "quant/blocks.hpp"

namespace quantize::schemes {
namespace {

struct BlockQ8_0 {
  std::uint16_t scale;
  std::int8_t codes[32];
};
static_assert(sizeof(BlockQ8_0) == 34);

}  // namespace
}  // namespace quantize::schemes
