// The definition of Q1_0 and Q2_0; the blocks are drawn in q1_0_q2_0.hpp.
#include "quant/schemes/q1_0_q2_0.hpp"

namespace quantize::schemes {
namespace {

void encode_q1_0(const float* x, const float*, float, BlockQ1_0& block) noexcept {
  float sum = 0;
  for (int e = 0; e < BlockQ1_0::kValues; ++e) sum = sum + std::fabs(x[e]);
  block.scale = float_to_half(sum / 128.0F);
  for (int e = 0; e < BlockQ1_0::kValues; ++e) {
    const int bit = x[e] >= 0 ? 1 : 0;  // -0 too
    block.bits[e / 8] = static_cast<std::uint8_t>(block.bits[e / 8] | bit << (e % 8));
  }
}

void encode_q2_0(const float* x, const float*, float, BlockQ2_0& block) noexcept {
  const float magnitude = largest_magnitude(x, BlockQ2_0::kValues);
  const float inverse = magnitude > 0 ? 1.0F / magnitude : 0.0F;
  block.scale = float_to_half(magnitude);
  for (int e = 0; e < BlockQ2_0::kValues; ++e) {
    const int code = search::clamp(round_half_away(x[e] * inverse) + 1, 0, 3);
    block.pairs[e / 4] = static_cast<std::uint8_t>(block.pairs[e / 4] | code << (2 * (e % 4)));
  }
}

template <class Block, void (*encode_block)(const float*, const float*, float, Block&) noexcept>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<Block, Block::kValues>(in, out, encode_block);
}

}  // namespace

extern const Quantizer q1_0;
extern const Quantizer q2_0;
const Quantizer q1_0{DType::q1_0,
                     ImportanceUse::unused,
                     nullptr,
                     nullptr,
                     encode<BlockQ1_0, encode_q1_0>,
                     decode_blocks<BlockQ1_0>,
                     first_infinite_scale<BlockQ1_0>};
const Quantizer q2_0{DType::q2_0,
                     ImportanceUse::unused,
                     nullptr,
                     nullptr,
                     encode<BlockQ2_0, encode_q2_0>,
                     decode_blocks<BlockQ2_0>,
                     first_infinite_scale<BlockQ2_0>};

}  // namespace quantize::schemes
