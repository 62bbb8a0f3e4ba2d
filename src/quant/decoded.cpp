// Each type is a struct of its block, and a decode() that is its definition. Scales are halves
// unless said otherwise. e counts the values of a block; where groups share an index or a scale,
// the group's number is e divided by its length.
#include "quant/decoded.hpp"

#include <cmath>

#include "quant/blocks.hpp"

namespace quantize {
namespace {

using schemes::half_is_finite;
using schemes::nibble;

// Non-linear levels of four bits, and the doubled values of the 4-bit float E2M1.
constexpr float kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                               1,    13,   25,  38,  53,  69,  89,  113};
constexpr float kFloat4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Four-bit scale codes, two to a byte.
int scale_nibble(const std::uint8_t* scales, int j) noexcept {
  return scales[j / 2] >> (4 * (j % 2)) & 15;
}

struct BlockQ1_0 {
  static constexpr int kValues = 128;
  std::uint16_t scale;
  std::uint8_t bits[16];

  bool valid() const noexcept { return half_is_finite(scale); }
  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) x[e] = (bits[e / 8] >> (e % 8) & 1) != 0 ? d : -d;
  }
};

struct BlockQ2_0 {
  static constexpr int kValues = 64;
  std::uint16_t scale;
  std::uint8_t pairs[16];

  bool valid() const noexcept { return half_is_finite(scale); }
  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) {
      x[e] = static_cast<float>((pairs[e / 4] >> (2 * (e % 4)) & 3) - 1) * d;
    }
  }
};

// Five base-3 digits to a byte, as a fraction of 256; the last four bytes hold four each.
struct BlockTQ1_0 {
  static constexpr int kValues = 256;
  std::uint8_t fives[48];
  std::uint8_t fours[4];
  std::uint16_t scale;

  static float digit(unsigned byte, int n) noexcept {
    constexpr unsigned kPowers[5] = {1, 3, 9, 27, 81};
    const unsigned rest = byte * kPowers[n] & 255U;
    return static_cast<float>(static_cast<int>(rest * 3 >> 8) - 1);
  }
  bool valid() const noexcept { return half_is_finite(scale); }
  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < 160; ++e) x[e] = digit(fives[e % 32], e / 32) * d;
    for (int e = 0; e < 80; ++e) x[160 + e] = digit(fives[32 + e % 16], e / 16) * d;
    for (int e = 0; e < 16; ++e) x[240 + e] = digit(fours[e % 4], e / 4) * d;
  }
};

struct BlockTQ2_0 {
  static constexpr int kValues = 256;
  std::uint8_t pairs[64];
  std::uint16_t scale;

  bool valid() const noexcept { return half_is_finite(scale); }
  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) {
      x[e] = static_cast<float>(schemes::two_bits(pairs, e) - 1) * d;
    }
  }
};

// The scale is a power of two, 2^(exponent - 127), halved because kFloat4 is doubled.
struct BlockMXFP4 {
  static constexpr int kValues = 32;
  std::uint8_t exponent;
  std::uint8_t nibbles[16];

  bool valid() const noexcept { return exponent != 255; }
  void decode(float* x) const noexcept {
    const float d = std::ldexp(1.0F, exponent - 128);
    for (int e = 0; e < kValues; ++e) x[e] = kFloat4[nibble(nibbles, e)] * d;
  }
};

// Four groups of 16, each with an unsigned 8-bit float of bias 7 as its scale, halved as above.
struct BlockNVFP4 {
  static constexpr int kValues = 64;
  std::uint8_t scales[4];
  std::uint8_t nibbles[32];

  static float scale(int code) noexcept {
    if (code == 0 || code == 0x7F) return 0;
    const int exponent = code >> 3 & 15;
    const int mantissa = code & 7;
    return exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -10)
                         : std::ldexp(static_cast<float>(8 + mantissa), exponent - 11);
  }
  bool valid() const noexcept { return true; }
  void decode(float* x) const noexcept {
    for (int e = 0; e < kValues; ++e) {
      const int group = e / 16;
      const int i = e % 16;
      const int byte = nibbles[8 * group + i % 8];
      x[e] = kFloat4[i < 8 ? byte & 15 : byte >> 4] * scale(scales[group]);
    }
  }
};

struct BlockIQ4_NL {
  static constexpr int kValues = 32;
  std::uint16_t scale;
  std::uint8_t nibbles[16];

  bool valid() const noexcept { return half_is_finite(scale); }
  void decode(float* x) const noexcept {
    const float d = half_to_float(scale);
    for (int e = 0; e < kValues; ++e) x[e] = d * kLevels[nibble(nibbles, e)];
  }
};

// Eight sub-blocks of 32, each with a 6-bit scale: four bits here, two there.
struct BlockIQ4_XS {
  static constexpr int kValues = 256;
  std::uint16_t scale;
  std::uint16_t scales_high;
  std::uint8_t scales_low[4];
  std::uint8_t nibbles[128];

  bool valid() const noexcept { return half_is_finite(scale); }
  void decode(float* x) const noexcept {
    for (int e = 0; e < kValues; ++e) {
      const int j = e / 32;
      const int code = scale_nibble(scales_low, j) | (scales_high >> (2 * j) & 3) << 4;
      const float d = half_to_float(scale) * static_cast<float>(code - 32);
      x[e] = d * kLevels[nibble(nibbles + 16 * j, e % 32)];
    }
  }
};

template <class Block>
void decode(const std::byte* in, std::uint64_t values, float* out) noexcept {
  schemes::decode_each_block<Block, Block::kValues>(
      in, values, out, [](const Block& block, float* x) { block.decode(x); });
}

template <class Block>
std::optional<std::uint64_t> first_invalid(const std::byte* in, std::uint64_t count) noexcept {
  return schemes::first_block_that_is_not<Block>(in, count,
                                                 [](const Block& block) { return block.valid(); });
}

// The size is that of types.def, repeated so that a struct cannot drift from its row.
template <class Block, std::size_t kBytes>
constexpr Quantizer row(DType type) {
  static_assert(sizeof(Block) == kBytes);
  return {type,          ImportanceUse::unused, nullptr, nullptr, nullptr,
          decode<Block>, first_invalid<Block>};
}

constexpr Quantizer kDecoded[] = {

    row<BlockIQ4_NL, 18>(DType::iq4_nl),

    row<BlockIQ4_XS, 136>(DType::iq4_xs), row<BlockTQ1_0, 54>(DType::tq1_0),
    row<BlockTQ2_0, 66>(DType::tq2_0),    row<BlockMXFP4, 17>(DType::mxfp4),
    row<BlockNVFP4, 36>(DType::nvfp4),    row<BlockQ1_0, 18>(DType::q1_0),
    row<BlockQ2_0, 18>(DType::q2_0),
};

}  // namespace

std::span<const Quantizer> decoded_types() noexcept { return kDecoded; }

}  // namespace quantize
