// Q8_0 over the closed set; the definition is q8_0.cpp.
#include "quant/schemes/q8_0.hpp"

#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/small_blocks.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

using schemes::BlockQ8_0;

void encode_batch(const SmallBlocks& batch, BlockQ8_0 (&blocks)[kSmallBlocks]) {
  alignas(64) float magnitudes[kSmallBlocks];
  for (int b = 0; b < kSmallBlocks; ++b) {
    F magnitude = abs(F::load(batch.values[b]));
    for (int i = kNativeLanes; i < kSmallBlock; i += kNativeLanes) {
      magnitude = max(abs(F::load(batch.values[b] + i)), magnitude);
    }
    magnitudes[b] = reduce_max(magnitude);
  }
  alignas(64) float inverses[kSmallBlocks];
  alignas(64) std::uint16_t halves[kSmallBlocks];
  for (int b = 0; b < kSmallBlocks; b += kNativeLanes) {
    const F scale = F::load(magnitudes + b) / F::set(127);
    store(inverses + b, select(scale == F::set(0), F::set(0), F::set(1) / scale));
    store(halves + b, float_to_half(scale));
  }
  for (int b = 0; b < kSmallBlocks; ++b) {
    blocks[b].scale = halves[b];
    for (int i = 0; i < kSmallBlock; i += kNativeLanes) {
      const F level = F::load(batch.values[b] + i) * F::set(inverses[b]);
      store(reinterpret_cast<std::uint8_t*>(blocks[b].codes) + i, round_half_away(level));
    }
  }
}

void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_batch<BlockQ8_0, kSmallBlock, kSmallBlocks>(in, out, encode_batch);
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockQ8_0, kSmallBlock>(in, values, out, [](const BlockQ8_0& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    for (int i = 0; i < kSmallBlock; i += kNativeLanes)
      store(x + i, to_float(I::load(block.codes + i)) * scale);
  });
}

}  // namespace

extern const Kernel q8_0;
const Kernel q8_0{DType::q8_0, encode, decode};

}  // namespace quantize::kernels::QUANTIZE_ISA
