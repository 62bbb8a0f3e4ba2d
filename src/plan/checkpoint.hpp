// Targets that are checkpoints for other loaders: a directory of safetensors files with the
// source's names, whose Linear weights are stored in a format of the loader's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "quantize/plan.hpp"

#include "quant/checkpoint/formats.hpp"

namespace quantize {

enum class Container : std::uint8_t { compressed_tensors, bitsandbytes, gptq, awq, fp8, modelopt };

// What a name as typed says, filled in with the defaults of its kind.
struct CheckpointScheme {
  Container container{};
  std::string kind;         // "int4", "nf4", "block"
  std::uint64_t group = 0;  // 0: the whole row
  IntegerGrid grid;
  bool double_quantized = true;
};

struct CheckpointTarget {
  std::string label;  // "bnb-nf4"
  CheckpointScheme scheme;
  WeightFormatPtr format;
  std::optional<DType> dense_type;  // what other floating point weights become; empty: as they are
};

// Null if the name is none of a checkpoint; USE04 if it is one with a part that it cannot have.
std::shared_ptr<const CheckpointTarget> find_checkpoint(std::string_view name);

Plan plan_checkpoint(const Model& model, const Recipe& recipe, Warnings& warnings);

// config.json: the source's with a quantization_config (and the type of what is left), and further
// files that a container has. `dense`: modules that are not quantized.
std::string checkpoint_config(const CheckpointTarget& target, const std::string& source,
                              const std::string& file, const std::vector<std::string>& dense,
                              std::vector<SideFile>& more, Warnings& warnings);

}  // namespace quantize
