// Hashes of encoded blocks on generated inputs, committed in tests/quant/golden_blocks.txt. They
// were made by encoders that the official library agreed with, and hold every build to that where
// the library cannot run: another compiler, another processor.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "quantize/quantizer.hpp"

namespace quantize::test {

// "q4_K plain", "q4_K weighted" -> FNV-1a, 64 bits.
using GoldenHashes = std::map<std::string, std::uint64_t>;

std::string golden_blocks_path();
GoldenHashes read_golden_blocks();

// What this build computes: one entry for every type and mode that can be encoded.
std::string golden_name(const Quantizer& quantizer, bool weighted);
std::uint64_t hash_of_blocks(const Quantizer& quantizer, bool weighted);
GoldenHashes compute_golden_blocks(std::span<const Quantizer> table = quantizers());

}  // namespace quantize::test
