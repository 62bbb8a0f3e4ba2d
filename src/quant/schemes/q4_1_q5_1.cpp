// The definition of Q4_1 and Q5_1; the blocks are drawn in q4_1_q5_1.hpp.
#include "quant/schemes/q4_1_q5_1.hpp"

#include <cfloat>

namespace quantize::schemes {
namespace {

template <class Block>
void encode_block(const float* x, const float* importance, float mean_square,
                  Block& block) noexcept {
  std::uint8_t codes[32];
  if (importance) {
    float weights[32];
    combine_weights(x, importance, mean_square, 32, weights);
    const search::ScaleMin found =
        search::scale_and_min(32, Block::kTop, x, weights, kSteps, codes);
    block.scale = float_to_half(found.scale);
    block.min = float_to_half(-found.min);
  } else {
    // The first of equal minima is kept: its sign is stored when it is a zero.
    float min = FLT_MAX;
    float max = -FLT_MAX;
    for (int i = 0; i < 32; ++i) {
      if (x[i] < min) min = x[i];
      if (x[i] > max) max = x[i];
    }
    const float scale = (max - min) / static_cast<float>(Block::kTop);
    const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
    block.scale = float_to_half(scale);
    block.min = float_to_half(min);
    for (int i = 0; i < 32; ++i) codes[i] = Block::to_code((x[i] - min) * inverse + 0.5F);
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
    const float min = half_to_float(block.min);
    for (int e = 0; e < 32; ++e) x[e] = static_cast<float>(block.codes.at(e)) * scale + min;
  });
}

}  // namespace

extern const Quantizer q4_1;
extern const Quantizer q5_1;
const Quantizer q4_1{DType::q4_1,
                     ImportanceUse::optional,
                     add_squares,
                     mean,
                     encode<BlockQ4_1>,
                     decode<BlockQ4_1>,
                     first_infinite_scale_or_min<BlockQ4_1>};
const Quantizer q5_1{DType::q5_1,
                     ImportanceUse::optional,
                     add_squares,
                     mean,
                     encode<BlockQ5_1>,
                     decode<BlockQ5_1>,
                     first_infinite_scale_or_min<BlockQ5_1>};

}  // namespace quantize::schemes
