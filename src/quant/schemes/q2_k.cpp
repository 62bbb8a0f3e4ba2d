// The definition of Q2_K; the block is drawn in q2_k.hpp.
#include "quant/schemes/q2_k.hpp"

namespace quantize::schemes {
namespace {

void encode_block(const float* x, const float* importance, float, BlockQ2_K& block) noexcept {
  float scales[kSubBlocks];
  float mins[kSubBlocks];
  float sums[kSubBlocks];
  std::uint8_t codes[kSuperBlock];
  std::uint8_t scale_codes[kSubBlocks];
  std::uint8_t min_codes[kSubBlocks];
  const float mean_square = importance ? sum_of_squares(x, kSuperBlock) / 256.0F : 0.0F;
  for (int j = 0; j < kSubBlocks; ++j) {
    const float* values = x + kSubBlock * j;
    float weights[kSubBlock];
    if (importance) {
      combine_weights(values, importance + kSubBlock * j, mean_square, kSubBlock, weights);
      sums[j] = sum(weights, kSubBlock);
    } else {
      for (int i = 0; i < kSubBlock; ++i) weights[i] = std::fabs(values[i]);
    }
    const search::ScaleMin found =
        search::scale_and_min(kSubBlock, 3, values, weights,
                              importance ? kStepsWithImportance : kSteps, codes + kSubBlock * j);
    scales[j] = found.scale;
    mins[j] = found.min;
  }
  if (importance) {
    block.scale = float_to_half(search::positive_scale(kSubBlocks, 15, scales, sums, scale_codes));
    block.min = float_to_half(search::positive_scale(kSubBlocks, 15, mins, sums, min_codes));
  } else {
    block.scale = float_to_half(search::scale_of_largest(kSubBlocks, 15, scales, scale_codes));
    block.min = float_to_half(search::scale_of_largest(kSubBlocks, 15, mins, min_codes));
  }
  const float scale = half_to_float(block.scale);
  const float min = half_to_float(block.min);
  for (int j = 0; j < kSubBlocks; ++j) {
    block.scales[j] = static_cast<std::uint8_t>(scale_codes[j] | min_codes[j] << 4);
    const float sub_scale = scale * static_cast<float>(block.scales[j] & 15);
    if (sub_scale == 0) continue;
    const float sub_min = min * static_cast<float>(block.scales[j] >> 4);
    for (int i = 0; i < kSubBlock; ++i) {
      const int e = kSubBlock * j + i;
      codes[e] = static_cast<std::uint8_t>(
          search::clamp(search::nearest_int((x[e] + sub_min) / sub_scale), 0, 3));
    }
  }
  block.set_codes(codes);
}

void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<BlockQ2_K, kSuperBlock>(in, out, encode_block);
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<BlockQ2_K, kSuperBlock>(in, values, out, [](const BlockQ2_K& block, float* x) {
    const float scale = half_to_float(block.scale);
    const float min = half_to_float(block.min);
    for (int e = 0; e < kSuperBlock; ++e) {
      const int packed = block.scales[e / kSubBlock];
      x[e] =
          scale * static_cast<float>(packed & 15) * static_cast<float>(two_bits(block.codes, e)) -
          min * static_cast<float>(packed >> 4);
    }
  });
}

}  // namespace

extern const Quantizer q2_k;
const Quantizer q2_k{DType::q2_k,
                     ImportanceUse::optional,
                     nullptr,
                     nullptr,
                     encode,
                     decode,
                     first_infinite_scale_or_min<BlockQ2_K>};

}  // namespace quantize::schemes
