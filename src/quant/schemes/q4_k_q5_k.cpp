// The definition of Q4_K and Q5_K; the blocks are drawn in q4_k_q5_k.hpp.
#include "quant/schemes/q4_k_q5_k.hpp"

namespace quantize::schemes {
namespace {

template <class Block>
void encode_block(const float* x, const float* importance, float, Block& block) noexcept {
  float scales[kSubBlocks];
  float mins[kSubBlocks];
  float sums[kSubBlocks];
  std::uint8_t codes[kSuperBlock];
  std::uint8_t scale_codes[kSubBlocks];
  std::uint8_t min_codes[kSubBlocks];
  const float mean_square = importance ? 2 * sum_of_squares(x, kSuperBlock) / 256.0F : 0.0F;
  for (int j = 0; j < kSubBlocks; ++j) {
    const float* values = x + kSubBlock * j;
    float weights[kSubBlock];
    if (importance) {
      combine_weights(values, importance + kSubBlock * j, mean_square, kSubBlock, weights);
      sums[j] = sum(weights, kSubBlock);
    } else {
      const float average = std::sqrt(sum_of_squares(values, kSubBlock) / 32.0F);
      for (int i = 0; i < kSubBlock; ++i) weights[i] = average + std::fabs(values[i]);
    }
    const search::ScaleMin found = search::scale_and_min(
        kSubBlock, Block::kTop, values, weights, importance ? kStepsWithImportance : Block::kSteps,
        codes + kSubBlock * j);
    scales[j] = found.scale;
    mins[j] = found.min;
  }
  if (importance) {
    block.scale = float_to_half(search::positive_scale(kSubBlocks, 63, scales, sums, scale_codes));
    block.min = float_to_half(search::positive_scale(kSubBlocks, 63, mins, sums, min_codes));
  } else {
    block.scale = float_to_half(search::scale_of_largest(kSubBlocks, 63, scales, scale_codes));
    block.min = float_to_half(search::scale_of_largest(kSubBlocks, 63, mins, min_codes));
  }
  for (int j = 0; j < kSubBlocks; ++j) block.sub.set(j, scale_codes[j], min_codes[j]);
  const float scale = half_to_float(block.scale);
  const float min = half_to_float(block.min);
  for (int j = 0; j < kSubBlocks; ++j) {
    const float sub_scale = scale * static_cast<float>(block.sub.scale(j));
    if (sub_scale == 0) continue;
    const float sub_min = min * static_cast<float>(block.sub.min(j));
    for (int i = 0; i < kSubBlock; ++i) {
      const int e = kSubBlock * j + i;
      codes[e] = static_cast<std::uint8_t>(
          search::clamp(search::nearest_int((x[e] + sub_min) / sub_scale), 0, Block::kTop));
    }
  }
  block.set_codes(codes);
}

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<Block, kSuperBlock>(in, out, encode_block<Block>);
}

template <class Block>
void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<Block, kSuperBlock>(in, values, out, [](const Block& block, float* x) {
    const float scale = half_to_float(block.scale);
    const float min = half_to_float(block.min);
    for (int e = 0; e < kSuperBlock; ++e) {
      const int j = e / kSubBlock;
      x[e] = scale * static_cast<float>(block.sub.scale(j)) * static_cast<float>(block.code(e)) -
             min * static_cast<float>(block.sub.min(j));
    }
  });
}

}  // namespace

extern const Quantizer q4_k;
extern const Quantizer q5_k;
const Quantizer q4_k{DType::q4_k,
                     ImportanceUse::optional,
                     nullptr,
                     nullptr,
                     encode<BlockQ4_K>,
                     decode<BlockQ4_K>,
                     first_infinite_scale_or_min<BlockQ4_K>};
const Quantizer q5_k{DType::q5_k,
                     ImportanceUse::optional,
                     nullptr,
                     nullptr,
                     encode<BlockQ5_K>,
                     decode<BlockQ5_K>,
                     first_infinite_scale_or_min<BlockQ5_K>};

}  // namespace quantize::schemes
