// The definition of Q4_0 and Q5_0; the blocks are drawn in q4_0_q5_0.hpp.
#include "quant/schemes/q4_0_q5_0.hpp"

namespace quantize::schemes {
namespace {

template <class Block>
void encode_block(const float* x, const float* importance, float mean_square,
                  Block& block) noexcept {
  constexpr int kLevels = Block::kLevels;
  std::uint8_t codes[32];
  if (importance) {
    float weights[32];
    combine_weights(x, importance, mean_square, 32, weights);
    block.scale = float_to_half(search::symmetric_scale(32, kLevels, x, weights, codes));
  } else {
    float magnitude = 0;
    float peak = 0;
    for (int i = 0; i < 32; ++i) {
      if (std::fabs(x[i]) > magnitude) {
        magnitude = std::fabs(x[i]);
        peak = x[i];
      }
    }
    const float scale = peak / static_cast<float>(-kLevels);
    const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
    block.scale = float_to_half(scale);
    for (int i = 0; i < 32; ++i) {
      const int code =
          static_cast<std::int8_t>(truncate(x[i] * inverse + (static_cast<float>(kLevels) + 0.5F)));
      codes[i] = static_cast<std::uint8_t>(code < 2 * kLevels - 1 ? code : 2 * kLevels - 1);
    }
  }
  block.codes.set(codes);
}

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block_of_rows<Block, 32>(in, out, encode_block<Block>);
}

template <class Block>
void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<Block, 32>(in, values, out, [](const Block& block, float* x) {
    const float scale = half_to_float(block.scale);
    for (int e = 0; e < 32; ++e)
      x[e] = static_cast<float>(block.codes.at(e) - Block::kLevels) * scale;
  });
}

}  // namespace

extern const Quantizer q4_0;
extern const Quantizer q5_0;
const Quantizer q4_0{
    DType::q4_0,       ImportanceUse::optional,        add_squares, mean, encode<BlockQ4_0>,
    decode<BlockQ4_0>, first_infinite_scale<BlockQ4_0>};
const Quantizer q5_0{
    DType::q5_0,       ImportanceUse::optional,        add_squares, mean, encode<BlockQ5_0>,
    decode<BlockQ5_0>, first_infinite_scale<BlockQ5_0>};

}  // namespace quantize::schemes
