// MXFP4 and NVFP4 over the closed set; the definition is mxfp4_nvfp4.cpp.
#include "quant/schemes/mxfp4_nvfp4.hpp"

#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/one_block.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

using schemes::BlockMXFP4;
using schemes::BlockNVFP4;

// Levels from 2 on are floats with one bit of mantissa. With the values divided so that level 2 is
// 1, which is exact for all that matter, the code is in the bits, rounded, ties toward zero.
// Nothing becomes -0.
inline I with_sign_of(F x, I code) {
  const I sign = shift_right<28>(as_int(x)) & I::set(8);
  return select(code == I::set(0), code, code | sign);
}
inline I nearest_codes(F x, F inverse) {
  const F v = abs(x) * inverse;
  const I rounded = shift_right<22>(as_int(v) + I::set((1 << 21) - 1)) - I::set(2 * 127 - 2);
  const I below_2 = increment(F::set(0.75F) < v, increment(F::set(0.25F) < v, I::set(0)));
  return with_sign_of(x, max(min(rounded, I::set(7)), below_2));
}

void encode_mxfp4(const EncodeInput& in, std::byte* out) noexcept {
  const bool quirks = in.reference_quirks;
  for_each_single_block<BlockMXFP4>(in, out, [quirks](const float* x, BlockMXFP4& block) {
    constexpr int kHalf = BlockMXFP4::kValues / 2;
    block.exponent = BlockMXFP4::exponent_of(largest_magnitude<BlockMXFP4::kValues>(x), quirks);
    const F inverse = F::set(BlockMXFP4::scale_of(255 - block.exponent));
    for (int i = 0; i < kHalf; i += kNativeLanes) {
      const I low = nearest_codes(F::load(x + i), inverse);
      const I high = nearest_codes(F::load(x + i + kHalf), inverse);
      store(block.nibbles + i, low | shift_left<4>(high));
    }
  });
}

// Where the nearest level changes, exact in every scale. A tie belongs to the smaller level.
struct Middles {
  F at[7];
  explicit Middles(float scale) {
    for (int i = 0; i < 7; ++i) {
      at[i] = F::set((schemes::kLevels[i] + schemes::kLevels[i + 1]) / 2 * scale);
    }
  }
};
inline I nearest_codes(F x, const Middles& middles) {
  const F magnitude = abs(x);
  I code = I::set(0);
  for (const F middle : middles.at) code = increment(middle < magnitude, code);
  return with_sign_of(x, code);
}

void encode_nvfp4(const EncodeInput& in, std::byte* out) noexcept {
  for_each_single_block<BlockNVFP4>(in, out, [](const float* x, BlockNVFP4& block) {
    constexpr int kGroup = BlockNVFP4::kGroup;
    for (int group = 0; group < 4; ++group) {
      const float* values = x + kGroup * group;
      const float magnitude = largest_magnitude<kGroup>(values);
      block.scales[group] = BlockNVFP4::scale_code(magnitude / 6.0F);
      const float scale = BlockNVFP4::scale(block.scales[group]);
      std::uint8_t codes[kGroup];
      // Far above the largest scale, and where the scale is 0, middles do not tell.
      if (magnitude > 4096.0F * scale) {
        for (int i = 0; i < kGroup; ++i) codes[i] = schemes::nearest_level(values[i], scale);
      } else {
        const Middles middles(scale);
        for (int i = 0; i < kGroup; i += kNativeLanes) {
          store(codes + i, nearest_codes(F::load(values + i), middles));
        }
      }
      std::uint64_t halves[2];
      std::memcpy(halves, codes, sizeof halves);
      halves[0] |= halves[1] << 4;
      std::memcpy(block.nibbles + 8 * group, halves, 8);
    }
  });
}

void decode_mxfp4(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockMXFP4, BlockMXFP4::kValues>(
      in, values, out, [](const BlockMXFP4& block, float* x) {
        const F scale = F::set(BlockMXFP4::scale_of(block.exponent));
        decode_32_levels(block.nibbles, schemes::kLevels, scale, x);
      });
}

void decode_nvfp4(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockNVFP4, BlockNVFP4::kValues>(
      in, values, out, [](const BlockNVFP4& block, float* x) {
        constexpr int kGroup = BlockNVFP4::kGroup;
        for (int group = 0; group < 4; ++group) {
          std::uint64_t nibbles;
          std::memcpy(&nibbles, block.nibbles + 8 * group, sizeof nibbles);
          const std::uint64_t halves[] = {nibbles, nibbles >> 4};
          std::uint8_t codes[kGroup];  // of which the low four bits count
          std::memcpy(codes, halves, sizeof codes);
          const F scale = F::set(BlockNVFP4::scale(block.scales[group]));
          for (int i = 0; i < kGroup; i += kNativeLanes) {
            store(x + kGroup * group + i, lookup16(schemes::kLevels, I::load(codes + i)) * scale);
          }
        }
      });
}

}  // namespace

extern const Kernel mxfp4;
extern const Kernel nvfp4;
const Kernel mxfp4{DType::mxfp4, encode_mxfp4, decode_mxfp4};
const Kernel nvfp4{DType::nvfp4, encode_nvfp4, decode_nvfp4};

}  // namespace quantize::kernels::QUANTIZE_ISA
