// What a slab lost: sums over 16 interleaved lanes (lane = index mod 16), folded in a fixed order,
// so that the figures do not depend on the instruction set, the tiles or the number of threads.
#pragma once

#include <cstdint>

#include "quantize/report.hpp"

#include "quant/error_lanes.hpp"

namespace quantize {

class ErrorSums {
 public:
  // Values [first, first + count) of the slab: what they were and what they became.
  void add(std::uint64_t first, const float* source, const float* result,
           std::uint64_t count) noexcept;
  ErrorStats total() const noexcept;
  std::uint64_t saturated() const noexcept { return saturated_; }

 private:
  void add_one(std::uint64_t lane, float source, float result) noexcept;

  ErrorLanes lanes_;
  std::uint64_t values_ = 0, nonfinite_ = 0, saturated_ = 0;
};

}  // namespace quantize
