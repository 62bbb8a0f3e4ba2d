// TQ1_0 and TQ2_0 over the closed set; the definition is tq1_0_tq2_0.cpp.
#include "quant/schemes/tq1_0_tq2_0.hpp"

#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/one_block.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

using schemes::BlockTQ1_0;
using schemes::BlockTQ2_0;

struct Digits {
  const float* x;
  F inverse;

  // Of an infinite product only the low bits count, 0: the digit is 1.
  I at(int e) const { return (round_half_away(F::load(x + e) * inverse) + I::set(1)) & I::set(3); }
};

// (256 * value + 242) / 243 without a division, for the values that five digits have.
inline I as_fraction(I value) {
  return value + shift_right<20>((value * I::set(13) + I::set(242)) * I::set(4316));
}

void set_digits(const Digits& digits, BlockTQ1_0& block) {
  const auto pack_five = [&digits](int first, int stride, std::uint8_t* bytes) {
    for (int i = 0; i < stride; i += kNativeLanes) {
      I value = digits.at(first + i);
      for (int n = 1; n < 5; ++n) {
        value = value * I::set(3) + digits.at(first + i + stride * n);
      }
      store(bytes + i, as_fraction(value));
    }
  };
  pack_five(0, 32, block.fives);
  pack_five(160, 16, block.fives + 32);
  std::uint8_t last[16];
  for (int i = 0; i < 16; i += kNativeLanes) store(last + i, digits.at(240 + i));
  for (int i = 0; i < 4; ++i) block.fours[i] = BlockTQ1_0::pack(last + i, 4, 4);
}

void set_digits(const Digits& digits, BlockTQ2_0& block) {
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 32; i += kNativeLanes) {
      const int e = 128 * half + i;
      store(block.pairs + 32 * half + i, digits.at(e) | shift_left<2>(digits.at(e + 32)) |
                                             shift_left<4>(digits.at(e + 64)) |
                                             shift_left<6>(digits.at(e + 96)));
    }
  }
}

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_single_block<Block>(in, out, [](const float* x, Block& block) {
    const float magnitude = largest_magnitude<Block::kValues>(x);
    set_digits({x, F::set(magnitude != 0 ? 1.0F / magnitude : 0.0F)}, block);
    block.scale = half_of(magnitude);
  });
}

// The levels -1, 0, 1 of one digit of each byte, and the bytes without it.
struct Carry {
  F level;
  I rest;
};
inline Carry carry_out(I bytes) {
  const I product = bytes * I::set(3);
  return {to_float(shift_right<8>(product) - I::set(1)), product & I::set(255)};
}

void decode_tq1_0(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockTQ1_0, BlockTQ1_0::kValues>(
      in, values, out, [](const BlockTQ1_0& block, float* x) {
        const F scale = half_in_every_lane(block.scale);
        const auto unpack_five = [scale](const std::uint8_t* bytes, int stride, float* to) {
          for (int i = 0; i < stride; i += kNativeLanes) {
            Carry carry{scale, I::load(bytes + i)};
            for (int n = 0; n < 5; ++n) {
              carry = carry_out(carry.rest);
              store(to + stride * n + i, carry.level * scale);
            }
          }
        };
        unpack_five(block.fives, 32, x);
        unpack_five(block.fives + 32, 16, x + 160);
        float levels[16];
        for (int e = 0; e < 16; ++e) levels[e] = BlockTQ1_0::level(block.fours[e % 4], e / 4);
        for (int i = 0; i < 16; i += kNativeLanes) {
          store(x + 240 + i, F::load(levels + i) * scale);
        }
      });
}

void decode_tq2_0(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockTQ2_0, BlockTQ2_0::kValues>(
      in, values, out, [](const BlockTQ2_0& block, float* x) {
        const F scale = half_in_every_lane(block.scale);
        const auto level = [](I code) { return to_float((code & I::set(3)) - I::set(1)); };
        for (int half = 0; half < 2; ++half) {
          for (int i = 0; i < 32; i += kNativeLanes) {
            const I bytes = I::load(block.pairs + 32 * half + i);
            float* to = x + 128 * half + i;
            store(to, level(bytes) * scale);
            store(to + 32, level(shift_right<2>(bytes)) * scale);
            store(to + 64, level(shift_right<4>(bytes)) * scale);
            store(to + 96, level(shift_right<6>(bytes)) * scale);
          }
        }
      });
}

}  // namespace

extern const Kernel tq1_0;
extern const Kernel tq2_0;
const Kernel tq1_0{DType::tq1_0, encode<BlockTQ1_0>, decode_tq1_0};
const Kernel tq2_0{DType::tq2_0, encode<BlockTQ2_0>, decode_tq2_0};

}  // namespace quantize::kernels::QUANTIZE_ISA
