#include "quant/lattice.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "quantize/error.hpp"
#include "quantize/quantizer.hpp"

#include "core/float16.hpp"

namespace quantize {
namespace {

constexpr int kMaxBlock = 256;

// A grid of whole multiples of one scale, a half.
struct Lattice {
  DType type;
  int lowest, highest;
  // How far the scale may be, in steps of a half, from the one that the largest value suggests.
  // Rounded values tell it only roughly; a grid so fine that most values fit is not searched.
  int search_bf16, search_f16;
  void (*pack)(std::uint16_t scale, const std::int8_t* multiples, std::byte* block);
};

void put_scale(std::uint16_t scale, std::byte* at) { std::memcpy(at, &scale, sizeof scale); }

// Value i is low in byte i, value i + 16 high.
void put_nibbles(const std::int8_t* multiples, int offset, std::byte* at) {
  for (int i = 0; i < 16; ++i) {
    const int low = (multiples[i] + offset) & 15, high = (multiples[i + 16] + offset) & 15;
    at[i] = static_cast<std::byte>(low | high << 4);
  }
}

void pack_tq2_0(std::uint16_t scale, const std::int8_t* multiples, std::byte* block) {
  for (int i = 0; i < 64; ++i) {
    const std::int8_t* first = multiples + i / 32 * 128 + i % 32;
    int byte = 0;
    for (int k = 0; k < 4; ++k) byte |= (first[32 * k] + 1) << (2 * k);
    block[i] = static_cast<std::byte>(byte);
  }
  put_scale(scale, block + 64);
}
void pack_q4_0(std::uint16_t scale, const std::int8_t* multiples, std::byte* block) {
  put_scale(scale, block);
  put_nibbles(multiples, 8, block + 2);
}
void pack_q5_0(std::uint16_t scale, const std::int8_t* multiples, std::byte* block) {
  put_scale(scale, block);
  std::uint32_t fifth = 0;
  for (int i = 0; i < 32; ++i)
    fifth |= static_cast<std::uint32_t>((multiples[i] + 16) >> 4 & 1) << i;
  std::memcpy(block + 2, &fifth, sizeof fifth);
  put_nibbles(multiples, 16, block + 6);
}
void pack_q8_0(std::uint16_t scale, const std::int8_t* multiples, std::byte* block) {
  put_scale(scale, block);
  std::memcpy(block + 2, multiples, 32);
}

constexpr Lattice kLattices[] = {{DType::tq2_0, -1, 1, 8, 1, pack_tq2_0},
                                 {DType::q4_0, -8, 7, 8, 1, pack_q4_0},
                                 {DType::q5_0, -16, 15, 0, 0, pack_q5_0},
                                 {DType::q8_0, -128, 127, 0, 0, pack_q8_0}};
constexpr DType kTypes[] = {DType::tq2_0, DType::q4_0, DType::q5_0, DType::q8_0};

float rounded(DType type, float x) noexcept {
  if (type == DType::bf16) return bfloat16_to_float(float_to_bfloat16(x));
  if (type == DType::f16) return half_to_float(float_to_half(x));
  return x;
}

// The multiples of `scale` that the values are, from lowest to highest; false if they are not.
bool multiples_of(float scale, const Lattice& lattice, DType rounding, const float* values,
                  int count, std::int8_t* out) noexcept {
  for (int i = 0; i < count; ++i) {
    const float multiple = std::nearbyint(values[i] / scale);
    if (!(multiple >= static_cast<float>(lattice.lowest) &&
          multiple <= static_cast<float>(lattice.highest)))
      return false;
    if (rounded(rounding, multiple * scale) != values[i]) return false;
    out[i] = static_cast<std::int8_t>(multiple);
  }
  return true;
}

bool encode_block(const Lattice& lattice, DType rounding, const float* values, int count,
                  std::byte* block) noexcept {
  float peak = 0;
  for (int i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) return false;
    peak = std::max(peak, std::fabs(values[i]));
  }
  std::int8_t multiples[kMaxBlock] = {};
  if (peak == 0) {
    lattice.pack(0, multiples, block);
    return true;
  }
  const int reach = rounding == DType::bf16  ? lattice.search_bf16
                    : rounding == DType::f16 ? lattice.search_f16
                                             : 0;
  for (int largest = -lattice.lowest; largest >= 1; --largest) {
    const int middle = float_to_half(peak / static_cast<float>(largest));
    for (int step = 0; step <= 2 * reach; ++step) {
      const int bits = middle + (step % 2 == 0 ? step / 2 : -(step + 1) / 2);
      if (bits < 1 || bits >= 0x7C00) continue;
      const float scale = half_to_float(static_cast<std::uint16_t>(bits));
      if (rounded(rounding, static_cast<float>(largest) * scale) != peak) continue;
      for (const float signed_scale : {scale, -scale}) {
        if (!multiples_of(signed_scale, lattice, rounding, values, count, multiples)) continue;
        lattice.pack(float_to_half(signed_scale), multiples, block);
        return true;
      }
    }
  }
  return false;
}

}  // namespace

std::span<const DType> lattice_types() noexcept { return kTypes; }

bool encode_exactly(DType type, DType rounding, const float* values, std::uint64_t count,
                    std::byte* blocks) {
  const auto* lattice = std::find_if(std::begin(kLattices), std::end(kLattices),
                                     [&](const Lattice& l) { return l.type == type; });
  if (lattice == std::end(kLattices)) fail(ErrorCode::BUG01, {}, {}, "a type without a lattice");
  const TypeInfo& about = info(type);
  const Quantizer& quantizer = *find_quantizer(type);
  float decoded[kMaxBlock];
  for (std::uint64_t at = 0; at < count; at += about.block_values, blocks += about.block_bytes) {
    if (!encode_block(*lattice, rounding, values + at, static_cast<int>(about.block_values),
                      blocks))
      return false;
    // The proof: what any reader will decode.
    quantizer.decode(blocks, about.block_values, decoded);
    for (std::uint32_t i = 0; i < about.block_values; ++i)
      if (rounded(rounding, decoded[i]) != values[at + i]) return false;
  }
  return true;
}

}  // namespace quantize
