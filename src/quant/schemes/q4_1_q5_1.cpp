// Q4_1: 32 values in 20 bytes, 5 bits per value. Q5_1: 32 values in 24 bytes, 6.
//
//   Q4_1   0..1 scale   2..3 min (halves)   4..19 nibbles: value i low in byte i, value i + 16 high
//   Q5_1   0..1 scale   2..3 min            4..7 fifth bits, bit i of value i   8..23 nibbles
//
//   value = scale * code + min
#include <cfloat>

#include "quant/blocks.hpp"
#include "quant/searches.hpp"

namespace quantize::schemes {
namespace {

struct BlockQ4_1 {
  static constexpr int kTop = 15;
  std::uint16_t scale;
  std::uint16_t min;
  std::uint8_t nibbles[16];

  static std::uint8_t to_code(float level) noexcept {
    const int code = static_cast<std::int8_t>(truncate(level));
    return static_cast<std::uint8_t>(code < 15 ? code : 15);
  }
  void set_codes(const std::uint8_t* codes) noexcept { pack_nibbles(codes, nibbles); }
  int code(int e) const noexcept { return nibble(nibbles, e); }
};
static_assert(sizeof(BlockQ4_1) == 20);

struct BlockQ5_1 {
  static constexpr int kTop = 31;
  std::uint16_t scale;
  std::uint16_t min;
  std::uint8_t fifth_bits[4];
  std::uint8_t nibbles[16];

  static std::uint8_t to_code(float level) noexcept {
    return static_cast<std::uint8_t>(truncate(level));
  }
  void set_codes(const std::uint8_t* codes) noexcept {
    pack_nibbles(codes, nibbles);
    pack_fifth_bits(codes, fifth_bits);
  }
  int code(int e) const noexcept {
    return nibble(nibbles, e) | (fifth_bits[e / 8] >> (e % 8) & 1) << 4;
  }
};
static_assert(sizeof(BlockQ5_1) == 24);

constexpr search::GridStep kSteps{-0.9F, 0.05F, 36, false};

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
  block.set_codes(codes);
}

template <class Block>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  for_each_block<Block, 32>(in, out, encode_block<Block>);
}

template <class Block>
void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<Block, 32>(in, values, out, [](const Block& block, float* x) {
    const float scale = half_to_float(block.scale);
    const float min = half_to_float(block.min);
    for (int e = 0; e < 32; ++e) x[e] = static_cast<float>(block.code(e)) * scale + min;
  });
}

template <class Block>
std::optional<std::uint64_t> first_invalid(const std::byte* in, std::uint64_t count) noexcept {
  return first_block_that_is_not<Block>(
      in, count, [](const Block& b) { return half_is_finite(b.scale) && half_is_finite(b.min); });
}

}  // namespace

extern const Quantizer q4_1;
extern const Quantizer q5_1;
const Quantizer q4_1{
    DType::q4_1,       ImportanceUse::optional, add_squares, mean, encode<BlockQ4_1>,
    decode<BlockQ4_1>, first_invalid<BlockQ4_1>};
const Quantizer q5_1{
    DType::q5_1,       ImportanceUse::optional, add_squares, mean, encode<BlockQ5_1>,
    decode<BlockQ5_1>, first_invalid<BlockQ5_1>};

}  // namespace quantize::schemes
