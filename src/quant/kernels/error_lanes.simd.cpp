// Error sums in vectors of doubles. The compiler's own vectors serve here: sums, products and a
// maximum of doubles, nothing of which the closed set has or needs.
#include "quant/error_lanes.hpp"

#include "quant/kernels/simd.hpp"

namespace quantize::kernels {
namespace {

constexpr int kWidth = kNativeLanes / 2;
using Floats = float __attribute__((vector_size(kWidth * sizeof(float))));
using Doubles = double __attribute__((vector_size(kWidth * sizeof(double))));

inline Doubles widen(const float* from) noexcept {
  Floats narrow;
  __builtin_memcpy(&narrow, from, sizeof narrow);
  return __builtin_convertvector(narrow, Doubles);
}

inline void copy(void* to, const void* from) noexcept {
  __builtin_memcpy(to, from, sizeof(Doubles));
}

// The sums of kWidth neighbouring lanes.
struct Sums {
  Doubles squared_error, squared_source, squared_result, product, max_error;

  void load(const ErrorLanes& lanes, int lane) noexcept {
    copy(&squared_error, lanes.squared_error + lane);
    copy(&squared_source, lanes.squared_source + lane);
    copy(&squared_result, lanes.squared_result + lane);
    copy(&product, lanes.product + lane);
    copy(&max_error, lanes.max_error + lane);
  }
  void store(ErrorLanes& lanes, int lane) const noexcept {
    copy(lanes.squared_error + lane, &squared_error);
    copy(lanes.squared_source + lane, &squared_source);
    copy(lanes.squared_result + lane, &squared_result);
    copy(lanes.product + lane, &product);
    copy(lanes.max_error + lane, &max_error);
  }
  void add(const float* source, const float* result) noexcept {
    const Doubles s = widen(source);
    const Doubles r = widen(result);
    const Doubles error = s - r;
    squared_error += error * error;
    squared_source += s * s;
    squared_result += r * r;
    product += s * r;
    const Doubles magnitude = error < 0 ? -error : error;
    max_error = magnitude > max_error ? magnitude : max_error;
  }
};

// Adding one to the exponent carries into the sign's place from all ones only.
inline bool all_finite(const float* values, std::uint64_t count) noexcept {
  std::uint32_t carries = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint32_t bits = 0;
    __builtin_memcpy(&bits, values + i, sizeof bits);
    carries |= (bits & 0x7F800000U) + 0x00800000U;
  }
  return carries >> 31 == 0;
}

}  // namespace

namespace QUANTIZE_ISA {

bool add_errors(ErrorLanes& lanes, const float* source, const float* result,
                std::uint64_t count) noexcept {
  if (!all_finite(source, count) || !all_finite(result, count)) return false;
  // Two vectors of lanes at a time, so that their sums stay in registers; the values are in the
  // nearest cache, and passing over them again for the next lanes costs little.
  for (int lane = 0; lane < kErrorLanes; lane += 2 * kWidth) {
    Sums low, high;
    low.load(lanes, lane);
    high.load(lanes, lane + kWidth);
    for (std::uint64_t at = static_cast<unsigned>(lane); at < count; at += kErrorLanes) {
      low.add(source + at, result + at);
      high.add(source + at + kWidth, result + at + kWidth);
    }
    low.store(lanes, lane);
    high.store(lanes, lane + kWidth);
  }
  return true;
}

}  // namespace QUANTIZE_ISA
}  // namespace quantize::kernels
