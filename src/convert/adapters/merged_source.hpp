// A source whose tensors an adapter has changed.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "quantize/source.hpp"

#include "convert/adapters/low_rank.hpp"

namespace quantize::adapters {

// What becomes of one tensor. Its values are those of the model, or of a tensor of the adapter that
// replaces it; to them a product is added; then DoRA scales the rows (or columns) so that each has
// the length that the adapter states.
struct Change {
  std::string about;                // "merged with adapter PATH (rank 8, scale 2)"
  std::optional<std::size_t> base;  // empty: the tensor is new
  std::string name;                 // of a new tensor
  std::optional<std::size_t> replacement;
  std::optional<LowRank> product;
  std::optional<std::size_t> magnitudes;  // DoRA
  bool of_columns = false;
};

// Tensors keep their places; new ones follow. A sum is f32, whatever the model's type.
std::shared_ptr<const Source> merged_source(std::shared_ptr<const Source> base,
                                            std::shared_ptr<const Source> adapter,
                                            std::vector<Change> changes);

}  // namespace quantize::adapters
