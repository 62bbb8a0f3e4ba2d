// What the schemes share: reading and writing halves in blocks, walking rows, and the weights that
// combine importance with the values.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#include "quantize/quantizer.hpp"

#include "core/float16.hpp"

namespace quantize::schemes {

inline constexpr int kSuperBlock = 256;

inline bool half_is_finite(std::uint16_t half) noexcept { return (half & 0x7C00U) != 0x7C00U; }

// Calls encode_block(values, importance or null, statistic, block) for every block of every row.
template <class Block, int kValues, class EncodeBlock>
void for_each_block(const EncodeInput& in, std::byte* out, EncodeBlock encode_block) noexcept {
  for (std::uint64_t row = 0; row < in.rows; ++row) {
    const float* values = in.values + row * in.row_values;
    const float statistic = in.row_statistic ? in.row_statistic[row] : 0.0F;
    for (std::uint64_t at = 0; at < in.row_values; at += kValues, out += sizeof(Block)) {
      Block block{};
      encode_block(values + at, in.importance ? in.importance + at : nullptr, statistic, block);
      std::memcpy(out, &block, sizeof block);
    }
  }
}

inline float mean_square_of_row(const float* values, std::uint64_t count) noexcept;

// The same for encoders with importance that need each row's statistic: taken here, unless the rows
// are pieces of longer ones and it was handed in.
template <class Block, int kValues, class EncodeBlock>
void for_each_block_of_rows(const EncodeInput& in, std::byte* out,
                            EncodeBlock encode_block) noexcept {
  for (std::uint64_t row = 0; row < in.rows; ++row) {
    EncodeInput one = in;
    one.rows = 1;
    one.values = in.values + row * in.row_values;
    float statistic = 0;
    if (in.row_statistic) {
      statistic = in.row_statistic[row];
    } else if (in.importance) {
      statistic = mean_square_of_row(one.values, in.row_values);
    }
    one.row_statistic = &statistic;
    for_each_block<Block, kValues>(one, out, encode_block);
    out += in.row_values / kValues * sizeof(Block);
  }
}

template <class Block, int kValues, class DecodeBlock>
void decode_each_block(const std::byte* in, std::uint64_t values, float* out,
                       DecodeBlock decode_block) noexcept {
  for (std::uint64_t at = 0; at < values; at += kValues, in += sizeof(Block)) {
    Block block;
    std::memcpy(&block, in, sizeof block);
    decode_block(block, out + at);
  }
}

// For block types that say themselves how they decode.
template <class Block>
void decode_blocks(const std::byte* in, std::uint64_t values, float* out) noexcept {
  decode_each_block<Block, Block::kValues>(in, values, out,
                                           [](const Block& block, float* x) { block.decode(x); });
}

template <class Block, class IsValid>
std::optional<std::uint64_t> first_block_that_is_not(const std::byte* in, std::uint64_t count,
                                                     IsValid is_valid) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) {
    Block block;
    std::memcpy(&block, in + i * sizeof(Block), sizeof block);
    if (!is_valid(block)) return i;
  }
  return std::nullopt;
}

// For the many types whose only float is one half.
template <class Block>
std::optional<std::uint64_t> first_infinite_scale(const std::byte* in,
                                                  std::uint64_t count) noexcept {
  return first_block_that_is_not<Block>(in, count,
                                        [](const Block& b) { return half_is_finite(b.scale); });
}

template <class Block>
std::optional<std::uint64_t> first_infinite_scale_or_min(const std::byte* in,
                                                         std::uint64_t count) noexcept {
  return first_block_that_is_not<Block>(
      in, count, [](const Block& b) { return half_is_finite(b.scale) && half_is_finite(b.min); });
}

inline float largest_magnitude(const float* x, int count) noexcept {
  float magnitude = 0;
  for (int i = 0; i < count; ++i) {
    magnitude = std::fabs(x[i]) > magnitude ? std::fabs(x[i]) : magnitude;
  }
  return magnitude;
}

inline float sum_of_squares(const float* x, int count) noexcept {
  float sum = 0;
  for (int i = 0; i < count; ++i) sum = sum + x[i] * x[i];
  return sum;
}

// weight = importance * sqrt(mean square + x^2)
inline void combine_weights(const float* x, const float* importance, float mean_square, int count,
                            float* weights) noexcept {
  for (int i = 0; i < count; ++i) weights[i] = importance[i] * std::sqrt(mean_square + x[i] * x[i]);
}

inline float sum(const float* x, int count) noexcept {
  float total = 0;
  for (int i = 0; i < count; ++i) total = total + x[i];
  return total;
}

// The row statistic of the 32-value types with importance: the mean of the squares of a whole row.
inline void add_squares(const float* values, std::uint64_t count, float& total) noexcept {
  for (std::uint64_t i = 0; i < count; ++i) total = total + values[i] * values[i];
}
inline float mean(float total, std::uint64_t row_values) noexcept {
  return total / static_cast<float>(row_values);
}
inline float mean_square_of_row(const float* values, std::uint64_t count) noexcept {
  float total = 0;
  add_squares(values, count, total);
  return mean(total, count);
}

// Four 2-bit codes share a byte: value e of a 128-value half lies in byte e mod 32, bits 2 * (e /
// 32).
inline void pack_two_bits(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  for (int half = 0; half < 2; ++half) {
    for (int i = 0; i < 32; ++i) {
      const std::uint8_t* c = codes + 128 * half + i;
      bytes[32 * half + i] = static_cast<std::uint8_t>((c[0] & 3) | (c[32] & 3) << 2 |
                                                       (c[64] & 3) << 4 | (c[96] & 3) << 6);
    }
  }
}
inline int two_bits(const std::uint8_t* bytes, int e) noexcept {
  return bytes[32 * (e / 128) + e % 32] >> (2 * (e % 128 / 32)) & 3;
}

// Nibbles of a 32-value block: values 0..15 low, 16..31 high.
inline int nibble(const std::uint8_t* bytes, int e) noexcept {
  return e < 16 ? bytes[e] & 15 : bytes[e - 16] >> 4;
}
inline void pack_nibbles(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  for (int i = 0; i < 16; ++i)
    bytes[i] = static_cast<std::uint8_t>((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

// Bit 4 of code i becomes bit i of a little-endian word. The product moves bit 0 of byte k of eight
// to bit 56 + k.
inline void pack_fifth_bits(const std::uint8_t* codes, std::uint8_t* bytes) noexcept {
  for (int i = 0; i < 4; ++i) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, codes + 8 * i, sizeof eight);
    bytes[i] =
        static_cast<std::uint8_t>((eight >> 4 & 0x0101010101010101U) * 0x0102040810204080U >> 56);
  }
}

// A C cast of float to an integer as x86 computes it: toward zero, and 0x80000000 for what does not
// fit 32 bits (NaN included), so that the low byte of an overflow is 0 on every target.
inline std::int32_t truncate(float value) noexcept {
  if (!(value > -2147483904.0F && value < 2147483648.0F)) return INT32_MIN;
  return static_cast<std::int32_t>(value);
}

// Half away from zero: 0.49999997 is the largest float below one half, so that no value below a
// tie is carried over it. What does not fit 32 bits has the low byte 0.
inline std::int32_t round_half_away(float value) noexcept {
  return truncate(value + std::copysign(0.49999997F, value));
}

}  // namespace quantize::schemes
