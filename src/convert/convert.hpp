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

// The type of the intermediate file (decision: nothing is lost unless the user asks for it), and
// the number that general.file_type has for it.
DType intermediate_type(const Model& model, const OpenOptions& options);
std::uint32_t file_type_of(DType type);

// Weights alone: names and shapes stay, numbers keep their type where GGUF has it. Image and video
// models that are recognised (arch/image_models.hpp) become what their loaders expect, unless
// --tensors-only or --arch asks for everything as it is; CF06 for layouts that no loader takes.
Model convert_tensors_only(std::shared_ptr<const Source> source, const OpenOptions& options,
                           Warnings& warnings);

// Every tensor as it is, whatever its type.
Model take_unconverted(std::shared_ptr<const Source> source);

// A GGUF file as it is.
Model take_gguf(std::shared_ptr<const Source> source);

}  // namespace quantize
