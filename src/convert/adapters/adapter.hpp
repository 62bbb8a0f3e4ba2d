// LoRA adapters of the PEFT package: a directory with adapter_config.json and
// adapter_model.safetensors, whose tensors are matched with those of a model by name and shape.
#pragma once

#include <memory>

#include "quantize/error.hpp"
#include "quantize/model.hpp"
#include "quantize/source.hpp"

namespace quantize {

// `base` with the adapter merged: what PEFT's merge_and_unload() makes of it. Every tensor of the
// adapter must find its place. CF01, IX08, IX09 for missing files, LR01 to LR05, and whatever is
// wrong with the file of tensors.
std::shared_ptr<const Source> merge_adapter(std::shared_ptr<const Source> base,
                                            const AdapterOption& adapter, bool follow_symlinks,
                                            Warnings& warnings);

}  // namespace quantize
