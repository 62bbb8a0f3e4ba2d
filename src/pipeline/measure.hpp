// What a slab lost: sums over 16 interleaved lanes (lane = index mod 16), folded in a fixed order,
// so that the figures do not depend on the instruction set or the number of threads.
#pragma once

#include <cstdint>

#include "quantize/report.hpp"

namespace quantize {

ErrorStats measure(const float* source, const float* result, std::uint64_t values) noexcept;

}  // namespace quantize
