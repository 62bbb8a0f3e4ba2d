// Q1_0: 128 values in 18 bytes, 1.125 bits per value. Q2_0: 64 values in 18 bytes, 2.25.
//
//   Q1_0   0..1 scale (half)   2..17 one bit per value, lowest first
//   Q2_0   0..1 scale (half)   2..17 two bits per value, lowest first
//
//   Q1_0   value = scale or -scale, scale = mean magnitude
//   Q2_0   value = scale * (code - 1), scale = largest magnitude; code 3 is never written
#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

struct BlockQ1_0 {
  static constexpr int kValues = 128;
  std::uint16_t scale;
  std::uint8_t bits[16];

  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) x[e] = (bits[e / 8] >> (e % 8) & 1) != 0 ? d : -d;
  }
};
static_assert(sizeof(BlockQ1_0) == 18);

struct BlockQ2_0 {
  static constexpr int kValues = 64;
  std::uint16_t scale;
  std::uint8_t pairs[16];

  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) {
      x[e] = static_cast<float>((pairs[e / 4] >> (2 * (e % 4)) & 3) - 1) * d;
    }
  }
};
static_assert(sizeof(BlockQ2_0) == 18);

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
