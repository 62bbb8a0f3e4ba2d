// Q1_0 and Q2_0 over the closed set; the definition is q1_0_q2_0.cpp.
#include "quant/schemes/q1_0_q2_0.hpp"

#include "quant/kernels/batch.hpp"
#include "quant/kernels/decode.hpp"
#include "quant/kernels/kernel.hpp"
#include "quant/kernels/one_block.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

using schemes::BlockQ1_0;
using schemes::BlockQ2_0;

constexpr int kBlocks = FF::kLanes;

// A block per lane for the sum, which has an order; then along the values for the bits.
void encode_q1_0(const EncodeInput& in, std::byte* out) noexcept {
  const auto encode_batch = [](const Batch<kBlocks>& batch, BlockQ1_0(&blocks)[kBlocks]) {
    constexpr int kValues = BlockQ1_0::kValues;
    constexpr int kPiece = 32;
    alignas(64) float tile[kPiece * kBlocks];
    FF sum = FF::set(0);
    for (int at = 0; at < kValues; at += kPiece) {
      const float* rows[kBlocks];
      for (int b = 0; b < kBlocks; ++b) rows[b] = batch.values[b] + at;
      transpose_rows<FF, kPiece>(rows, tile);
      for (int i = 0; i < kPiece; ++i) sum = sum + abs(FF::load(tile + i * kBlocks));
    }
    alignas(64) std::uint16_t halves[kBlocks];
    const FF mean = sum / FF::set(128);
    store(halves, float_to_half(mean.a));
    store(halves + kNativeLanes, float_to_half(mean.b));
    for (int b = 0; b < kBlocks; ++b) {
      blocks[b].scale = halves[b];
      for (int at = 0; at < kValues; at += 32) {
        std::uint32_t word = 0;
        for (int i = 0; i < 32; i += kNativeLanes) {
          word |= bits(F::set(0) <= F::load(batch.values[b] + at + i)) << i;
        }
        std::memcpy(blocks[b].bits + at / 8, &word, sizeof word);
      }
    }
  };
  for_each_batch<BlockQ1_0, BlockQ1_0::kValues, kBlocks>(in, out, encode_batch);
}

void encode_q2_0(const EncodeInput& in, std::byte* out) noexcept {
  for_each_single_block<BlockQ2_0>(in, out, [](const float* x, BlockQ2_0& block) {
    constexpr int kValues = BlockQ2_0::kValues;
    const float magnitude = largest_magnitude<kValues>(x);
    const F inverse = F::set(magnitude > 0 ? 1.0F / magnitude : 0.0F);
    block.scale = half_of(magnitude);
    std::uint8_t codes[kValues];
    for (int i = 0; i < kValues; i += kNativeLanes) {
      const I code = round_half_away(F::load(x + i) * inverse) + I::set(1);
      store(codes + i, min(max(code, I::set(0)), I::set(3)));
    }
    // Four codes to a byte: the product brings those of a word together in its highest byte.
    std::int32_t words[kValues / 4];
    std::memcpy(words, codes, sizeof words);
    for (int i = 0; i < kValues / 4; i += kNativeLanes) {
      store(block.pairs + i, shift_right<24>(I::load(words + i) * I::set(0x01041040)));
    }
  });
}

void decode_q1_0(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockQ1_0, BlockQ1_0::kValues>(in, values, out, [](const BlockQ1_0& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    for (int at = 0; at < BlockQ1_0::kValues; at += 16) {
      const I word = I::set(block.bits[at / 8] | block.bits[at / 8 + 1] << 8);
      for (int i = 0; i < 16; i += kNativeLanes) {
        store(x + at + i, select((word & I::load(kBits + i)) == I::set(0), -scale, scale));
      }
    }
  });
}

void decode_q2_0(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each<BlockQ2_0, BlockQ2_0::kValues>(in, values, out, [](const BlockQ2_0& block, float* x) {
    const F scale = half_in_every_lane(block.scale);
    // A byte's four codes to four bytes.
    std::int32_t words[BlockQ2_0::kValues / 4];
    for (int i = 0; i < BlockQ2_0::kValues / 4; i += kNativeLanes) {
      const I bytes = I::load(block.pairs + i);
      const I apart = bytes | shift_left<6>(bytes) | shift_left<12>(bytes) | shift_left<18>(bytes);
      store(words + i, apart & I::set(0x03030303));
    }
    std::uint8_t codes[BlockQ2_0::kValues];
    std::memcpy(codes, words, sizeof codes);
    for (int i = 0; i < BlockQ2_0::kValues; i += kNativeLanes) {
      store(x + i, to_float(I::load(codes + i) - I::set(1)) * scale);
    }
  });
}

}  // namespace

extern const Kernel q1_0;
extern const Kernel q2_0;
const Kernel q1_0{DType::q1_0, encode_q1_0, decode_q1_0};
const Kernel q2_0{DType::q2_0, encode_q2_0, decode_q2_0};

}  // namespace quantize::kernels::QUANTIZE_ISA
