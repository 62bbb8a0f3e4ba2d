// The openers behind open_source() and open_model(): each validates everything before it returns.
#pragma once

#include <memory>
#include <string>

#include "quantize/error.hpp"
#include "quantize/source.hpp"

#include "core/directory.hpp"

namespace quantize {

// What a path is, by content (decision 25); a suffix that disagrees is a warning.
enum class InputKind : std::uint8_t { gguf, safetensors, weight_index, directory };
InputKind detect_input(const std::string& path, Warnings& warnings);

// One GGUF file, or all pieces of a split set whose first piece (or any) is named.
std::shared_ptr<const Source> open_gguf(const std::string& path, std::uint64_t max_metadata_bytes,
                                        Warnings& warnings);

// One safetensors file by itself.
std::shared_ptr<const Source> open_safetensors(const std::string& path, Warnings& warnings);

// The weights of a model directory (by index, model*.safetensors, or the only one), in the
// reference converter's order: files sorted by name, then tensor names by code point.
// `only_file`: that index, or that member alone unless the index lists it (decision 34).
std::shared_ptr<const Source> open_directory_weights(std::shared_ptr<const Directory> directory,
                                                     const std::string& only_file,
                                                     Warnings& warnings);

}  // namespace quantize
