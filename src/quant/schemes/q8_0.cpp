// The definition of Q8_0; the block is drawn in q8_0.hpp.
#include "quant/schemes/q8_0.hpp"

namespace quantize::schemes {
namespace {

void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<BlockQ8_0, 32>(in, out, [](const float* x, const float*, float, BlockQ8_0& block) {
    const float scale = largest_magnitude(x, 32) / 127.0F;
    const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
    block.scale = float_to_half(scale);
    for (int i = 0; i < 32; ++i) {
      block.codes[i] = static_cast<std::int8_t>(round_half_away(x[i] * inverse));
    }
  });
}

void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<BlockQ8_0, 32>(in, values, out, [](const BlockQ8_0& block, float* x) {
    const float scale = half_to_float(block.scale);
    for (int e = 0; e < 32; ++e) x[e] = static_cast<float>(block.codes[e]) * scale;
  });
}

}  // namespace

extern const Quantizer q8_0;
const Quantizer q8_0{DType::q8_0, ImportanceUse::unused,          nullptr, nullptr, encode,
                     decode,      first_infinite_scale<BlockQ8_0>};

}  // namespace quantize::schemes
