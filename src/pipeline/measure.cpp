#include "pipeline/measure.hpp"

#include <bit>
#include <cmath>
#include <cstring>

namespace quantize {
namespace {

constexpr int kLanes = kErrorLanes;
constexpr int kWidth = 2;  // doubles in a vector register
using Doubles = double __attribute__((vector_size(kWidth * sizeof(double))));

// Adding one to the exponent carries into the sign's place from all ones only.
bool all_finite(const float* values, std::uint64_t count) noexcept {
  std::uint32_t carries = 0;
  for (std::uint64_t i = 0; i < count; ++i)
    carries |= (std::bit_cast<std::uint32_t>(values[i]) & 0x7F800000U) + 0x00800000U;
  return carries >> 31 == 0;
}

Doubles widen(const float* from) noexcept {
  Doubles wide;
  for (int i = 0; i < kWidth; ++i) wide[i] = static_cast<double>(from[i]);
  return wide;
}

// The sums of kWidth neighbouring lanes.
struct Sums {
  Doubles squared_error, squared_source, squared_result, product, max_error;

  template <class Move>
  static void each(Sums& sums, ErrorLanes& lanes, int lane, Move move) noexcept {
    move(sums.squared_error, lanes.squared_error + lane);
    move(sums.squared_source, lanes.squared_source + lane);
    move(sums.squared_result, lanes.squared_result + lane);
    move(sums.product, lanes.product + lane);
    move(sums.max_error, lanes.max_error + lane);
  }
  void load(ErrorLanes& lanes, int lane) noexcept {
    each(*this, lanes, lane, [](Doubles& sum, double* at) { std::memcpy(&sum, at, sizeof sum); });
  }
  void store(ErrorLanes& lanes, int lane) noexcept {
    each(*this, lanes, lane, [](Doubles& sum, double* at) { std::memcpy(at, &sum, sizeof sum); });
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

// Finite values, `count` a multiple of kLanes.
void add_finite(ErrorLanes& lanes, const float* source, const float* result,
                std::uint64_t count) noexcept {
  // Two vectors of lanes at a time, so that their sums stay in registers; the values are in the
  // nearest cache, and passing over them again for the next lanes costs little.
  for (int lane = 0; lane < kLanes; lane += 2 * kWidth) {
    Sums low, high;
    low.load(lanes, lane);
    high.load(lanes, lane + kWidth);
    for (std::uint64_t at = static_cast<unsigned>(lane); at < count; at += kLanes) {
      low.add(source + at, result + at);
      high.add(source + at + kWidth, result + at + kWidth);
    }
    low.store(lanes, lane);
    high.store(lanes, lane + kWidth);
  }
}

double fold(const double* lanes) noexcept {
  double sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

}  // namespace

void ErrorSums::add(std::uint64_t first, const float* source, const float* result,
                    std::uint64_t count) noexcept {
  values_ += count;
  std::uint64_t done = 0;
  if (first % kLanes == 0 && all_finite(source, count) && all_finite(result, count)) {
    done = count / kLanes * kLanes;
    add_finite(lanes_, source, result, done);
  }
  for (; done < count; ++done) add_one((first + done) % kLanes, source[done], result[done]);
}

void ErrorSums::add_one(std::uint64_t lane, float source, float result) noexcept {
  if (!std::isfinite(source)) {
    ++nonfinite_;
    return;
  }
  if (!std::isfinite(result)) {
    ++saturated_;
    return;
  }
  const double s = static_cast<double>(source);
  const double r = static_cast<double>(result);
  const double error = s - r;
  lanes_.squared_error[lane] += error * error;
  lanes_.squared_source[lane] += s * s;
  lanes_.squared_result[lane] += r * r;
  lanes_.product[lane] += s * r;
  lanes_.max_error[lane] = std::fmax(lanes_.max_error[lane], std::fabs(error));
}

ErrorStats ErrorSums::total() const noexcept {
  ErrorStats stats;
  stats.values = values_;
  stats.sum_squared_error = fold(lanes_.squared_error);
  stats.sum_squared_source = fold(lanes_.squared_source);
  stats.sum_squared_result = fold(lanes_.squared_result);
  stats.sum_product = fold(lanes_.product);
  for (const double m : lanes_.max_error)
    stats.max_abs_error = m > stats.max_abs_error ? m : stats.max_abs_error;
  stats.nonfinite = nonfinite_;
  stats.saturated = saturated_;
  return stats;
}

}  // namespace quantize
