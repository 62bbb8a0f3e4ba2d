#include "pipeline/measure.hpp"

#include <cmath>

namespace quantize {
namespace {

constexpr int kLanes = 16;

struct Lanes {
  double squared_error[kLanes] = {};
  double squared_source[kLanes] = {};
  double squared_result[kLanes] = {};
  double product[kLanes] = {};
  double max_error[kLanes] = {};
};

double fold(const double* lanes) noexcept {
  double sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += lanes[i];
  return sum;
}

void add(Lanes& lanes, int lane, float source, float result) noexcept {
  const double s = static_cast<double>(source);
  const double r = static_cast<double>(result);
  const double error = s - r;
  lanes.squared_error[lane] += error * error;
  lanes.squared_source[lane] += s * s;
  lanes.squared_result[lane] += r * r;
  lanes.product[lane] += s * r;
  const double magnitude = error < 0 ? -error : error;
  lanes.max_error[lane] = magnitude > lanes.max_error[lane] ? magnitude : lanes.max_error[lane];
}

}  // namespace

ErrorStats measure(const float* source, const float* result, std::uint64_t values) noexcept {
  Lanes lanes;
  ErrorStats stats;
  stats.values = values;
  for (std::uint64_t at = 0; at < values; at += kLanes) {
    const int count = values - at < kLanes ? static_cast<int>(values - at) : kLanes;
    // One sum tells whether all of them are finite: 0 * x is NaN for infinities and NaN.
    float probe = 0;
    for (int i = 0; i < count; ++i) {
      probe += 0.0F * source[at + static_cast<unsigned>(i)] +
               0.0F * result[at + static_cast<unsigned>(i)];
    }
    if (probe == 0 && count == kLanes) {
      for (int i = 0; i < kLanes; ++i) {
        add(lanes, i, source[at + static_cast<unsigned>(i)], result[at + static_cast<unsigned>(i)]);
      }
      continue;
    }
    for (int i = 0; i < count; ++i) {
      const float s = source[at + static_cast<unsigned>(i)];
      const float r = result[at + static_cast<unsigned>(i)];
      if (!std::isfinite(s)) {
        ++stats.nonfinite;
      } else if (!std::isfinite(r)) {
        ++stats.saturated;
      } else {
        add(lanes, i, s, r);
      }
    }
  }
  stats.sum_squared_error = fold(lanes.squared_error);
  stats.sum_squared_source = fold(lanes.squared_source);
  stats.sum_squared_result = fold(lanes.squared_result);
  stats.sum_product = fold(lanes.product);
  for (const double m : lanes.max_error)
    stats.max_abs_error = m > stats.max_abs_error ? m : stats.max_abs_error;
  return stats;
}

}  // namespace quantize
