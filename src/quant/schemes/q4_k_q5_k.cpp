// Q4_K: 256 values in 144 bytes, 4.5 bits per value. Q5_K: 176 bytes, 5.5. 8 sub-blocks of 32.
//
//   both   0..1 scale   2..3 min (halves)   4..15 eight pairs of 6-bit scale and min (see
//   SubScales) Q4_K   16..143 nibbles: sub-blocks 2c (low) and 2c + 1 (high) share 32 bytes
//   Q5_K   16..47 fifth bits: value e in byte e mod 32, bit e / 32   48..175 nibbles as Q4_K
//
//   value = (scale * s[sub-block]) * code - min * m[sub-block]
#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

constexpr int kSubBlocks = 8;
constexpr int kSubBlock = 32;

// Sub-blocks 0..3 fill the low six bits of bytes 0..3 (scales) and 4..7 (mins); of sub-blocks 4..7
// the low nibbles share bytes 8..11 and the two high bits go on top of bytes 0..7.
struct SubScales {
  std::uint8_t bytes[12];

  void set(int j, int scale, int min) noexcept {
    const auto add = [this](int at, int bits) {
      bytes[at] = static_cast<std::uint8_t>(bytes[at] | bits);
    };
    if (j < 4) {
      add(j, scale);
      add(j + 4, min);
    } else {
      add(j + 4, (scale & 15) | (min & 15) << 4);
      add(j - 4, (scale >> 4) << 6);
      add(j, (min >> 4) << 6);
    }
  }
  int scale(int j) const noexcept {
    return j < 4 ? bytes[j] & 63 : (bytes[j + 4] & 15) | (bytes[j - 4] >> 6) << 4;
  }
  int min(int j) const noexcept {
    return j < 4 ? bytes[j + 4] & 63 : bytes[j + 4] >> 4 | (bytes[j] >> 6) << 4;
  }
};

void set_nibbles(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  for (int e = 0; e < 128; ++e) {
    const std::uint8_t* pair = codes + 64 * (e / 32) + e % 32;
    bytes[e] = static_cast<std::uint8_t>((pair[0] & 15) | (pair[32] & 15) << 4);
  }
}
int get_nibble(const std::uint8_t* bytes, int e) noexcept {
  return bytes[32 * (e / 64) + e % 32] >> (4 * (e / 32 % 2)) & 15;
}

struct BlockQ4_K {
  static constexpr int kTop = 15;
  static constexpr search::GridStep kSteps{-1.0F, 0.1F, 20, false};
  std::uint16_t scale;
  std::uint16_t min;
  SubScales sub;
  std::uint8_t nibbles[128];

  void set_codes(const std::uint8_t* codes) noexcept { set_nibbles(codes, nibbles); }
  int code(int e) const noexcept { return get_nibble(nibbles, e); }
};
static_assert(sizeof(BlockQ4_K) == 144);

struct BlockQ5_K {
  static constexpr int kTop = 31;
  static constexpr search::GridStep kSteps{-0.5F, 0.1F, 15, false};
  std::uint16_t scale;
  std::uint16_t min;
  SubScales sub;
  std::uint8_t fifth_bits[32];
  std::uint8_t nibbles[128];

  void set_codes(const std::uint8_t* codes) noexcept {
    set_nibbles(codes, nibbles);
    for (int e = 0; e < kSuperBlock; ++e) {
      fifth_bits[e % 32] =
          static_cast<std::uint8_t>(fifth_bits[e % 32] | (codes[e] >> 4 & 1) << (e / 32));
    }
  }
  int code(int e) const noexcept {
    return get_nibble(nibbles, e) | (fifth_bits[e % 32] >> (e / 32) & 1) << 4;
  }
};
static_assert(sizeof(BlockQ5_K) == 176);

constexpr search::GridStep kStepsWithImportance{-0.9F, 0.05F, 36, false};

// Sub-scales to six bits by their largest, without weights. Returns the scale of the scales.
float quantize_by_largest(const float* x, std::uint8_t* codes) noexcept {
  float max = 0;
  for (int j = 0; j < kSubBlocks; ++j) max = x[j] > max ? x[j] : max;
  const float inverse = max > 0 ? 63.0F / max : 0.0F;
  for (int j = 0; j < kSubBlocks; ++j) {
    const auto code = static_cast<std::uint8_t>(search::nearest_int(inverse * x[j]));
    codes[j] = code < 63 ? code : 63;
  }
  return max / 63.0F;
}

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
    block.scale = float_to_half(quantize_by_largest(scales, scale_codes));
    block.min = float_to_half(quantize_by_largest(mins, min_codes));
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

template <class Block>
std::optional<std::uint64_t> first_invalid(const std::byte* in, std::uint64_t count) noexcept {
  return first_block_that_is_not<Block>(
      in, count, [](const Block& b) { return half_is_finite(b.scale) && half_is_finite(b.min); });
}

}  // namespace

extern const Quantizer q4_k;
extern const Quantizer q5_k;
const Quantizer q4_k{
    DType::q4_k,       ImportanceUse::optional, nullptr, nullptr, encode<BlockQ4_K>,
    decode<BlockQ4_K>, first_invalid<BlockQ4_K>};
const Quantizer q5_k{
    DType::q5_k,       ImportanceUse::optional, nullptr, nullptr, encode<BlockQ5_K>,
    decode<BlockQ5_K>, first_invalid<BlockQ5_K>};

}  // namespace quantize::schemes
