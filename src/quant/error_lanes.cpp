#include "quant/error_lanes.hpp"

#include <cmath>

namespace quantize {

bool add_errors_by_definition(ErrorLanes& lanes, const float* source, const float* result,
                              std::uint64_t count) noexcept {
  for (std::uint64_t i = 0; i < count; ++i)
    if (!std::isfinite(source[i]) || !std::isfinite(result[i])) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t lane = i % kErrorLanes;
    const double s = static_cast<double>(source[i]);
    const double r = static_cast<double>(result[i]);
    const double error = s - r;
    lanes.squared_error[lane] += error * error;
    lanes.squared_source[lane] += s * s;
    lanes.squared_result[lane] += r * r;
    lanes.product[lane] += s * r;
    lanes.max_error[lane] = std::fmax(lanes.max_error[lane], std::fabs(error));
  }
  return true;
}

}  // namespace quantize
