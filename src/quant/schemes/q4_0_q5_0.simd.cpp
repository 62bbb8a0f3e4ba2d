// Q4_0 and Q5_0 over the closed set; the definition is q4_0_q5_0.cpp.
#include "quant/schemes/q4_0_q5_0.hpp"

#include "quant/kernels/kernel.hpp"
#include "quant/kernels/searches.hpp"
#include "quant/kernels/small_blocks.hpp"
#include "quant/kernels/small_codes.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

template <class Block>
void encode_plain(const SmallBlocks& batch, Block (&blocks)[kSmallBlocks]) {
  constexpr int kLevels = Block::kLevels;
  SmallTile x;
  x.load(batch.values);
  FF magnitude = FF::set(0);
  FF peak = FF::set(0);
  for (int i = 0; i < kSmallBlock; ++i) {
    const FF v = x.value(i);
    const MM larger = magnitude < abs(v);
    magnitude = select(larger, abs(v), magnitude);
    peak = select(larger, v, peak);
  }
  const FF scale = peak / FF::set(-kLevels);
  alignas(64) float inverses[kSmallBlocks];
  store(inverses, select(scale == FF::set(0), FF::set(0), FF::set(1) / scale));
  alignas(64) std::uint16_t halves[kSmallBlocks];
  store(halves, float_to_half(scale.a));
  store(halves + kNativeLanes, float_to_half(scale.b));
  SmallCodes codes;
  for (int b = 0; b < kSmallBlocks; ++b) {
    for (int i = 0; i < kSmallBlock; i += kNativeLanes) {
      const F level = F::load(batch.values[b] + i) * F::set(inverses[b]) + F::set(kLevels + 0.5F);
      store(codes.of(b) + i, min(low_byte(truncate(level)), I::set(2 * kLevels - 1)));
    }
    blocks[b].scale = halves[b];
  }
  codes.set(blocks);
}

template <class Block>
void encode_weighted(const SmallBlocks& batch, Block (&blocks)[kSmallBlocks]) {
  constexpr int kLevels = Block::kLevels;
  SmallTile x;
  SmallTile weights;
  x.load(batch.values);
  combine_weights(x, batch, weights);
  const SymmetricFit<FF> fit = symmetric_scale<kSmallBlock, FF>(x.at, weights.at, kLevels);
  alignas(64) float inverses[kSmallBlocks];
  store(inverses, fit.inverse);
  alignas(64) std::uint16_t halves[kSmallBlocks];
  store(halves, float_to_half(fit.scale.a));
  store(halves + kNativeLanes, float_to_half(fit.scale.b));
  SmallCodes codes;
  for (int b = 0; b < kSmallBlocks; ++b) {
    // Nothing to search for: code 0, not the code of the value 0.
    const I bias = I::set(inverses[b] == 0 ? 0 : kLevels);
    for (int i = 0; i < kSmallBlock; i += kNativeLanes) {
      const I level = nearest_int(F::load(batch.values[b] + i) * F::set(inverses[b]));
      store(codes.of(b) + i, min(max(level, I::set(-kLevels)), I::set(kLevels - 1)) + bias);
    }
    blocks[b].scale = halves[b];
  }
  codes.set(blocks);
}

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  const bool weighted = in.importance != nullptr;
  for_each_small_batch<Block>(
      in, out, [weighted](const SmallBlocks& batch, Block(&blocks)[kSmallBlocks]) {
        weighted ? encode_weighted(batch, blocks) : encode_plain(batch, blocks);
      });
}

template <class Block>
void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<Block, kSmallBlock>(in, values, out, [](const Block& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    const I zero = I::set(Block::kLevels);
    for (int i = 0; i < 16; i += kNativeLanes) {
      const CodeLanes code = code_lanes(block.codes, i);
      store(x + i, to_float(code.low - zero) * scale);
      store(x + 16 + i, to_float(code.high - zero) * scale);
    }
  });
}

}  // namespace

extern const Kernel q4_0;
extern const Kernel q5_0;
const Kernel q4_0{DType::q4_0, encode<schemes::BlockQ4_0>, decode<schemes::BlockQ4_0>};
const Kernel q5_0{DType::q5_0, encode<schemes::BlockQ5_0>, decode<schemes::BlockQ5_0>};

}  // namespace quantize::kernels::QUANTIZE_ISA
