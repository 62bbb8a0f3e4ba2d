// Joins opened weights with a family (or with nothing but their names) to a Model.
#pragma once

#include <memory>
#include <string>

#include "quantize/model.hpp"

#include "core/directory.hpp"

namespace quantize {

// A model directory: config.json, tokenizer files and the weights in `source`. `directory_name` is
// the last component of the path as given, from which the reference derives names.
Model convert_directory(const Directory& directory, const std::string& directory_name,
                        std::shared_ptr<const Source> source, const OpenOptions& options,
                        Warnings& warnings);

// Weights alone: names and shapes stay, numbers keep their type where GGUF has it.
Model convert_tensors_only(std::shared_ptr<const Source> source, const OpenOptions& options,
                           Warnings& warnings);

// Every tensor as it is, whatever its type.
Model take_unconverted(std::shared_ptr<const Source> source);

// A GGUF file as it is.
Model take_gguf(std::shared_ptr<const Source> source);

}  // namespace quantize
