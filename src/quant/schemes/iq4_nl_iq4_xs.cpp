// Codes name one of 16 levels, dense around zero. IQ4_NL: 32 values in 18 bytes, 4.5 bits per
// value. IQ4_XS: 256 values in 136 bytes, 4.25; 8 sub-blocks of 32.
//
//   IQ4_NL   0..1 scale (half)   2..17 nibbles: value i low in byte i, value i + 16 high
//   IQ4_XS   0..1 scale (half)   2..3 high pairs of the sub-scales, lowest first
//            4..7 low nibbles of the sub-scales   8..135 per sub-block nibbles as IQ4_NL
//
//   IQ4_NL   value = scale * level
//   IQ4_XS   value = (scale * (s[sub-block] - 32)) * level
#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

constexpr int kSubBlocks = 8;
constexpr int kSubBlock = 32;

constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};

// The code of the nearest level; of two equally near ones the upper. 15 for NaN, which is what
// values come to whose squares overflow.
std::uint8_t nearest_level(float x) noexcept {
  int code = 0;
  for (int i = 0; i < 15; ++i) code += x < (kLevels[i] + kLevels[i + 1]) / 2 ? 0 : 1;
  return static_cast<std::uint8_t>(code);
}

struct BlockIQ4_NL {
  static constexpr int kValues = 32;
  std::uint16_t scale;
  std::uint8_t nibbles[16];

  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) x[e] = d * kLevels[nibble(nibbles, e)];
  }
};
static_assert(sizeof(BlockIQ4_NL) == 18);

struct BlockIQ4_XS {
  static constexpr int kValues = 256;
  std::uint16_t scale;
  std::uint16_t scales_high;
  std::uint8_t scales_low[4];
  std::uint8_t nibbles[128];

  void set_scale_code(int j, int code) noexcept {
    scales_low[j / 2] = static_cast<std::uint8_t>(scales_low[j / 2] | (code & 15) << (4 * (j % 2)));
    scales_high = static_cast<std::uint16_t>(scales_high | (code >> 4) << (2 * j));
  }
  int scale_code(int j) const noexcept {
    return (scales_low[j / 2] >> (4 * (j % 2)) & 15) | (scales_high >> (2 * j) & 3) << 4;
  }
  void decode(float* x) const noexcept {
    for (int e = 0; e < kValues; ++e) {
      const int j = e / kSubBlock;
      const float d = half_to_float(scale) * static_cast<float>(scale_code(j) - 32);
      x[e] = d * kLevels[nibble(nibbles + 16 * j, e % kSubBlock)];
    }
  }
};
static_assert(sizeof(BlockIQ4_XS) == 136);

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
