// The definition of IQ4_NL and IQ4_XS; the blocks are drawn in iq4_nl_iq4_xs.hpp.
#include "quant/schemes/iq4_nl_iq4_xs.hpp"

namespace quantize::schemes {
namespace {

// The code of the nearest level; of two equally near ones the upper. 15 for NaN, which is what
// values come to whose squares overflow.
std::uint8_t nearest_level(float x) noexcept {
  int code = 0;
  for (int i = 0; i < 15; ++i) code += x < (kLevels[i] + kLevels[i + 1]) / 2 ? 0 : 1;
  return static_cast<std::uint8_t>(code);
}

// The scale of 32 values that fits best. First the peak is put on the level -127, then on the 15
// numbers around it; the middle one comes twice, with inverses that may differ in the last bit.
float search_scale(const float* x, const float* importance, float mean_square) noexcept {
  const search::Peak peak = search::find_peak(kSubBlock, x);
  if (peak.magnitude < search::kTiny) return 0;
  float weights[kSubBlock];
  if (importance) {
    combine_weights(x, importance, mean_square, kSubBlock, weights);
  } else {
    for (int i = 0; i < kSubBlock; ++i) weights[i] = x[i] * x[i];
  }
  float sum_lx = 0;
  float sum_l2 = 0;
  const auto fit = [&](float inverse) {
    sum_lx = 0;
    sum_l2 = 0;
    for (int i = 0; i < kSubBlock; ++i) {
      const float level = kLevels[nearest_level(inverse * x[i])];
      sum_lx = sum_lx + weights[i] * level * x[i];
      sum_l2 = sum_l2 + weights[i] * level * level;
    }
  };
  fit(1 / (peak.value / 127.0F));
  float scale = sum_l2 > 0 ? sum_lx / sum_l2 : 0.0F;
  float best = scale * sum_lx;
  for (int t = -7; t <= 7; ++t) {
    fit(static_cast<float>(t - 127) / peak.value);
    if (sum_l2 > 0 && sum_lx * sum_lx > best * sum_l2) {
      scale = sum_lx / sum_l2;
      best = scale * sum_lx;
    }
  }
  return scale;
}

void set_nibbles(const float* x, float scale, std::uint8_t* nibbles) noexcept {
  const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
  std::uint8_t codes[kSubBlock];
  for (int i = 0; i < kSubBlock; ++i) codes[i] = nearest_level(inverse * x[i]);
  pack_nibbles(codes, nibbles);
}

void encode_block(const float* x, const float* importance, float, BlockIQ4_NL& block) noexcept {
  const float mean_square = sum_of_squares(x, kSubBlock) * (2.0F / 32.0F);
  const float scale = search_scale(x, importance, mean_square);
  block.scale = float_to_half(scale);
  set_nibbles(x, scale, block.nibbles);
}

void encode_block(const float* x, const float* importance, float, BlockIQ4_XS& block) noexcept {
  const float mean_square = sum_of_squares(x, kSuperBlock) * (2.0F / 256.0F);
  float scales[kSubBlocks];
  for (int j = 0; j < kSubBlocks; ++j) {
    const int at = kSubBlock * j;
    scales[j] = search_scale(x + at, importance ? importance + at : nullptr, mean_square);
  }
  // What follows uses the scale as it was before it became a half.
  const float scale = -search::find_peak(kSubBlocks, scales).value / 32.0F;
  const float inverse = scale != 0 ? 1.0F / scale : 0.0F;
  block.scale = float_to_half(scale);
  for (int j = 0; j < kSubBlocks; ++j) {
    const int code = search::clamp(search::nearest_int(inverse * scales[j]), -32, 31);
    block.set_scale_code(j, code + 32);
    set_nibbles(x + kSubBlock * j, scale * static_cast<float>(code), block.nibbles + 16 * j);
  }
}

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<Block, Block::kValues>(
      in, out, [](const float* x, const float* importance, float statistic, Block& block) {
        encode_block(x, importance, statistic, block);
      });
}

}  // namespace

extern const Quantizer iq4_nl;
extern const Quantizer iq4_xs;
const Quantizer iq4_nl{DType::iq4_nl,
                       ImportanceUse::optional,
                       nullptr,
                       nullptr,
                       encode<BlockIQ4_NL>,
                       decode_blocks<BlockIQ4_NL>,
                       first_infinite_scale<BlockIQ4_NL>};
const Quantizer iq4_xs{DType::iq4_xs,
                       ImportanceUse::optional,
                       nullptr,
                       nullptr,
                       encode<BlockIQ4_XS>,
                       decode_blocks<BlockIQ4_XS>,
                       first_infinite_scale<BlockIQ4_XS>};

}  // namespace quantize::schemes
