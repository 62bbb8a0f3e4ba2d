// Plain element types to and from float. Only f32, f16 and bf16 are ever written; the others are
// decoded: f64 by narrowing, integers by conversion, 8-bit floats by their definition.
#include "quant/plain.hpp"

#include <bit>
#include <cmath>
#include <cstring>

#include "core/float16.hpp"
#include "core/small_floats.hpp"

namespace quantize {
namespace {

template <class T>
T load(const std::byte* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void decode_number(const std::byte* in, std::uint64_t values, float* out) noexcept {
  for (std::uint64_t i = 0; i < values; ++i)
    out[i] = static_cast<float>(load<T>(in + i * sizeof(T)));
}

void decode_f32(const std::byte* in, std::uint64_t values, float* out) noexcept {
  if (values != 0) std::memcpy(out, in, values * sizeof(float));
}
void decode_f16(const std::byte* in, std::uint64_t values, float* out) noexcept {
  for (std::uint64_t i = 0; i < values; ++i)
    out[i] = half_to_float(load<std::uint16_t>(in + 2 * i));
}
void decode_bf16(const std::byte* in, std::uint64_t values, float* out) noexcept {
  for (std::uint64_t i = 0; i < values; ++i)
    out[i] = bfloat16_to_float(load<std::uint16_t>(in + 2 * i));
}

void decode_e4m3(const std::byte* in, std::uint64_t values, float* out) noexcept {
  for (std::uint64_t i = 0; i < values; ++i) out[i] = e4m3_to_float(load<std::uint8_t>(in + i));
}
void decode_e5m2(const std::byte* in, std::uint64_t values, float* out) noexcept {
  for (std::uint64_t i = 0; i < values; ++i) out[i] = e5m2_to_float(load<std::uint8_t>(in + i));
}

std::uint64_t count(const EncodeInput& in) noexcept { return in.rows * in.row_values; }

void encode_f32(const EncodeInput& in, std::byte* out) noexcept {
  if (count(in) != 0) std::memcpy(out, in.values, count(in) * sizeof(float));
}
template <std::uint16_t (*kConvert)(float) noexcept>
void encode_16(const EncodeInput& in, std::byte* out) noexcept {
  // By value: `out` may alias anything, the input's description included.
  const float* values = in.values;
  const std::uint64_t total = count(in);
  for (std::uint64_t i = 0; i < total; ++i) {
    const std::uint16_t bits = kConvert(values[i]);
    std::memcpy(out + 2 * i, &bits, sizeof bits);
  }
}

// Infinity and NaN: all exponent bits set, so that one more carries into the sign's place. A whole
// group is tested at once; only the one that holds such a value is searched.
template <class T, T kExponent>
std::optional<std::uint64_t> first_nonfinite(const std::byte* in, std::uint64_t values) noexcept {
  constexpr std::uint64_t kGroup = 1024;
  constexpr T kLowestExponentBit = kExponent & (~kExponent + 1);
  for (std::uint64_t at = 0; at < values; at += kGroup) {
    const std::uint64_t end = values - at < kGroup ? values : at + kGroup;
    T carries = 0;
    for (std::uint64_t i = at; i < end; ++i) {
      const T exponent = load<T>(in + i * sizeof(T)) & kExponent;
      carries = static_cast<T>(carries | (exponent + kLowestExponentBit));
    }
    if (carries >> (8 * sizeof(T) - 1) == 0) continue;
    for (std::uint64_t i = at; i < end; ++i)
      if ((load<T>(in + i * sizeof(T)) & kExponent) == kExponent) return i;
  }
  return std::nullopt;
}

// For types that need their conversion to tell: f64 may narrow to infinity.
template <class T, void (*kDecode)(const std::byte*, std::uint64_t, float*) noexcept>
std::optional<std::uint64_t> first_decoded_nonfinite(const std::byte* in,
                                                     std::uint64_t values) noexcept {
  for (std::uint64_t i = 0; i < values; ++i) {
    float value = 0;
    kDecode(in + i * sizeof(T), 1, &value);
    if (!std::isfinite(value)) return i;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> all_valid(const std::byte*, std::uint64_t) noexcept {
  return std::nullopt;
}

using enum ImportanceUse;
constexpr Quantizer decoder(DType type,
                            void (*decode)(const std::byte*, std::uint64_t, float*) noexcept,
                            decltype(Quantizer::first_invalid) first_invalid = all_valid) {
  return {type, unused, nullptr, nullptr, nullptr, decode, first_invalid};
}

constexpr Quantizer kPlain[] = {
    {DType::f32, unused, nullptr, nullptr, encode_f32, decode_f32,
     first_nonfinite<std::uint32_t, 0x7F800000U>},
    {DType::f16, unused, nullptr, nullptr, encode_16<float_to_half>, decode_f16,
     first_nonfinite<std::uint16_t, 0x7C00>},
    {DType::bf16, unused, nullptr, nullptr, encode_16<float_to_bfloat16>, decode_bf16,
     first_nonfinite<std::uint16_t, 0x7F80>},
    decoder(DType::f64, decode_number<double>,
            first_decoded_nonfinite<double, decode_number<double>>),
    decoder(DType::i8, decode_number<std::int8_t>),
    decoder(DType::i16, decode_number<std::int16_t>),
    decoder(DType::i32, decode_number<std::int32_t>),
    decoder(DType::i64, decode_number<std::int64_t>),
    decoder(DType::boolean, decode_number<std::uint8_t>),
    decoder(DType::u8, decode_number<std::uint8_t>),
    decoder(DType::u16, decode_number<std::uint16_t>),
    decoder(DType::u32, decode_number<std::uint32_t>),
    decoder(DType::u64, decode_number<std::uint64_t>),
    decoder(DType::f8_e4m3, decode_e4m3, first_decoded_nonfinite<std::uint8_t, decode_e4m3>),
    decoder(DType::f8_e5m2, decode_e5m2, first_decoded_nonfinite<std::uint8_t, decode_e5m2>),
};

}  // namespace

std::span<const Quantizer> plain_types() noexcept { return kPlain; }

}  // namespace quantize
