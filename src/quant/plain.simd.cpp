// Halves, bfloat16 and E4M3 over the closed set; the definition is plain.cpp.
#include <cstring>

#include "quant/kernels/kernel.hpp"
#include "quant/kernels/small_floats.hpp"

namespace quantize::kernels::QUANTIZE_ISA {
namespace {

// A last, short vector goes through a full one beside it. By reinterpretation: the vectors' loads
// and stores ask for no alignment.
template <I (*kConvert)(F)>
void encode(const EncodeInput& in, std::byte* out) noexcept {
  const std::uint64_t total = in.rows * in.row_values;
  const float* values = in.values;
  auto* numbers = reinterpret_cast<std::uint16_t*>(out);
  std::uint64_t i = 0;
  for (; i + kNativeLanes <= total; i += kNativeLanes) {
    store(numbers + i, kConvert(F::load(values + i)));
  }
  if (i == total) return;
  float last[kNativeLanes] = {};
  std::uint16_t converted[kNativeLanes];
  std::memcpy(last, values + i, (total - i) * sizeof(float));
  store(converted, kConvert(F::load(last)));
  std::memcpy(out + 2 * i, converted, 2 * (total - i));
}

template <class Number, F (*kConvert)(I)>
void decode(const std::byte* in, std::uint64_t total, float* out) noexcept {
  const auto* numbers = reinterpret_cast<const Number*>(in);
  std::uint64_t i = 0;
  for (; i + kNativeLanes <= total; i += kNativeLanes) {
    store(out + i, kConvert(I::load(numbers + i)));
  }
  if (i == total) return;
  Number last[kNativeLanes] = {};
  float converted[kNativeLanes];
  std::memcpy(last, in + sizeof(Number) * i, sizeof(Number) * (total - i));
  store(converted, kConvert(I::load(last)));
  std::memcpy(out + i, converted, (total - i) * sizeof(float));
}

}  // namespace

extern const Kernel f16;
extern const Kernel bf16;
extern const Kernel f8_e4m3;
const Kernel f16{DType::f16, encode<float_to_half>, decode<std::uint16_t, half_to_float>};
const Kernel bf16{DType::bf16, encode<float_to_bfloat16>, decode<std::uint16_t, bfloat16_to_float>};
const Kernel f8_e4m3{DType::f8_e4m3, nullptr, decode<std::uint8_t, e4m3_value>};

}  // namespace quantize::kernels::QUANTIZE_ISA
