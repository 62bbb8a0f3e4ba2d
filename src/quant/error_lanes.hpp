// What an encoding lost, as sums in 16 interleaved lanes (lane = index mod 16): an order of
// addition that every instruction set can keep, so that the figures depend on none.
#pragma once

#include <cstdint>
#include <string_view>

namespace quantize {

inline constexpr int kErrorLanes = 16;

struct ErrorLanes {
  double squared_error[kErrorLanes] = {};
  double squared_source[kErrorLanes] = {};
  double squared_result[kErrorLanes] = {};
  double product[kErrorLanes] = {};
  double max_error[kErrorLanes] = {};
};

// Adds `count` values, a multiple of kErrorLanes. False, and nothing added, if one is not finite.
using AddErrors = bool (*)(ErrorLanes& lanes, const float* source, const float* result,
                           std::uint64_t count) noexcept;

bool add_errors_by_definition(ErrorLanes& lanes, const float* source, const float* result,
                              std::uint64_t count) noexcept;

AddErrors active_add_errors() noexcept;  // of active_isa()
AddErrors add_errors_of(std::string_view isa) noexcept;

}  // namespace quantize
