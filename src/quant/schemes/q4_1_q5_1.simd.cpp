// Q4_1 and Q5_1 over the closed set; the definition is q4_1_q5_1.cpp.
#include "quant/schemes/q4_1_q5_1.hpp"

#include <cfloat>

#include "quant/kernels/kernel.hpp"
#include "quant/kernels/searches.hpp"
#include "quant/kernels/small_blocks.hpp"
#include "quant/kernels/small_codes.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

// A C cast to uint8_t; Q4_1 casts to int8_t and limits.
I to_code(I level, schemes::BlockQ4_1*) { return min(low_byte(level), I::set(15)); }
I to_code(I level, schemes::BlockQ5_1*) { return level; }

struct Halves {
  alignas(64) std::uint16_t at[kSmallBlocks];
  explicit Halves(FF value) {
    store(at, float_to_half(value.a));
    store(at + kNativeLanes, float_to_half(value.b));
  }
};

template <class Block>
void encode_plain(const SmallBlocks& batch, Block (&blocks)[kSmallBlocks]) {
  SmallTile x;
  x.load(batch.values);
  // The first of equal minima is kept: its sign is stored when it is a zero.
  FF low = FF::set(FLT_MAX);
  FF high = FF::set(-FLT_MAX);
  for (int i = 0; i < kSmallBlock; ++i) {
    low = min(x.value(i), low);
    high = max(x.value(i), high);
  }
  const FF scale = (high - low) / FF::set(Block::kTop);
  alignas(64) float lows[kSmallBlocks];
  alignas(64) float inverses[kSmallBlocks];
  store(lows, low);
  store(inverses, select(scale == FF::set(0), FF::set(0), FF::set(1) / scale));
  const Halves scales(scale);
  const Halves mins(low);
  SmallCodes codes;
  for (int b = 0; b < kSmallBlocks; ++b) {
    for (int i = 0; i < kSmallBlock; i += kNativeLanes) {
      const F level =
          (F::load(batch.values[b] + i) - F::set(lows[b])) * F::set(inverses[b]) + F::set(0.5F);
      store(codes.of(b) + i, to_code(truncate(level), blocks));
    }
    blocks[b].scale = scales.at[b];
    blocks[b].min = mins.at[b];
  }
  codes.set(blocks);
}

template <class Block>
void encode_weighted(const SmallBlocks& batch, Block (&blocks)[kSmallBlocks]) {
  SmallTile x;
  SmallTile weights;
  x.load(batch.values);
  combine_weights(x, batch, weights);
  const AffineFit<FF> fit =
      scale_and_min<kSmallBlock, false, FF>(x.at, weights.at, Block::kTop, schemes::kSteps);
  alignas(64) float inverses[kSmallBlocks];
  alignas(64) float bases[kSmallBlocks];
  store(inverses, fit.inverse);
  store(bases, fit.base);
  const Halves scales(fit.scale);
  const Halves mins(-fit.min);
  SmallCodes codes;
  for (int b = 0; b < kSmallBlocks; ++b) {
    for (int i = 0; i < kSmallBlock; i += kNativeLanes) {
      const I level =
          nearest_int(F::set(inverses[b]) * (F::load(batch.values[b] + i) - F::set(bases[b])));
      store(codes.of(b) + i, min(max(level, I::set(0)), I::set(Block::kTop)));
    }
    blocks[b].scale = scales.at[b];
    blocks[b].min = mins.at[b];
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
    const F min = half_in_every_lane(block.min);
    for (int i = 0; i < 16; i += kNativeLanes) {
      const CodeLanes code = code_lanes(block.codes, i);
      store(x + i, to_float(code.low) * scale + min);
      store(x + 16 + i, to_float(code.high) * scale + min);
    }
  });
}

}  // namespace

extern const Kernel q4_1;
extern const Kernel q5_1;
const Kernel q4_1{DType::q4_1, encode<schemes::BlockQ4_1>, decode<schemes::BlockQ4_1>};
const Kernel q5_1{DType::q5_1, encode<schemes::BlockQ5_1>, decode<schemes::BlockQ5_1>};

}  // namespace quantize::kernels::QUANTIZE_ISA
