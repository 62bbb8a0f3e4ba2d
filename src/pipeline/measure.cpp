#include "pipeline/measure.hpp"

#include <cmath>

namespace quantize {
namespace {

double fold(const double* lanes) noexcept {
  double sum = 0;
  for (int i = 0; i < kErrorLanes; ++i) sum += lanes[i];
  return sum;
}

}  // namespace

void ErrorSums::add(std::uint64_t first, const float* source, const float* result,
                    std::uint64_t count) noexcept {
  values_ += count;
  const std::uint64_t whole = first % kErrorLanes == 0 ? count / kErrorLanes * kErrorLanes : 0;
  std::uint64_t done = active_add_errors()(lanes_, source, result, whole) ? whole : 0;
  for (; done < count; ++done) add_one((first + done) % kErrorLanes, source[done], result[done]);
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
