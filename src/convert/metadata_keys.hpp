// A family's key rules and a configuration to "{architecture}.*" metadata.
#pragma once

#include <cstdint>

#include "quantize/metadata.hpp"

#include "arch/family.hpp"
#include "convert/configuration.hpp"
#include "core/directory.hpp"

namespace quantize {

// `file_type`: general.file_type, which stands in the middle of the shared block.
void append_family_keys(const Family& family, const Configuration& configuration,
                        const Directory& directory, std::uint32_t file_type, Metadata& metadata,
                        Warnings& warnings);

// Classifier labels that a publisher gave; empty for the placeholder that every class injects.
std::vector<std::string> classifier_labels(const Configuration& configuration);

// Divisors of the rotary frequencies (rope_freqs.weight); empty unless the scaling is "llama3".
std::vector<float> llama3_rope_factors(const Configuration& configuration);

}  // namespace quantize
