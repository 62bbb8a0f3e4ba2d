// The definition of Q6_K; the block is drawn in q6_k.hpp.
#include "quant/schemes/q6_k.hpp"

namespace quantize::schemes {
namespace {

// Where code e lies.
struct Place {
  int nibble_byte, nibble_shift, pair_byte, pair_shift;
};
Place place(int e) noexcept {
  const int half = e / 128;
  const int group = e % 128 / 32;
  const int l = e % 32;
  return {64 * half + 32 * (group % 2) + l, 4 * (group / 2), 32 * half + l, 2 * group};
}

void encode_block(const float* x, const float* importance, float, BlockQ6_K& block) noexcept {
  float scales[kSubBlocks];
  std::uint8_t codes[kSuperBlock];
  float magnitude = 0;
  float largest = 0;
  for (int j = 0; j < kSubBlocks; ++j) {
    const int at = kSubBlock * j;
    scales[j] = search::symmetric_scale(kSubBlock, 32, x + at,
                                        importance ? importance + at : nullptr, codes + at);
    if (std::fabs(scales[j]) > magnitude) {
      magnitude = std::fabs(scales[j]);
      largest = scales[j];
    }
  }
  if (magnitude < search::kTiny) return;  // all 210 bytes stay zero
  const float inverse = -128.0F / largest;
  block.scale = float_to_half(1 / inverse);
  for (int j = 0; j < kSubBlocks; ++j) {
    const int code = search::nearest_int(inverse * scales[j]);
    block.scales[j] = static_cast<std::int8_t>(code < 127 ? code : 127);
    const float sub_scale = half_to_float(block.scale) * static_cast<float>(block.scales[j]);
    if (sub_scale == 0) continue;
    for (int i = 0; i < kSubBlock; ++i) {
      const int e = kSubBlock * j + i;
      codes[e] = static_cast<std::uint8_t>(
          search::clamp(search::nearest_int(x[e] / sub_scale), -32, 31) + 32);
    }
  }
  block.set_codes(codes);
}

void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<BlockQ6_K, kSuperBlock>(in, out, encode_block);
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<BlockQ6_K, kSuperBlock>(in, values, out, [](const BlockQ6_K& block, float* x) {
    const float scale = half_to_float(block.scale);
    for (int e = 0; e < kSuperBlock; ++e) {
      const Place p = place(e);
      const int code = (block.nibbles[p.nibble_byte] >> p.nibble_shift & 15) |
                       (block.pairs[p.pair_byte] >> p.pair_shift & 3) << 4;
      x[e] =
          scale * static_cast<float>(block.scales[e / kSubBlock]) * static_cast<float>(code - 32);
    }
  });
}

}  // namespace

extern const Quantizer q6_k;
const Quantizer q6_k{DType::q6_k, ImportanceUse::optional,        nullptr, nullptr, encode,
                     decode,      first_infinite_scale<BlockQ6_K>};

}  // namespace quantize::schemes
