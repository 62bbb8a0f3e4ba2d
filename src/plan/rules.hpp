// Which type a tensor gets, as the reference quantizer decides it: one pass over the ordered
// tensors counts what its running counters count; the rules then see only that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "quantize/plan.hpp"

namespace quantize {

// One tensor as the rules see it: name and shape of the output, type in the intermediate file.
struct RuleTensor {
  std::string name;
  Shape shape;
  DType stored_type{};
};

// What the rules need to know of a model.
struct ModelFacts {
  std::string architecture;
  std::uint64_t layers = 0;               // block_count as stored, before pruning
  std::uint64_t main_layers = 0;          // without appended prediction layers
  std::uint64_t heads = 0, kv_heads = 0;  // of layer 0
  std::uint64_t experts = 0;
};
ModelFacts model_facts(const Model& model, const Recipe& recipe);

struct Decision {
  DType type{};
  std::string rule;
  bool quantizable = false;  // false: the reference never touches this tensor
  std::optional<DType> wanted;
  std::string substitution;
};

// `tensors` in reference order. USE04 for patterns that match nothing, QZ03 where no substitute
// fits.
std::vector<Decision> decide_types(const std::vector<RuleTensor>& tensors, const ModelFacts& facts,
                                   const Recipe& recipe);

// The layer number of a name that begins with "blk.N.", or -1: the first sort key of the reference.
std::int64_t layer_of(std::string_view name) noexcept;

// True if the reference refuses to convert this tensor to `type` without importance weights.
bool requires_importance(std::string_view name, DType type, const Preset& preset) noexcept;

// What the reference takes for the file type of a file that names none, given its most frequent
// tensor type.
std::uint32_t guessed_file_type(DType most_frequent);

}  // namespace quantize
