// Block types that are read, to be quantized anew, but not written.
#pragma once

#include <span>

#include "quantize/quantizer.hpp"

namespace quantize {

std::span<const Quantizer> decoded_types() noexcept;

}  // namespace quantize
