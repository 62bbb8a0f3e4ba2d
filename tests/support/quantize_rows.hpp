// Encoding whole rows the way the pipeline does it, pre-pass included.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "quantize/quantizer.hpp"

namespace quantize::test {

std::vector<std::byte> encode_rows(const Quantizer& quantizer, std::span<const float> values,
                                   std::uint64_t row_values, const float* importance,
                                   bool reference_quirks = false);

// Index of the first byte that differs (sizes count too), or -1.
std::ptrdiff_t first_difference(std::span<const std::byte> a, std::span<const std::byte> b);

}  // namespace quantize::test
