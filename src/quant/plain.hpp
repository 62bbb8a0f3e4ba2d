// The plain element types' part of the quantizer table.
#pragma once

#include <span>

#include "quantize/quantizer.hpp"

namespace quantize {

std::span<const Quantizer> plain_types() noexcept;

}  // namespace quantize
