// Q6_K over the closed set; the definition is q6_k.cpp.
#include "quant/schemes/q6_k.hpp"

#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/symmetric_super_blocks.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

constexpr int kLevels = 32;
using schemes::BlockQ6_K;

void encode_batch(const SuperBlocks& batch, bool weighted, BlockQ6_K (&blocks)[kBlocks]) {
  Tile x;
  Tile weights;
  PerSubBlock scales;
  PerSubBlock inverses;
  x.load(batch.values);
  if (weighted) weights.load(batch.importance);
  for (int group = 0; group < Tile::kGroups; ++group) {
    fetch_ahead(batch, group, Tile::kGroups);
    const SymmetricFit<FF> fit = symmetric_scale<kSubBlock, FF>(
        x.at[group], weighted ? weights.at[group] : nullptr, kLevels);
    store(scales.at + group * FF::kLanes, fit.scale);
    store(inverses.at + group * FF::kLanes, fit.inverse);
  }
  alignas(64) std::int32_t half_scales[kBlocks];
  PerSubBlock codes;
  unsigned alive_blocks = 0;
  for (int b = 0; b < kBlocks; b += kNativeLanes) {
    const F peak = largest(scales, b);
    const M alive = ~(abs(peak) < F::set(kTiny));
    alive_blocks |= bits(alive) << b;
    const F inverse = F::set(-128) / peak;
    const I half = select(alive, float_to_half(F::set(1) / inverse), I::set(0));
    store(half_scales + b, half);
    for (int j = 0; j < kSubBlocks; ++j) {
      const int at = kBlocks * j + b;
      const I code = min(nearest_int(inverse * F::load(scales.at + at)), I::set(127));
      // As the stored byte reads back.
      const F stored = to_float(((code & I::set(255)) ^ I::set(128)) - I::set(128));
      store(codes.at + at, select(alive, stored, F::set(0)));
      store(scales.at + at, half_to_float(half) * F::load(codes.at + at));
    }
  }
  for (int b = 0; b < kBlocks; ++b) {
    BlockQ6_K& block = blocks[b];
    block = {};
    if ((alive_blocks >> b & 1U) == 0) continue;  // all bytes stay zero
    block.scale = static_cast<std::uint16_t>(half_scales[b]);
    std::uint8_t all[kSuperBlock];
    for (int j = 0; j < kSubBlocks; ++j) {
      const int at = kBlocks * j + b;
      const float* values = batch.values[b] + kSubBlock * j;
      block.scales[j] = static_cast<std::int8_t>(codes.at[at]);
      if (scales.at[at] == 0) {
        searched_codes(values, inverses.at[at], kLevels, all + kSubBlock * j);
      } else {
        divide_to_codes(values, scales.at[at], kLevels, all + kSubBlock * j);
      }
    }
    block.set_codes(all);
  }
}

void encode(const EncodeInput& in, std::byte* out) noexcept {
  encode_super_blocks<BlockQ6_K>(in, out, encode_batch);
}

// Values 32 * kQuarter ... of one half of a block.
template <int kQuarter>
void decode_quarter(const BlockQ6_K& block, int half, F scale, float* x) {
  for (int i = 0; i < 32; i += kNativeLanes) {
    const int at = 128 * half + 32 * kQuarter + i;
    const I nibbles = shift_right<4 * (kQuarter / 2)>(
        I::load(block.nibbles + 64 * half + 32 * (kQuarter % 2) + i));
    const I pairs = shift_right<2 * kQuarter>(I::load(block.pairs + 32 * half + i));
    const I code = (nibbles & I::set(15)) | shift_left<4>(pairs & I::set(3));
    const F sub_scale = scale * F::set(static_cast<float>(block.scales[at / 16]));
    store(x + at, sub_scale * to_float(code - I::set(32)));
  }
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockQ6_K, kSuperBlock>(in, values, out, [](const BlockQ6_K& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    for (int half = 0; half < 2; ++half) {
      decode_quarter<0>(block, half, scale, x);
      decode_quarter<1>(block, half, scale, x);
      decode_quarter<2>(block, half, scale, x);
      decode_quarter<3>(block, half, scale, x);
    }
  });
}

}  // namespace

extern const Kernel q6_k;
const Kernel q6_k{DType::q6_k, encode, decode};

}  // namespace quantize::kernels::QUANTIZE_ISA
