// Hashes of encoded blocks on generated inputs, committed in golden.def. They were made by encoders
// that the official library agreed with, and hold every build and processor to that where the
// library cannot run.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "quantize/quantizer.hpp"

namespace quantize::selftest {

// "q4_K plain", "q4_K weighted" -> FNV-1a, 64 bits.
using GoldenHashes = std::map<std::string, std::uint64_t>;

GoldenHashes golden_blocks();

// What a table's encoders give: one entry for every type and mode that can be encoded.
GoldenHashes compute_golden_blocks(std::span<const Quantizer> table = quantizers());

}  // namespace quantize::selftest
