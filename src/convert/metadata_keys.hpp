// A family's key rules and a configuration to "{architecture}.*" metadata.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "quantize/metadata.hpp"

#include "arch/family.hpp"
#include "convert/configuration.hpp"
#include "convert/scope.hpp"
#include "core/directory.hpp"

namespace quantize {

// `file_type`: general.file_type, which stands in the middle of the shared block.
void append_family_keys(const std::vector<KeyRule>& rules, const std::string& architecture,
                        const Scope& scope, const Directory& directory, std::uint32_t file_type,
                        Metadata& metadata, Warnings& warnings);

// Classifier labels that a publisher gave; empty for the placeholder that every class injects.
std::vector<std::string> classifier_labels(const Configuration& configuration);

}  // namespace quantize
