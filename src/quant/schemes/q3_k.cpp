// The definition of Q3_K; the block is drawn in q3_k.hpp.
#include "quant/schemes/q3_k.hpp"

namespace quantize::schemes {
namespace {

void encode_block(const float* x, const float* importance, float, BlockQ3_K& block) noexcept {
  float scales[kSubBlocks];
  std::uint8_t codes[kSuperBlock];
  std::uint8_t scale_codes[kSubBlocks] = {};
  float scale = 0;
  if (importance) {
    const float mean_square = 2 * sum_of_squares(x, kSuperBlock) / 256.0F;
    float sums[kSubBlocks];
    for (int j = 0; j < kSubBlocks; ++j) {
      float weights[kSubBlock];
      combine_weights(x + kSubBlock * j, importance + kSubBlock * j, mean_square, kSubBlock,
                      weights);
      sums[j] = sum(weights, kSubBlock);
      scales[j] =
          search::symmetric_scale(kSubBlock, 4, x + kSubBlock * j, weights, codes + kSubBlock * j);
    }
    scale = search::symmetric_scale(kSubBlocks, 32, scales, sums, scale_codes);
    for (int j = 0; j < kSubBlocks; ++j) block.set_scale_code(j, scale_codes[j]);
  } else {
    float magnitude = 0;
    float largest = 0;
    for (int j = 0; j < kSubBlocks; ++j) {
      scales[j] = search::refined_scale(x + kSubBlock * j, codes + kSubBlock * j);
      if (std::fabs(scales[j]) > magnitude) {
        magnitude = std::fabs(scales[j]);
        largest = scales[j];
      }
    }
    if (largest != 0) {
      const float inverse = -32.0F / largest;
      for (int j = 0; j < kSubBlocks; ++j) {
        const int code = static_cast<std::int8_t>(search::nearest_int(inverse * scales[j]));
        block.set_scale_code(j, search::clamp(code, -32, 31) + 32);
      }
      scale = 1 / inverse;
    }
  }
  block.scale = float_to_half(scale);
  for (int j = 0; j < kSubBlocks; ++j) {
    const float sub_scale =
        half_to_float(block.scale) * static_cast<float>(block.scale_code(j) - 32);
    if (sub_scale == 0) continue;
    for (int i = 0; i < kSubBlock; ++i) {
      const int e = kSubBlock * j + i;
      codes[e] = static_cast<std::uint8_t>(
          search::clamp(search::nearest_int(x[e] / sub_scale), -4, 3) + 4);
    }
  }
  block.set_codes(codes);
}

void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<BlockQ3_K, kSuperBlock>(in, out, encode_block);
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<BlockQ3_K, kSuperBlock>(in, values, out, [](const BlockQ3_K& block, float* x) {
    const float scale = half_to_float(block.scale);
    for (int e = 0; e < kSuperBlock; ++e) {
      const int code =
          two_bits(block.codes, e) + 4 * (block.third_bits[e % 32] >> (e / 32) & 1) - 4;
      x[e] = scale * static_cast<float>(block.scale_code(e / kSubBlock) - 32) *
             static_cast<float>(code);
    }
  });
}

}  // namespace

extern const Quantizer q3_k;
const Quantizer q3_k{DType::q3_k, ImportanceUse::optional,        nullptr, nullptr, encode,
                     decode,      first_infinite_scale<BlockQ3_K>};

}  // namespace quantize::schemes
