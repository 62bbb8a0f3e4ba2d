// The figures behind "what did it cost", from the sums that the pipeline collected.
#include <algorithm>
#include <cmath>
#include <limits>

#include "quantize/report.hpp"

namespace quantize {

void ErrorStats::merge(const ErrorStats& next) noexcept {
  values += next.values;
  sum_squared_error += next.sum_squared_error;
  sum_squared_source += next.sum_squared_source;
  sum_squared_result += next.sum_squared_result;
  sum_product += next.sum_product;
  max_abs_error = std::max(max_abs_error, next.max_abs_error);
  nonfinite += next.nonfinite;
  saturated += next.saturated;
}

double ErrorStats::relative_rmse() const noexcept {
  // An all-zero source that stayed zero lost nothing; one that did not has no scale to compare
  // with.
  if (sum_squared_error == 0) return 0;
  return std::sqrt(sum_squared_error / sum_squared_source);
}

double ErrorStats::snr_db() const noexcept {
  if (sum_squared_error == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(sum_squared_source / sum_squared_error);
}

double ErrorStats::cosine() const noexcept {
  if (sum_squared_source == 0 && sum_squared_result == 0) return 1;
  const double norms = std::sqrt(sum_squared_source) * std::sqrt(sum_squared_result);
  return norms == 0 ? 0 : std::min(1.0, sum_product / norms);
}

}  // namespace quantize
